/**
 * `deno task test:vm`: the tests on NFS, in an emulated machine, because the kernel of this one need not know NFS, and servers that die
 * have to be somebody's. Makes the machine's system when it is not in the cache, and runs all tests in one start of it. Arguments choose
 * among the tests by parts of their paths. The last line has the sums.
 *
 * Needs root, Debian's apt with a mirror, and a processor of the x86-64 family; where one of these is missing the tests are skipped with
 * the reason, or fail where everything has to be there.
 *
 * @module
 */

import { join } from "@std/path";
import { output } from "../../tools/command.ts";
import { whyNoPackages } from "../../tools/debian_packages.ts";
import { conclude, programStep } from "../../tools/steps.ts";
import { testFiles } from "../../tools/test_files.ts";
import { failure, parseJunit, summary, type TestReport, total } from "../../tools/test_report.ts";
import { skipsForbidden } from "../support/requirements.ts";
import { guestImage } from "./machine/image.ts";
import { makeJob } from "./machine/job.ts";
import { runMachine } from "./machine/machine.ts";

const root = new URL("../../", import.meta.url);
const NAME = "tests on NFS in a machine";

/** More than all tests take on a busy machine, in seconds. */
const LIMIT_S = 780;

async function run(wanted: readonly string[]): Promise<TestReport> {
  const reason = await whyNot();
  if (reason !== undefined) {
    if (skipsForbidden()) return failure(NAME, NAME, reason);
    console.log(`${NAME}: skipped: ${reason}`);
    return { passed: 0, failed: [], skipped: [{ file: NAME, name: reason }] };
  }
  const compiled = await programStep("compile", Deno.execPath(), ["run", "-A", "tools/compile.ts"], {
    cwd: root.pathname,
  });
  const { machine } = await testFiles(root);
  const tests = machine.filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)));
  return total([compiled, await runTests(tests)]);
}

async function whyNot(): Promise<string | undefined> {
  if (Deno.build.arch !== "x86_64") return "the machine is made for x86-64";
  if (Deno.uid() !== 0) return "not run by root";
  return await whyNoPackages();
}

/** Runs tests in a machine. What keeps them from getting to their end is a failure of its own, with the end of what the guest said. */
async function runTests(tests: readonly string[]): Promise<TestReport> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-vm-" });
  const files = {
    job: join(folder, "job"),
    results: join(folder, "results"),
    console: join(folder, "console"),
  };
  const said = async () => (await Deno.readTextFile(files.console).catch(() => "")).replaceAll("\r", "");
  const stage = timer();
  try {
    const image = await guestImage();
    stage("the guest's system");
    await Deno.mkdir(join(folder, "files"));
    await makeJob(tests, join(folder, "files"), files.job);
    stage("the disk with the tests");
    await Deno.writeFile(files.results, new Uint8Array());
    await Deno.truncate(files.results, 64 << 20);
    await runMachine({ image, ...files, seconds: LIMIT_S });
    await output("tar", ["-xf", files.results, "-C", folder, "./report.xml"]);
    const report = parseJunit(await Deno.readTextFile(join(folder, "report.xml")));
    stage(`the machine: ${summary(report)}`);
    console.log(report.failed.length > 0 ? await said() : testLines(await said()));
    return report;
  } catch (error) {
    stage("FAILED");
    console.log(await said());
    return failure(NAME, "get to their end", (error as Error).message);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Of what the guest said, what became of each test, and how long it took. */
function testLines(said: string): string {
  return said.split("\n").filter((line) => / \.\.\. (ok|ignored) /.test(line)).map((line) =>
    `    ${line.replace(/^.* \.\.\.(?=.* \.\.\. )/, "")}`
  ).join("\n");
}

/** Tells what was done and how long that took. */
function timer(): (what: string) => void {
  let begun = performance.now();
  return (what) => {
    console.log(`${what.padEnd(44)} ${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s`);
    begun = performance.now();
  };
}

const report = await run(Deno.args);
conclude(report);
Deno.exit(report.failed.length === 0 ? 0 : 1);
