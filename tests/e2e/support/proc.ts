/**
 * What /proc tells, and waiting for it to tell something. Nothing here touches a mount: paths are compared as text.
 *
 * @module
 */

import { parseMountinfo } from "../../../ffi/sys/mountinfo.ts";

/** A mount. */
export interface SeenMount {
  /** Where. */
  readonly mountpoint: string;
  /** Its type, `fuse.spfs` for ours. */
  readonly fstype: string;
  /** What was mounted. */
  readonly source: string;
  /** The file system's device, "major:minor". */
  readonly device: string;
}

const text = new TextDecoder();

/** By how much every limit of time is longer than it says: a machine that is emulated is slow. `SPFS_TIME_FACTOR`, 1 by default. */
export const timeFactor: number = Number(Deno.env.get("SPFS_TIME_FACTOR") ?? 1);

/** The mounts at or below a path. */
export function mountsBelow(path: string): SeenMount[] {
  return parseMountinfo(Deno.readFileSync("/proc/self/mountinfo")).map((entry) => ({
    mountpoint: text.decode(entry.mountpoint),
    fstype: entry.fstype,
    source: text.decode(entry.source),
    device: `${entry.major}:${entry.minor}`,
  })).filter(({ mountpoint }) => mountpoint === path || mountpoint.startsWith(`${path}/`));
}

/** Where something is mounted in the mount namespace of a process, in order. */
export function mountsIn(pid: number): string[] {
  const mounts = parseMountinfo(Deno.readFileSync(`/proc/${pid}/mountinfo`));
  return mounts.map(({ mountpoint }) => text.decode(mountpoint)).sort();
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid: number): boolean {
  const state = processState(pid);
  return state !== undefined && state !== "Z" && state !== "X";
}

/** The processes that a process's threads have started and that have not been waited for; none when it has ended. */
export function childrenOf(pid: number): number[] {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) =>
      Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).split(" ").filter((word) => word !== "")
        .map(Number)
    );
  } catch {
    return [];
  }
}

/** The state letter of a process, or of a task (`PID/task/TID`), as proc_pid_stat(5) has it; undefined when it is gone. */
export function processState(pid: number | string): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2)[0];
  } catch {
    return undefined;
  }
}

/** A number of /proc/PID/status: "VmRSS" in kB, "Threads". */
export function statusNumber(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  if (match === null) throw new Error(`/proc/${pid}/status has no ${name}`);
  return Number(match[1]);
}

/** The CPU time that a process has used, in nanoseconds, of all its threads that still run. */
export function cpuTimeNs(pid: number): number {
  let sum = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0]);
    } catch {
      // The thread has ended.
    }
  }
  return sum;
}

/**
 * Waits until a condition holds and returns what it gave. For states that nothing announces: looks every few milliseconds.
 *
 * @throws {Error} naming `what` when it does not come true in time.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs * timeFactor;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs * timeFactor} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits for a promise. @throws {Error} naming `what` when it does not settle in time. */
export async function within<T>(what: string, promise: Promise<T>, limitMs = 10_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const limit = limitMs * timeFactor;
    timer = setTimeout(() => reject(new Error(`not within ${limit} ms: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
