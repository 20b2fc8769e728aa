import { exitCodes } from "../host/exit_codes.ts";
import type { Recorded } from "../host/record.ts";
import type { Terminal } from "./terminal.ts";
import { printable } from "./text.ts";
import { isDumpStage } from "./hook_stages.ts";
import { UsageError } from "./usage.ts";

/** How many files that could not be looked at are named. */
const namedAtMost = 20;

/** The options of `spfs record`. */
export interface RecordOptions {
  /** The root of the process tree. */
  pid: number;
  /** The directory of the images. */
  images: string;
  /** How long a file system may take to tell of one file, in milliseconds. */
  timeout: number;
  /** Whether to print JSON. */
  json?: boolean;
}

/** `spfs record`: notes beside images, or where they are to be, what they lack. */
export async function record(options: RecordOptions, terminal: Terminal): Promise<number> {
  const recorded = await note(options.pid, options.images, options.timeout);
  if (options.json === true) {
    const { unknown, ...rest } = recorded;
    terminal.out(JSON.stringify({ ...rest, unknown: unknown.map(unknownFile) }) + "\n");
  } else for (const line of lines(recorded)) terminal.out(`${line}\n`);
  return exitCodes.ok;
}

/**
 * `spfs dump-hook`: CRIU's action script at dump. Before anything is stopped it refuses a tree that uses a stand-in; when the images are
 * written and the tree still stands still it notes what they lack; at every other stage it succeeds at once. A failure ends the dump, and the
 * tree goes on.
 */
export async function dumpHook(options: { timeout: number }, terminal: Terminal): Promise<number> {
  const stage = terminal.env("CRTOOLS_SCRIPT_ACTION");
  if (!isDumpStage(stage)) return exitCodes.ok;
  try {
    const [images, pid] = [terminal.env("CRTOOLS_IMAGE_DIR"), Number(terminal.env("CRTOOLS_INIT_PID"))];
    if (images === undefined || !(pid > 0)) {
      throw new UsageError("CRTOOLS_IMAGE_DIR and CRTOOLS_INIT_PID are not set: CRIU sets them");
    }
    if (stage === "pre-dump") {
      await refuseStandIns(pid);
      return exitCodes.ok;
    }
    const recorded = await note(pid, images, options.timeout);
    for (const line of lines(recorded)) terminal.out(`spfs dump-hook: ${line}\n`);
    return exitCodes.ok;
  } catch (error) {
    terminal.err(`spfs dump-hook: failed: ${(error as Error).message}\n`);
    return exitCodes.failed;
  }
}

async function refuseStandIns(root: number): Promise<void> {
  const { standInUser } = await import("../host/stand_in_users.ts");
  const user = standInUser(root);
  if (user === undefined) return;
  const { pid, comm, mountpoint } = user;
  throw new Error(
    `process ${pid} (${comm}) uses the stand-in at ${printable(mountpoint)}: ` +
      "a dump has to wait until the real file system has taken its place",
  );
}

async function note(pid: number, directory: string, stallMs: number): Promise<Recorded> {
  const host = await import("../host/record.ts");
  return await host.record({ pid, directory, stallMs });
}

function unknownFile({ path, error }: Recorded["unknown"][number]) {
  return { path: new TextDecoder().decode(path), error };
}

/** What was noted, for people: each file that could not be looked at has a line. */
function lines({ namespaces, files, unknown, fromImages }: Recorded): string[] {
  const where = namespaces === 1 ? "1 mount namespace" : `${namespaces} mount namespaces`;
  const source = fromImages ? "" : " (by /proc: there are no images yet)";
  const told = [`${files} files of ${where} noted${source}`];
  for (const file of unknown.slice(0, namedAtMost)) {
    const { path, error } = unknownFile(file);
    const why = error === "ETIMEDOUT" ? "its file system does not answer" : error;
    told.push(`not noted: ${printable(path)}: ${why}`);
  }
  if (unknown.length > namedAtMost) told.push(`not noted: ${unknown.length - namedAtMost} more`);
  return told;
}
