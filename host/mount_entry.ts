/**
 * The entry of a mount worker: the mount worker itself, and before it the check of its mountpoint and the reading of CRIU's images, which
 * may block for ever on a path through a mount that does not answer. A worker of its own for that would cost every mount 25 ms and some MiB.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import "./mount_worker.ts";
import { checkMountpoint } from "./mountpoint_check.ts";
import { workerError } from "./worker_error.ts";
import { rehearse } from "./rehearsal.ts";
import type { PostedRequest, RehearsalOrder, WorkerCalls, WorkerReply } from "./worker_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

const serve = self.onmessage!;

/** What this entry answers. */
type Early = Extract<PostedRequest, { type: "check" | "readNodes" | "readNoted" }>;

async function carryOut(request: Early): Promise<WorkerCalls[Early["type"]]["result"]> {
  if (request.type === "check") return { path: checkMountpoint(request.mountpoint) };
  const { readForMounts } = await import("./images_reading.ts");
  return readForMounts(request);
}

async function answer(request: Early): Promise<void> {
  const { mount, seq } = request;
  let reply: WorkerReply;
  try {
    reply = { mount, seq, ok: true, result: await carryOut(request) };
  } catch (error) {
    reply = { mount, seq, ok: false, error: workerError(error) };
  }
  self.postMessage(reply);
}

try {
  checkMountpoint(new TextEncoder().encode("/proc")); // the first time takes milliseconds, which the first worker has
} catch {
  // What fails here fails again, and is told, when a mount is asked for.
}

let asked = false;

self.onmessage = (event: MessageEvent<PostedRequest | RehearsalOrder>) => {
  const { data: request } = event;
  if (request.type === "rehearse") return void rehearse(() => asked);
  asked = true;
  if (request.type === "check" || request.type === "readNodes" || request.type === "readNoted") {
    void answer(request);
  } else serve.call(self, event);
};
