/**
 * Whose mount is it: the tag that spfs gives its mounts as their source, and by which a mount whose daemon is dead is told from a
 * living one by /proc/self/mountinfo alone.
 *
 * A pid alone is used again by other processes; with the start time it names one process of a boot, within the PID namespace whose
 * inode number is part of the tag.
 *
 * @module
 */
import { parseStat, type TaskStat } from "../swap/procfs/stat.ts";

/** A process, unambiguously. */
export interface Owner {
  /** The inode number of its PID namespace. */
  readonly pidNamespace: bigint;
  /** Its pid there. */
  readonly pid: number;
  /** When it started: clock ticks after boot, field 22 of /proc/PID/stat. */
  readonly startTime: bigint;
}

/** The tag of a process: `spfs:NAMESPACE:PID:STARTTIME`. Pure. */
export function formatOwnerTag(owner: Owner): string {
  return `spfs:${owner.pidNamespace}:${owner.pid}:${owner.startTime}`;
}

/** Reads a tag; undefined when the text is none. Pure. */
export function parseOwnerTag(text: string): Owner | undefined {
  const match = /^spfs:(\d{1,20}):([1-9]\d{0,9}):(\d{1,20})$/.exec(text);
  if (match === null) return undefined;
  return { pidNamespace: BigInt(match[1]!), pid: Number(match[2]), startTime: BigInt(match[3]!) };
}

/** The tag of this process. Reads /proc; does not block. */
export function ownOwner(): Owner {
  const stat = parseStat(Deno.readFileSync("/proc/self/stat"));
  return { pidNamespace: ownPidNamespace(), pid: Deno.pid, startTime: stat.startTime };
}

/** The inode number of this process's PID namespace. */
export function ownPidNamespace(): bigint {
  const link = Deno.readLinkSync("/proc/self/ns/pid"); // pid:[4026531836]
  return BigInt(link.slice(link.indexOf("[") + 1, -1));
}

/**
 * Whether an owner is certainly dead. An owner of another PID namespace cannot be looked up, and is never called dead. Reads /proc;
 * does not block.
 */
export function isDead(owner: Owner, pidNamespace: bigint = ownPidNamespace()): boolean {
  if (owner.pidNamespace !== pidNamespace) return false;
  let stat: TaskStat;
  try {
    stat = parseStat(Deno.readFileSync(`/proc/${owner.pid}/stat`));
  } catch (error) {
    return error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ESRCH";
  }
  // The leader of a Deno process ends with the process. Threads that it leaves are inside system calls that do not end, such as a
  // notification to the kernel about a page whose reader waits for the answer of this very process.
  return stat.startTime !== owner.startTime || stat.state === "Z" || stat.state === "X";
}
