/**
 * A tree that CRIU has left stopped.
 *
 * @module
 */

import { SysError } from "../ffi/errno.ts";
import { withDescendants } from "../swap/candidates.ts";

/** Lets a process go on, and all that descend from it, by SIGCONT; those that were stopped before the dump, too. @returns how many there are */
export function resumeTree(root: number): number {
  let pids: number[];
  try {
    pids = withDescendants([root], true);
  } catch (error) {
    if (error instanceof SysError) return 0; // It has ended.
    throw error;
  }
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGCONT");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return pids.length;
}
