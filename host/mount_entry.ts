/**
 * The entry of a mount worker: the mount worker itself, and before it the check of its mountpoint, which may block for ever on a path
 * through a mount that does not answer. A worker of its own for that would cost every mount 25 ms and some MiB.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import "./mount_worker.ts";
import { checkMountpoint } from "./mountpoint_check.ts";
import { workerError } from "./worker_error.ts";
import type { PostedRequest, WorkerReply } from "./worker_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

const serve = self.onmessage!;

function check(seq: number, mountpoint: Uint8Array): WorkerReply {
  try {
    return { seq, ok: true, result: { path: checkMountpoint(mountpoint) } };
  } catch (error) {
    return { seq, ok: false, error: workerError(error) };
  }
}

try {
  checkMountpoint(new TextEncoder().encode("/proc")); // the first time takes milliseconds, which the first worker has
} catch {
  // What fails here fails again, and is told, when a mount is asked for.
}

self.onmessage = (event: MessageEvent<PostedRequest>) => {
  const { data: request } = event;
  if (request.type === "check") self.postMessage(check(request.seq, request.mountpoint));
  else serve.call(self, event);
};
