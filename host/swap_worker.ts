/**
 * The swap worker: the one thread that traces. Everything in it is synchronous, and a task that it traces is let go when it ends.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { SwapOrder, SwapReply } from "./swap_messages.ts";
import { runSwapOrder } from "./swap_order.ts";
import { workerError } from "./worker_error.ts";

function post(reply: SwapReply): void {
  self.postMessage(reply);
}

self.onmessage = ({ data }: MessageEvent<SwapOrder>) => {
  try {
    post({ outcome: runSwapOrder(data, (step, detail) => post({ progress: { step, detail } })) });
  } catch (error) {
    post({ error: workerError(error) });
  }
};
