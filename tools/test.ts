/**
 * `deno task test`: everything. Sets the machine up, makes the checks of `deno task ok`, compiles the product and CRIU's plugin, and runs
 * the tests that mount, the end-to-end tests among them, each file in a process of its own that is killed when its time is over; then those on NFS,
 * in emulated machines. The last line has the sums of all reports of `deno test`, to which a step that fails adds a failure.
 *
 * What is run where follows from the names of test files, see `test_files.ts`. Arguments choose among the files of tests that mount and those on
 * NFS: `deno task test e2e` runs those with "e2e" in their path, and nothing else besides setup and compiling.
 *
 * Tests take their Deno from Deno.execPath(), the executable from `dist/spfs`, and their temporary folders from TMPDIR. With
 * `SPFS_NO_SKIP=1` or `CI=true` what is missing fails instead of being skipped (`tests/support/requirements.ts`).
 *
 * @module
 */

import { runInMachine } from "../tests/vm/machine/run.ts";
import { newerLibfuseFolder } from "./newer_libfuse.ts";
import { ok } from "./ok.ts";
import { OLDER_VERSION, olderDeno, olderDenoEnvironment } from "./older_deno.ts";
import { conclude, programStep, testStep } from "./steps.ts";
import { testFiles } from "./test_files.ts";
import { failure, type TestReport, total } from "./test_report.ts";

const root = new URL("../", import.meta.url);
const cwd = root.pathname;

/** More than any file takes, on a machine that does other things as well. */
const FILE_TIMEOUT_MS = 600_000;

async function run(wanted: readonly string[]): Promise<TestReport> {
  const reports: TestReport[] = [];
  const setup = await tool("setup");
  if (setup.failed.length > 0) return setup;
  reports.push(await tool("compile"), await tool("plugin"));
  if (wanted.length === 0) reports.push(await ok(), await typesOfOlderDeno());
  const files = await testFiles(root);
  const chosen = (path: string) => wanted.length === 0 || wanted.some((part) => path.includes(part));
  const mounts = files.mounts.filter(chosen);
  for (const path of [...mounts, ...files.endToEnd.filter(chosen)]) reports.push(await testFile(path));
  const newer = await newerLibfuseFolder();
  if (newer !== undefined) {
    for (const path of mounts.filter(usesLibfuse)) {
      reports.push(await testFile(path, " with libfuse3.so.4", { LD_LIBRARY_PATH: newer }));
    }
  }
  const machine = files.machine.filter(chosen);
  if (machine.length > 0) reports.push(await runInMachine(machine));
  return total(reports);
}

function tool(name: string): Promise<TestReport> {
  return programStep(name, Deno.execPath(), ["run", "-A", `tools/${name}.ts`], { cwd });
}

/** The code is compiled by an older Deno where that is the one for which a runtime base can be had. */
async function typesOfOlderDeno(): Promise<TestReport> {
  const name = `types by Deno ${OLDER_VERSION}`;
  try {
    return await programStep(name, await olderDeno(), ["check", "--quiet"], {
      cwd,
      env: olderDenoEnvironment,
    });
  } catch (error) {
    return failure(name, name, (error as Error).message);
  }
}

function testFile(
  path: string,
  suffix = "",
  env: Readonly<Record<string, string>> = {},
): Promise<TestReport> {
  return testStep({ name: `${path}${suffix}`, args: [path], cwd, env, timeoutMs: FILE_TIMEOUT_MS });
}

function usesLibfuse(path: string): boolean {
  return !path.startsWith("tests/tools/") && !path.startsWith("tests/swap/");
}

const report = await run(Deno.args);
conclude(report);
Deno.exit(report.failed.length === 0 ? 0 : 1);
