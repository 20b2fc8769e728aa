/**
 * What a test run left on the machine: processes, mounts and loop devices; and taking it away. Nothing here touches a mount in a way
 * that could wait for its server.
 *
 * @module
 */

import { parseMountinfo } from "../ffi/sys/mountinfo.ts";
import { capture } from "./command.ts";

/** The variable of the environment by which the processes of a test run are known, also those that left its process group. */
export const RUN_VARIABLE = "SPFS_TEST_RUN";

/** A process. */
export interface SeenProcess {
  /** Its id. */
  readonly pid: number;
  /** Its program's name, its state as in proc_pid_stat(5), and where in the kernel its main thread waits. */
  readonly description: string;
}

/**
 * The living processes with this value of {@linkcode RUN_VARIABLE}.
 *
 * @throws {Error} when /proc does not answer within ten seconds: a process that waits for a mount may hold the lock on its memory.
 */
export async function processesOf(run: string): Promise<SeenProcess[]> {
  const entry = `${RUN_VARIABLE}=${run}`;
  const search = `grep -lzxsF -e "$0" /proc/[0-9]*/environ`;
  // Not in the environment of the search, which would find itself.
  const { stdout, code } = await capture("timeout", ["-s", "KILL", "10", "sh", "-c", search, entry]);
  if (code > 128) throw new Error("/proc/PID/environ could not be read within ten seconds");
  const pids = [...stdout.matchAll(/^\/proc\/(\d+)\/environ$/gm)].map(([, pid]) => Number(pid));
  return pids.filter((pid) => pid !== Deno.pid).map((pid) => ({ pid, description: describe(pid) }));
}

function describe(pid: number): string {
  try {
    const [, name, state] = /\((.*)\) (\S)/s.exec(Deno.readTextFileSync(`/proc/${pid}/stat`))!;
    const waitsIn = Deno.readTextFileSync(`/proc/${pid}/wchan`);
    return `${name}, state ${state}${/^0?$/.test(waitsIn) ? "" : `, waits in ${waitsIn}`}`;
  } catch {
    return "ended meanwhile";
  }
}

/** Kills the processes of a run, again and again for those that they started meanwhile. @returns those that were there. */
export async function killProcesses(run: string): Promise<SeenProcess[]> {
  const seen = new Map<number, SeenProcess>();
  for (let round = 0; round < 20; round++) {
    const alive = await processesOf(run);
    if (alive.length === 0) break;
    for (const process of alive) {
      if (!seen.has(process.pid)) seen.set(process.pid, process);
      try {
        Deno.kill(process.pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return [...seen.values()];
}

/** A mount. */
export interface SeenMount {
  /** Where it is. */
  readonly mountpoint: string;
  /** Its type, such as `fuse.spfs`. */
  readonly fstype: string;
}

/** The mounts of this mount namespace below a folder, the newest first. */
export function leftMounts(folder: string): SeenMount[] {
  const decoder = new TextDecoder();
  return parseMountinfo(Deno.readFileSync("/proc/self/mountinfo"))
    .map(({ mountpoint, fstype }) => ({ mountpoint: decoder.decode(mountpoint), fstype }))
    .filter(({ mountpoint }) => mountpoint.startsWith(`${folder}/`))
    .reverse();
}

/** Takes a mount off its place without asking its server. @returns what went wrong, if anything. */
export async function unmount(mountpoint: string): Promise<string | undefined> {
  const { ok, stderr } = await capture("umount", ["--lazy", "--no-canonicalize", mountpoint], {
    timeoutMs: 10_000,
  });
  return ok ? undefined : stderr.trim();
}

/** The loop devices whose backing file lies, or lay, below a folder. */
export function leftLoopDevices(folder: string): string[] {
  const devices: string[] = [];
  for (const { name } of Deno.readDirSync("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    try {
      const file = Deno.readTextFileSync(`/sys/block/${name}/loop/backing_file`);
      if (file.startsWith(`${folder}/`)) devices.push(`/dev/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has no file
    }
  }
  return devices;
}

/** Frees a loop device. */
export async function detachLoopDevice(device: string): Promise<void> {
  await capture("losetup", ["--detach", device], { timeoutMs: 10_000 });
}
