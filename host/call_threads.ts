/**
 * The threads that make the calls of one mount whose backing may not answer. One is there from the beginning; when a call has to wait for a
 * thread, one more is started, up to a limit: those that are stuck stay stuck until the backing answers.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { POLLIN } from "../ffi/sys/constants.ts";
import { closeFd, dup, read } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import { PollSet } from "../ffi/sys/poll.ts";
import type { Acting } from "../fs/caller.ts";
import { type Call, toMessage } from "../fs/calls.ts";
import type { CallThreads } from "../fs/tasks.ts";
import { type CallOrder, type CallReports, OVER, RESULT, STATE_LENGTH, TELLING } from "./call_reports.ts";
import { after, type Timer } from "./timer.ts";
import { startCallWorker } from "./workers.ts";

/** The most threads of a mount. Each costs as much memory as an empty worker. */
const MOST = 16;
/** How long a call waits for a thread before there is one more, in milliseconds: starting one holds the mount's worker up for tens of them. */
const PATIENCE_MS = 20;
/** How long a thread that has nothing to do is kept, but for the first, in milliseconds. */
const KEPT_MS = 60_000;

interface Job {
  /** Kept here for the memory that it refers to. */
  readonly call: Call;
  readonly acting: Acting;
  readonly done: (result: number) => void;
}

interface Thread {
  readonly worker: Worker;
  /** See {@linkcode CallReports.state}. */
  readonly state: Int32Array;
  job: Job | undefined;
  /** Until when it may have nothing to do. */
  timer: Timer | undefined;
}

/** Such threads. Belongs to the mount's worker. */
export class WorkerThreads implements CallThreads {
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = []; // used last, last
  readonly #queue = new Set<Job>();
  readonly #waker: number;
  readonly #lost: (reason: string) => void;
  #growing: Timer | undefined;

  /**
   * `waker` is the eventfd of who is to call `collect`. `lost` is told when a thread breaks, which it never should; its call fails with EIO.
   *
   * @throws {SysError} EMFILE
   */
  constructor(waker: number, lost: (reason: string) => void) {
    this.#waker = check(dup(waker), "fcntl");
    this.#lost = lost;
    this.#idle.push(this.#start());
  }

  make(call: Call, acting: Acting, done: (result: number) => void): () => boolean {
    const job = { call, acting, done };
    const thread = this.#idle.pop();
    if (thread !== undefined) this.#give(thread, job);
    else {
      this.#queue.add(job);
      this.#growing ??= after(PATIENCE_MS, () => this.#grow());
    }
    return () => this.#queue.delete(job);
  }

  collect(): void {
    for (const thread of this.#threads) {
      if (thread.job === undefined || Atomics.exchange(thread.state, OVER, 0) === 0) continue;
      this.#over(thread, thread.state[RESULT]!);
    }
  }

  async settle(ms: number): Promise<void> {
    const poll = new PollSet([{ fd: this.#waker, events: POLLIN }]);
    const until = performance.now() + ms;
    for (
      let left = ms;
      this.#idle.length < this.#threads.size && left > 0;
      left = until - performance.now()
    ) {
      if (await poll.waitAsync(Math.ceil(left)) > 0) read(this.#waker, new Uint8Array(8));
      this.collect();
    }
  }

  end(): void {
    this.#growing?.cancel();
    // A thread that is stuck will write to it, if it comes back; by then the number must not be another one's. Idle is also who is about to.
    const isQuiet = this.#idle.every(({ state }) => Atomics.load(state, TELLING) === 0);
    if (isQuiet && this.#idle.length === this.#threads.size) closeFd(this.#waker);
    for (const thread of this.#threads) this.#stop(thread);
    this.#queue.clear();
  }

  #start(): Thread {
    const state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * STATE_LENGTH));
    const thread: Thread = { worker: startCallWorker(), state, job: undefined, timer: undefined };
    const reports: CallReports = { state, waker: this.#waker };
    thread.worker.postMessage(reports);
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
    thread.timer?.cancel();
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#threads.delete(thread);
    thread.worker.terminate();
  }

  #give(thread: Thread, job: Job): void {
    thread.timer?.cancel();
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
    thread.timer = after(KEPT_MS, () => {
      if (this.#threads.size > 1) this.#stop(thread);
    });
  }

  /** A call waits: all threads are at calls that take their time. */
  #grow(): void {
    this.#growing?.cancel();
    this.#growing = undefined;
    if (this.#queue.size === 0 || this.#threads.size >= MOST) return;
    this.#give(this.#start(), this.#next()!);
    if (this.#queue.size > 0) this.#growing = after(PATIENCE_MS, () => this.#grow());
  }
}
