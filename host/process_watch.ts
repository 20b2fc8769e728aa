/**
 * Noticing the end of a process that is no child of ours.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { errnoName } from "../ffi/errno.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { poll } from "../ffi/sys/poll.ts";
import { pidfdOpen } from "../ffi/sys/process.ts";
import { POLLIN } from "../ffi/sys/constants.ts";
import { every } from "./timer.ts";

/** How often it is looked, in milliseconds. */
const everyMs = 100;

/**
 * Calls `ended` once when the process has ended, a zombie included; not after the returned function was called. A pid that another process
 * gets later does not deceive it.
 *
 * @throws {ControlError} `invalid_params` when there is no such process
 */
export function watchProcess(pid: number, ended: () => void): () => void {
  const fd = pidfdOpen(pid, 0);
  if (fd < 0) {
    throw new ControlError("invalid_params", `process ${pid}: ${errnoName(-fd)}`, { errno: errnoName(-fd) });
  }
  const pidfd = Fd.own(fd);
  const pollfd = new Uint8Array(8);
  const view = new DataView(pollfd.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, POLLIN, true);
  const stop = () => {
    timer.cancel();
    if (!pidfd.closed) pidfd.close();
  };
  const timer = every(everyMs, () => {
    view.setInt16(6, 0, true);
    if (poll(pollfd, 1, 0) <= 0) return;
    stop();
    ended();
  });
  return stop;
}
