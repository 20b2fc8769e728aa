/**
 * The worker that reads CRIU's images: it may block for ever, as reading files does, and is then left alone. It is a worker of its own so that
 * what reads images is no part of the workers that serve mounts, of which there is one each.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { readImageNodes } from "./image_nodes.ts";
import { readNotedMounts } from "./noted_mounts.ts";
import type { ImagesReply, ImagesRequest } from "./images_messages.ts";
import { workerError } from "./worker_error.ts";

self.onmessage = ({ data }: MessageEvent<ImagesRequest>) => {
  let reply: ImagesReply;
  try {
    reply = { ok: true, result: data.job === "nodes" ? readImageNodes(data) : readNotedMounts(data) };
  } catch (error) {
    reply = { ok: false, error: workerError(error) };
  }
  self.postMessage(reply);
};
