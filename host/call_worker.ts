/**
 * A thread that makes calls for a mount whose backing may not answer: one after the other, as whoever it is told.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { Errno, SysError } from "../ffi/errno.ts";
import { CLONE_FS } from "../ffi/sys/constants.ts";
import { umask } from "../ffi/sys/dir.ts";
import { check } from "../ffi/sys/libc.ts";
import { unshare } from "../ffi/sys/namespace.ts";
import { type Acting, Caller } from "../fs/caller.ts";
import { type CallMessage, fromMessage, make } from "../fs/calls.ts";

declare const self: DedicatedWorkerGlobalScope;

/** What such a thread is told. Its answer is a number: 0 or more, or -errno. */
export interface CallOrder {
  /** What to call. */
  readonly call: CallMessage;
  /** As whom. */
  readonly acting: Acting;
}

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

self.onmessage = ({ data }: MessageEvent<CallOrder>) => self.postMessage(carryOut(data));
