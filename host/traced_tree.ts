/**
 * Noticing that a restored process tree is let go: CRIU traces every task of it until then.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { every } from "./timer.ts";

/** How often it is looked, in milliseconds. */
const everyMs = 10;

/** Waiting for a tree to be let go. */
export interface UntracedWait {
  /** Waits no longer. */
  cancel(): void;
  /** Waits no longer, as whoever traces the tree has ended: calls `untraced` unless the tree's first process has ended. Returns whether it did. */
  now(): boolean;
}

/**
 * Calls `untraced` once when no task of the tree below a process is traced any more; not after it was cancelled, and never if the process
 * ends before.
 *
 * @throws {ControlError} `invalid_params` when there is no such process
 */
export function whenUntraced(init: number, untraced: () => void): UntracedWait {
  if (isTraced(init) === undefined) throw new ControlError("invalid_params", `process ${init}: ESRCH`);
  const timer = every(everyMs, () => {
    const traced = isTraced(init);
    if (traced === true) return;
    timer.cancel();
    if (traced === false) untraced();
  });
  return {
    cancel: () => timer.cancel(),
    now() {
      timer.cancel();
      if (isTraced(init) === undefined) return false;
      untraced();
      return true;
    },
  };
}

/** Whether a task of a process, or of one below it, is traced; undefined when the process has ended. */
function isTraced(pid: number): boolean | undefined {
  let tids: string[];
  try {
    tids = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name);
  } catch {
    return undefined;
  }
  const found = tids.map((tid) => isTaskTraced(`/proc/${pid}/task/${tid}`));
  return found.every((traced) => traced === undefined) ? undefined : found.includes(true);
}

function isTaskTraced(directory: string): boolean | undefined {
  try {
    const status = Deno.readTextFileSync(`${directory}/status`);
    if (/^State:\t[ZX]/m.test(status)) return undefined;
    if (!/^TracerPid:\t0$/m.test(status)) return true;
    const children = Deno.readTextFileSync(`${directory}/children`).split(" ").filter((pid) => pid !== "");
    return children.some((pid) => isTraced(Number(pid)) === true);
  } catch {
    return undefined; // it has ended meanwhile
  }
}
