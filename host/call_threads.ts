/**
 * The threads that make the calls of one mount whose backing may not answer. One is there from the beginning; when a call has to wait for a
 * thread, one more is started, up to a limit: those that are stuck stay stuck until the backing answers.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import type { Acting } from "../fs/caller.ts";
import { type Call, toMessage } from "../fs/calls.ts";
import type { CallThreads } from "../fs/tasks.ts";
import type { CallOrder } from "./call_worker.ts";
import { startCallWorker } from "./workers.ts";

/** The most threads of a mount. Each costs as much memory as an empty worker. */
const MOST = 16;
/** How long a call waits for a thread before there is one more, in milliseconds. */
const PATIENCE_MS = 2;
/** How long a thread that has nothing to do is kept, but for the first, in milliseconds. */
const KEPT_MS = 10_000;

interface Job {
  /** Kept here for the memory that it refers to. */
  readonly call: Call;
  readonly acting: Acting;
  readonly done: (result: number) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | undefined;
  /** Until when it may have nothing to do. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Such threads. Belongs to the mount's worker. */
export class WorkerThreads implements CallThreads {
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = []; // used last, last
  readonly #queue = new Set<Job>();
  readonly #lost: (reason: string) => void;
  #growing: ReturnType<typeof setTimeout> | undefined;

  /** `lost` is told when a thread breaks, which it never should; its call fails with EIO. */
  constructor(lost: (reason: string) => void) {
    this.#lost = lost;
    this.#idle.push(this.#start());
  }

  make(call: Call, acting: Acting, done: (result: number) => void): () => boolean {
    const job = { call, acting, done };
    const thread = this.#idle.pop();
    if (thread !== undefined) this.#give(thread, job);
    else {
      this.#queue.add(job);
      this.#growing ??= setTimeout(() => this.#grow(), PATIENCE_MS);
    }
    return () => this.#queue.delete(job);
  }

  end(): void {
    clearTimeout(this.#growing);
    for (const thread of this.#threads) this.#stop(thread);
    this.#queue.clear();
  }

  #start(): Thread {
    const thread: Thread = { worker: startCallWorker(), job: undefined, timer: undefined };
    thread.worker.onmessage = ({ data }: MessageEvent<number>) => this.#over(thread, data);
    thread.worker.onerror = (event) => {
      event.preventDefault();
      this.#stop(thread);
      this.#lost(`a thread that makes calls failed: ${event.message}`);
      thread.job?.done(-Errno.EIO);
      if (this.#queue.size > 0) this.#grow();
    };
    this.#threads.add(thread);
    return thread;
  }

  #stop(thread: Thread): void {
    clearTimeout(thread.timer);
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#threads.delete(thread);
    thread.worker.terminate();
  }

  #give(thread: Thread, job: Job): void {
    clearTimeout(thread.timer);
    thread.job = job;
    const order: CallOrder = { call: toMessage(job.call), acting: job.acting };
    thread.worker.postMessage(order);
  }

  #over(thread: Thread, result: number): void {
    const { done } = thread.job!;
    thread.job = undefined;
    const next = this.#next();
    if (next !== undefined) this.#give(thread, next);
    else this.#rest(thread);
    done(result);
  }

  #next(): Job | undefined {
    for (const job of this.#queue) {
      this.#queue.delete(job);
      return job;
    }
    return undefined;
  }

  #rest(thread: Thread): void {
    this.#idle.push(thread);
    thread.timer = setTimeout(() => {
      if (this.#threads.size > 1) this.#stop(thread);
    }, KEPT_MS);
  }

  /** A call waits: all threads are at calls that take their time. */
  #grow(): void {
    clearTimeout(this.#growing);
    this.#growing = undefined;
    if (this.#queue.size === 0 || this.#threads.size >= MOST) return;
    this.#give(this.#start(), this.#next()!);
    if (this.#queue.size > 0) this.#growing = setTimeout(() => this.#grow(), PATIENCE_MS);
  }
}
