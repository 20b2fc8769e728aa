/**
 * Waiting for what a traced task does next.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { __WALL, __WNOTHREAD, wait4, WNOHANG } from "../ffi/sys/ptrace.ts";
import { pause } from "./pause.ts";
import { readStat } from "./task_files.ts";

/** No status: it was not told in time, or never will be. */
export const NOTHING = -1;

/** The first and the longest time between two looks, in milliseconds. */
const LOOK_MS = { first: 0.02, longest: 1 };

/** Whether a status is that of a task that has stopped, and not ended. */
export function isStop(status: number): boolean {
  return status >= 0 && (status & 0xff) === 0x7f;
}

/**
 * The next wait status of a task, as wait4(2) has it, of which this thread is the tracer.
 *
 * @param until performance.now() of the latest moment; one that has passed asks once, and does not wait
 * @param isHopeless asked now and then: whether nothing will be told
 * @returns `NOTHING`, or a negated error number (ECHILD), if there is none
 */
export function statusBefore(tid: number, until: number, isHopeless: () => boolean = () => false): number {
  for (let sleep = LOOK_MS.first;; sleep = Math.min(sleep * 2, LOOK_MS.longest)) {
    const status = wait4(tid, __WALL | __WNOTHREAD | WNOHANG);
    if (status === -Errno.EINTR) continue;
    if (status !== -1) return status;
    if (performance.now() > until || sleep === LOOK_MS.longest && isHopeless()) return NOTHING;
    pause(sleep);
  }
}

/**
 * Waits for the next wait status of a task, however long that takes.
 *
 * @param leads whether it is the first of a process that has others. Its end is told when theirs have been waited for, which is this thread's to
 * do as well: it is `NOTHING`, at once
 */
export function nextStatus(tid: number, leads: boolean): number {
  if (leads) return statusBefore(tid, Infinity, () => readStat(tid)?.state === "Z");
  for (;;) {
    const status = wait4(tid, __WALL | __WNOTHREAD);
    if (status !== -Errno.EINTR) return status;
  }
}
