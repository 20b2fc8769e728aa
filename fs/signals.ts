/**
 * Whether a signal is really pending for a task: the kernel sends FUSE_INTERRUPT also when a tracer, the freezer or SIGSTOP merely
 * wakes the task, and an EINTR answer would then be an error that nobody caused.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { readProcFile } from "../ffi/sys/process.ts";

/** Which pending signals end a wait: `any` that is not blocked, as FUSE does it, or `fatal` ones only, as a hard NFS mount does it. */
export type InterruptPolicy = "any" | "fatal";

/** The signal sets of a task, as bit masks; bit N-1 is signal N (proc(5), `/proc/pid/status`). */
export interface SignalSets {
  /** Pending for the thread: SigPnd. */
  readonly thread: bigint;
  /** Pending for the process: ShdPnd. */
  readonly process: bigint;
  /** Blocked: SigBlk. */
  readonly blocked: bigint;
  /** Ignored: SigIgn. */
  readonly ignored: bigint;
  /** Caught by a handler: SigCgt. */
  readonly caught: bigint;
}

const bit = (signal: number) => 1n << BigInt(signal - 1);
const SIGKILL = bit(9);
// SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU stop, SIGCONT continues, SIGCHLD, SIGURG and SIGWINCH do nothing unless they are caught.
const HARMLESS_BY_DEFAULT = [17, 18, 19, 20, 21, 22, 23, 28].reduce((set, signal) => set | bit(signal), 0n);

const decoder = new TextDecoder("latin1");

/** Reads the signal sets out of a `/proc/pid/status`; a set that is missing counts as empty. */
export function parseSignalSets(status: Uint8Array): SignalSets {
  const text = decoder.decode(status);
  const set = (name: string) => {
    const match = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(text);
    return match === null ? 0n : BigInt(`0x${match[1]}`);
  };
  return {
    thread: set("SigPnd"),
    process: set("ShdPnd"),
    blocked: set("SigBlk"),
    ignored: set("SigIgn"),
    caught: set("SigCgt"),
  };
}

/** Whether these sets hold a signal that ends a wait under `policy`. A fatal signal shows as SIGKILL in every thread's own set. */
export function endsWait(sets: SignalSets, policy: InterruptPolicy): boolean {
  const pending = sets.thread | sets.process;
  if (pending & SIGKILL) return true;
  const deliverable = pending & ~sets.blocked & ~sets.ignored & ~(HARMLESS_BY_DEFAULT & ~sets.caught);
  return (policy === "any" ? deliverable : deliverable & ~sets.caught) !== 0n;
}

/**
 * Whether the wait of task `tid` is to end. Reads `/proc/TID/status`, which never blocks; about 15 us.
 *
 * @param tid in our pid namespace; 0 stands for a task that it cannot see: then the kernel's word is all there is, and the answer yes.
 */
export function waitEnded(tid: number, policy: InterruptPolicy): boolean {
  if (tid === 0) return true;
  const status = readProcFile(`/proc/${tid}/status`);
  if (typeof status === "number") return status === -Errno.ENOENT || status === -Errno.ESRCH;
  return endsWait(parseSignalSets(status), policy);
}
