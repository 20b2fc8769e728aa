/**
 * The main thread's side of a worker that reads images.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { fromWorker } from "./control_errors.ts";
import type { ImageNodes, ImagesReply, ImagesRequest } from "./images_messages.ts";

/**
 * Reads images on a worker of its own.
 *
 * @param signal when it is aborted, the promise rejects at once with its reason
 * @throws {ControlError} through the promise: `bad_images`, `system`
 */
export async function readImagesOn(
  worker: Worker,
  request: ImagesRequest,
  signal: AbortSignal,
): Promise<ImageNodes> {
  const { promise, resolve, reject } = Promise.withResolvers<ImageNodes>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const broken = (how: string) => reject(new ControlError("internal", `the images' worker ${how}`));
  worker.onmessage = ({ data }: MessageEvent<ImagesReply>) => {
    if (data.ok) resolve(data.result);
    else reject(fromWorker(data.error));
  };
  worker.onmessageerror = () => broken("sent what cannot be read");
  worker.onerror = (event) => {
    event.preventDefault();
    broken(`failed: ${event.message}`);
  };
  worker.postMessage(request);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    worker.terminate();
  }
}
