/**
 * A thread that makes calls for a mount whose backing may not answer: one after the other, as whoever it is told.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { Errno, SysError } from "../ffi/errno.ts";
import { CLONE_FS } from "../ffi/sys/constants.ts";
import { umask } from "../ffi/sys/dir.ts";
import { write } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import { unshare } from "../ffi/sys/namespace.ts";
import { Caller } from "../fs/caller.ts";
import { fromMessage, make } from "../fs/calls.ts";
import { type CallOrder, type CallReports, OVER, RESULT, TELLING } from "./call_reports.ts";

declare const self: DedicatedWorkerGlobalScope;

check(unshare(CLONE_FS), "unshare"); // a umask of its own
umask(0);
const caller = new Caller();

function carryOut({ call, acting }: CallOrder): number {
  try {
    caller.act(acting);
  } catch (error) {
    return error instanceof SysError ? -error.errno : -Errno.EIO;
  }
  return make(fromMessage(call));
}

self.onmessage = ({ data: { state, waker } }: MessageEvent<CallReports>) => {
  const one = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
  self.onmessage = ({ data }: MessageEvent<CallOrder>) => {
    state[RESULT] = carryOut(data);
    Atomics.store(state, TELLING, 1);
    Atomics.store(state, OVER, 1);
    write(waker, one);
    Atomics.store(state, TELLING, 0);
  };
};
