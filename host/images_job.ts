/**
 * The main thread's side of a worker that reads images.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { fromWorker } from "./control_errors.ts";
import type { ImagesJobs, ImagesReply } from "./images_messages.ts";

/**
 * Reads images on a worker of its own.
 *
 * @param signal when it is aborted, the promise rejects at once with its reason
 * @throws {ControlError} through the promise: `bad_images`, `system`
 */
export async function readImagesOn<J extends keyof ImagesJobs>(
  worker: Worker,
  job: J,
  request: ImagesJobs[J]["request"],
  signal: AbortSignal,
): Promise<ImagesJobs[J]["result"]> {
  const { promise, resolve, reject } = Promise.withResolvers<ImagesJobs[J]["result"]>();
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
  worker.postMessage({ job, ...request });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    worker.terminate();
  }
}
