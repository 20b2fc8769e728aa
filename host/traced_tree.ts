/**
 * Noticing that a restored process tree is let go: CRIU traces every task of it until then.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";

/** How often it is looked, in milliseconds. */
const everyMs = 10;

/**
 * Calls `untraced` once when no task of the tree below a process is traced any more; not after the returned function was called, and never
 * if the process ends before.
 *
 * @throws {ControlError} `invalid_params` when there is no such process
 */
export function whenUntraced(init: number, untraced: () => void): () => void {
  if (isTraced(init) === undefined) throw new ControlError("invalid_params", `process ${init}: ESRCH`);
  const timer = setInterval(() => {
    const traced = isTraced(init);
    if (traced === true) return;
    clearInterval(timer);
    if (traced === false) untraced();
  }, everyMs);
  return () => clearInterval(timer);
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
