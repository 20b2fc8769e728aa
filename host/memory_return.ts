/**
 * Giving memory back to the kernel that a mount has needed for a while: buffers of open directories, copies of requests that wait, and what
 * V8 has on the side. Freed memory otherwise stays with the C library for good.
 *
 * @module
 */

import { mallocTrim } from "../ffi/sys/memory.ts";
import { after } from "./timer.ts";

/** How long nobody must have asked for anything, in milliseconds. */
const IDLE_MS = 10_000;
/** How often it is done then, since V8 collects what a thread has left behind in several goes, 8 s after it has gone to sleep and later. */
const TIMES = 3;

/** Watches over one mount. Costs a timer while requests come, and nothing while none do. */
export class MemoryReturn {
  readonly #served: () => number;
  readonly #trim: () => void;
  readonly #later: (act: () => void) => () => void;
  #cancel: (() => void) | undefined;
  #seen = 0;
  #left = 0;

  /** `served`: how many requests there have been; `trim`: gives memory back; `later`: does something after a while, unless it is cancelled. */
  constructor(served: () => number, trim: () => void = mallocTrim, later = afterIdling) {
    this.#served = served;
    this.#trim = trim;
    this.#later = later;
  }

  /** Requests have been served. To be called whenever the mount is about to wait for others. */
  active(): void {
    if (this.#cancel === undefined && this.#seen !== this.#served()) this.#wait();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #wait(): void {
    if (this.#seen !== this.#served()) this.#left = TIMES;
    this.#seen = this.#served();
    this.#cancel = this.#later(() => {
      this.#cancel = undefined;
      if (this.#seen === this.#served()) {
        this.#trim();
        this.#left--;
      }
      if (this.#left > 0) this.#wait();
    });
  }
}

function afterIdling(act: () => void): () => void {
  const timer = after(IDLE_MS, act);
  return () => timer.cancel();
}
