/**
 * Running test files in a process of their own that cannot outlive its time, and looking at what it leaves behind.
 *
 * @module
 */

import {
  detachLoopDevice,
  killProcesses,
  leftLoopDevices,
  leftMounts,
  processesOf,
  RUN_VARIABLE,
  type SeenProcess,
  unmount,
} from "./leftovers.ts";
import { failure, type NamedTest, parseJunit, type TestReport, total } from "./test_report.ts";

/** Tests to run. */
export interface TestRun {
  /** What it is called in reports. */
  readonly name: string;
  /** Arguments of `deno test`: files and flags. */
  readonly args: readonly string[];
  /** The folder in which it runs; this one's by default. */
  readonly cwd?: string;
  /** Variables on top of the environment's. */
  readonly env?: Readonly<Record<string, string>>;
  /** After how many milliseconds the process and all it started are killed. */
  readonly timeoutMs: number;
}

/** What a run came to. */
export interface TestRunResult {
  /** The tests that ended; a run that did not get to its end, or left something behind, has a failure of its own. */
  readonly report: TestReport;
  /** What the process wrote to stdout and stderr. */
  readonly output: string;
}

/**
 * Runs tests. They get a folder of their own as TMPDIR; mounts, processes and loop devices that are left when they ended are failures,
 * and are taken away.
 */
export async function runTests(run: TestRun): Promise<TestRunResult> {
  // Short, because paths of unix sockets are.
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "spfs-t-" });
  await Deno.chmod(folder, 0o755); // tests have other users go through it
  await Deno.mkdir(`${folder}/t`);
  await Deno.chmod(`${folder}/t`, 0o1777);
  const id = crypto.randomUUID();
  const end = await runProcess(run, folder, id);
  const left = await takeAway(id, folder);
  const written = await Deno.readTextFile(`${folder}/output`).catch(() => "");
  const reports = [await readReport(`${folder}/report.xml`, run, end)];
  if (left.length > 0 && end.whenTimeWasOver === undefined) {
    reports.push(failure(run.name, "leaves nothing behind", left.join("\n")));
  }
  if (leftMounts(folder).length === 0) await Deno.remove(folder, { recursive: true });
  return { report: total(reports), output: written };
}

interface ProcessEnd {
  readonly code: number;
  /** The processes that there were when the time was over, if it was. */
  readonly whenTimeWasOver?: readonly string[];
}

/** Runs the process to its end or the end of its time. Its output goes to a file: a pipe would stay open in what it leaves behind. */
async function runProcess(
  { args, cwd, env = {}, timeoutMs }: TestRun,
  folder: string,
  id: string,
): Promise<ProcessEnd> {
  const command = [Deno.execPath(), "test", "-A", "--no-check", `--junit-path=${folder}/report.xml`, ...args];
  const child = new Deno.Command("sh", {
    args: ["-c", `exec "$@" >"$0" 2>&1`, `${folder}/output`, ...command],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, TMPDIR: `${folder}/t`, NO_COLOR: "1", RUST_BACKTRACE: "0", [RUN_VARIABLE]: id },
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true, // a process group of its own, to be killed as one
  }).spawn();
  const ended = child.status.then(({ code }): ProcessEnd => ({ code }));
  return await within(timeoutMs, ended) ?? await endProcess(child.pid, id, ended);
}

/** What a promise resolves to; `undefined` when it takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), milliseconds);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Kills all processes of a run whose time is over. */
async function endProcess(leader: number, id: string, ended: Promise<ProcessEnd>): Promise<ProcessEnd> {
  const lines = await processesOf(id).then((seen) => seen.map(processLine), (error) => [error.message]);
  try {
    Deno.kill(-leader, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // ended at this moment
  }
  await killProcesses(id).catch(() => {}); // those that left the group; they are looked for again afterwards
  // A process that waits for a mount in a way that no signal ends must not hold up the other tests.
  if (await within(15_000, ended) === undefined) lines.push(`process ${leader} survives SIGKILL`);
  return { code: 137, whenTimeWasOver: lines };
}

function processLine({ pid, description }: SeenProcess): string {
  return `process ${pid} (${description})`;
}

async function readReport(
  path: string,
  run: TestRun,
  { code, whenTimeWasOver }: ProcessEnd,
): Promise<TestReport> {
  if (whenTimeWasOver !== undefined) {
    const message = [`killed after ${run.timeoutMs / 1000} s; there were`, ...whenTimeWasOver].join("\n");
    return failure(run.name, "ends in time", message);
  }
  try {
    const report = named(parseJunit(await Deno.readTextFile(path)), run.name);
    if (code === 0 || report.failed.length > 0) return report;
    return total([report, failure(run.name, "loads", `deno test ended with ${code}, see its output`)]);
  } catch (error) {
    const message = `deno test ended with ${code} and without a report (${(error as Error).message})`;
    return failure(run.name, "gets to its end", message);
  }
}

/** Tests that a file has made by functions of another file are reported as the other's; here they are the run's. */
function named({ passed, failed, skipped }: TestReport, run: string): TestReport {
  const own = <T extends NamedTest>(test: T): T =>
    test.file.endsWith("_test.ts") ? test : { ...test, file: run };
  return { passed, failed: failed.map(own), skipped: skipped.map(own) };
}

/** Takes away what a run left. @returns a line for each thing. */
async function takeAway(id: string, folder: string): Promise<string[]> {
  const lines: string[] = [];
  try {
    lines.push(...(await killProcesses(id)).map(processLine));
  } catch (error) {
    lines.push((error as Error).message);
  }
  for (const { mountpoint, fstype } of leftMounts(folder)) {
    const error = await unmount(mountpoint);
    lines.push(`mount ${mountpoint} (${fstype})${error === undefined ? "" : `: ${error}`}`);
  }
  for (const device of leftLoopDevices(folder)) {
    await detachLoopDevice(device);
    lines.push(`loop device ${device}`);
  }
  return lines;
}
