/**
 * Running tests in the emulated machine: from its system, made when it is not in the cache, to their report.
 *
 * Needs root, Debian's apt with a mirror that can be reached, a processor of the x86-64 family, and memory; where one of these is missing
 * the tests are skipped with the reason, or fail where everything has to be there.
 *
 * @module
 */

import { join } from "@std/path";
import { output } from "../../../tools/command.ts";
import { whyNoPackages } from "../../../tools/debian_packages.ts";
import {
  failure,
  type NamedTest,
  parseJunit,
  summary,
  type TestReport,
  total,
} from "../../../tools/test_report.ts";
import { skipsForbidden } from "../../support/requirements.ts";
import { type GuestImage, guestImage } from "./image.ts";
import { makeJob, reportName } from "./job.ts";
import { MEMORY_MIB, runMachine } from "./machine.ts";
import { unpackEmulator, unpackGuest } from "./packages.ts";

const NAME = "tests on NFS in a machine";

/** More than all tests take on a busy machine, in seconds. */
const ROUND_LIMIT_S = 2400;

/** How many machines run at a time, each with a part of the files of tests: each has one processor. */
const MACHINES = 2;

/**
 * Runs tests, each file in one start of a machine, so many times, one round after the other. The product has to be compiled.
 *
 * @param tests paths of tests, relative to the project
 * @returns what they came to, all rounds added up. What keeps them from getting to their end is a failure of its own.
 */
export async function runInMachine(tests: readonly string[], times = 1): Promise<TestReport> {
  const reason = await whyNot();
  if (reason === undefined) {
    const stage = timer();
    const image = await guestImage();
    stage("the guest's system");
    const parts = Array.from(
      { length: MACHINES },
      (_, part) => tests.filter((_, at) => at % MACHINES === part),
    );
    return total(
      await Promise.all(parts.filter((part) => part.length > 0).map((part) => runRounds(image, part, times))),
    );
  }
  if (skipsForbidden()) return failure(NAME, NAME, reason);
  console.log(`${NAME}: skipped: ${reason}`);
  return { passed: 0, failed: [], skipped: [{ file: NAME, name: reason }] };
}

/** Why the tests cannot run here. What they need is fetched by that. */
async function whyNot(): Promise<string | undefined> {
  if (Deno.build.arch !== "x86_64") return "the machine is made for x86-64";
  if (Deno.uid() !== 0) return "not run by root";
  const { available } = Deno.systemMemoryInfo();
  if (available < MACHINES * MEMORY_MIB * 2 ** 20) {
    return `${MACHINES * MEMORY_MIB} MiB of memory are not free`;
  }
  const reason = await whyNoPackages();
  if (reason !== undefined) return reason;
  try {
    await unpackEmulator();
    await unpackGuest();
    return undefined;
  } catch (error) {
    return `its packages cannot be had: ${(error as Error).message}`;
  }
}

async function runRounds(image: GuestImage, tests: readonly string[], times: number): Promise<TestReport> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-vm-" });
  const files = {
    job: join(folder, "job"),
    results: join(folder, "results"),
    console: join(folder, "console"),
  };
  const said = async () => (await Deno.readTextFile(files.console).catch(() => "")).replaceAll("\r", "");
  const stage = timer();
  try {
    await Deno.mkdir(join(folder, "files"));
    await makeJob(tests, { times, seconds: ROUND_LIMIT_S }, join(folder, "files"), files.job);
    stage("the disk with the tests");
    await Deno.writeFile(files.results, new Uint8Array());
    await Deno.truncate(files.results, 64 << 20);
    await runMachine({ image, ...files, seconds: times * ROUND_LIMIT_S });
    await output("tar", ["-xf", files.results, "-C", folder, "--one-top-level=told"]);
    const report = total(await reports(join(folder, "told"), times));
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

/** The reports of all rounds. One that is not there is a failure, and the last: no other round was begun. */
async function reports(folder: string, times: number): Promise<TestReport[]> {
  const found: TestReport[] = [];
  for (let round = 1; round <= times; round++) {
    const text = await Deno.readTextFile(join(folder, reportName(round))).catch(() => "");
    if (text !== "") found.push(named(parseJunit(text)));
    else return [...found, failure(NAME, "get to their end", `round ${round} of ${times} has no report`)];
  }
  return found;
}

/** With files called as here: in the guest they are one file each, without types. */
function named({ passed, failed, skipped }: TestReport): TestReport {
  const file = (path: string) => path.replace(/^.*\/tests\/(.*)\.js$/, "tests/vm/$1.ts");
  const here = <T extends NamedTest>(test: T): T => ({ ...test, file: file(test.file) });
  return { passed, failed: failed.map(here), skipped: skipped.map(here) };
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
