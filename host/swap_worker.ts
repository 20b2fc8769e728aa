/**
 * The swap worker: the one thread that traces. Everything in it is synchronous, and a task that it traces is let go when it ends.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { rehearse } from "../swap/rehearsal.ts";
import { releaseLate } from "../swap/stop.ts";
import type { SwapDetail, SwapOrder, SwapReply, SwapStep } from "./swap_messages.ts";
import { runStubOrder, runSwapOrder } from "./swap_order.ts";
import { workerError } from "./worker_error.ts";

function post(reply: SwapReply): void {
  self.postMessage(reply);
}

/** Asks the main thread for a file, and waits for the answer. */
function openNode(nodeid: bigint): number {
  const answer = new Int32Array(new SharedArrayBuffer(8));
  post({ openNode: nodeid, answer });
  Atomics.wait(answer, 1, 0);
  return answer[0]!;
}

/** How often those are looked at that did not stop in time and so could not be let go, in milliseconds. */
const lateEveryMs = 5;

function releaseThoseLate(): void {
  if (releaseLate()) setTimeout(releaseThoseLate, lateEveryMs);
}

let rehearsed = false;

self.onmessage = ({ data }: MessageEvent<SwapOrder>) => {
  const progress = (step: SwapStep, detail: SwapDetail) => post({ progress: { step, detail } });
  if (!rehearsed) rehearse();
  rehearsed = true;
  try {
    post({
      outcome: data.kind === "stub" ? runStubOrder(data, progress, openNode) : runSwapOrder(data, progress),
    });
  } catch (error) {
    post({ error: workerError(error) });
  }
  releaseThoseLate();
};
