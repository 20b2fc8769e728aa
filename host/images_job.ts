/**
 * The main thread's side of workers that read images.
 *
 * @module
 */

import { encodeBytes } from "../control/values.ts";
import { fromWorker } from "./control_errors.ts";
import type { ImagesJobs, ImagesReply } from "./images_messages.ts";

/**
 * Reads images. A directory that does not answer holds up only those who ask about it.
 *
 * @param directory where they are
 * @param signal when it is aborted, the promise rejects at once with its reason
 * @throws {ControlError} through the promise: `bad_images`, `system`
 */
export type ReadImages = <J extends keyof ImagesJobs>(
  job: J,
  directory: Uint8Array,
  request: ImagesJobs[J]["request"],
  signal: AbortSignal,
) => Promise<ImagesJobs[J]["result"]>;

/**
 * A function that reads images, on a worker for each directory: several mounts of one restore ask about one directory, one after the other,
 * and loading the worker takes longer than what it does.
 *
 * @param start starts a worker
 * @param lingerMs how long a worker without a job is kept for the next one, in milliseconds
 */
export function createReadImages(start: () => Worker, lingerMs: number = 1000): ReadImages {
  const readers = new Map<string, Reader>();
  const readerOf = (key: string): Reader => {
    const there = readers.get(key);
    if (there !== undefined) return there;
    const reader = new Reader(start(), lingerMs, () => forget(key, reader));
    readers.set(key, reader);
    return reader;
  };
  const forget = (key: string, reader: Reader) => {
    if (readers.get(key) === reader) readers.delete(key);
  };
  return async (job, directory, request, signal) => {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<ImagesJobs[typeof job]["result"]>();
    const key = encodeBytes(directory).b64;
    const reader = readerOf(key);
    const abort = () => {
      // It may hang for ever. Who asks from now on does not wait for that.
      forget(key, reader);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    reader.ask({ job, ...request }, (reply) => {
      if (reply.ok) resolve(reply.result as ImagesJobs[typeof job]["result"]);
      else reject(fromWorker(reply.error));
    });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  };
}

/** A worker, which answers in the order in which it is asked. */
class Reader {
  readonly #worker: Worker;
  readonly #lingerMs: number;
  readonly #ended: () => void;
  readonly #waiting: ((reply: ImagesReply) => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(worker: Worker, lingerMs: number, ended: () => void) {
    this.#worker = worker;
    this.#lingerMs = lingerMs;
    this.#ended = ended;
    worker.onmessage = ({ data }: MessageEvent<ImagesReply>) => {
      this.#waiting.shift()?.(data);
      if (this.#waiting.length === 0) this.#linger();
    };
    worker.onmessageerror = () => this.#fail("sent what cannot be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`failed: ${event.message}`);
    };
  }

  ask(request: unknown, settle: (reply: ImagesReply) => void): void {
    clearTimeout(this.#timer);
    this.#waiting.push(settle);
    this.#worker.postMessage(request);
  }

  #linger(): void {
    this.#timer = setTimeout(() => this.#end(), this.#lingerMs);
    Deno.unrefTimer(this.#timer);
  }

  #fail(how: string): void {
    this.#end();
    const error = { kind: "internal", message: `the images' worker ${how}` } as const;
    for (const settle of this.#waiting.splice(0)) settle({ ok: false, error });
  }

  #end(): void {
    this.#ended();
    this.#worker.terminate();
  }
}
