/**
 * The main thread's side of namespace workers: a job runs on a worker that does nothing else meanwhile, because it may block for ever.
 *
 * Most jobs take less than loading a worker does, which is work for a core and takes memory. So a job waits first for a worker that is
 * there, and only when none has been done for a moment another one is loaded for it. A worker that is done takes the next job that waits, and
 * ends when none comes for a moment.
 *
 * @module
 */

import { fromWorker } from "./control_errors.ts";
import type { NamespaceJob, NamespaceJobs, NamespaceLoaded, NamespaceReply } from "./namespace_messages.ts";
import { after, type Timer } from "./timer.ts";

/** How a job is run. */
export interface JobOptions<J extends NamespaceJob> {
  /**
   * When it is aborted, the promise rejects at once with its reason. A worker is not ended for that, since it may be inside a system
   * call that owns descriptors: it is left alone until it answers.
   */
  readonly signal?: AbortSignal;
  /** Takes the result of a job that nobody waits for any more. */
  readonly late?: (result: NamespaceJobs[J]["result"]) => void;
}

/** Runs a job on a worker. */
export interface RunJob {
  <J extends NamespaceJob>(
    name: J,
    job: NamespaceJobs[J]["job"],
    options?: JobOptions<J>,
  ): Promise<NamespaceJobs[J]["result"]>;
  /** Has a worker load for a job that is about to come, unless one waits for jobs already. It ends when none comes for half a minute. */
  readonly ahead: () => void;
}

/** How many workers load at a time. */
const loadingAtOnce = 4;

/** How a pool of workers is kept; all times in milliseconds. */
export interface PoolTimes {
  /** How long a worker without a job is kept for the next one. */
  readonly lingerMs: number;
  /** The same for one that was started ahead and has had no job yet. */
  readonly aheadMs: number;
  /** How long a job waits while none of the workers that are there is done, before others are loaded. */
  readonly patienceMs: number;
}

/** Jobs are done in a millisecond, the first one of a worker in some more, or wait for something that may take seconds. */
const defaultTimes: PoolTimes = { lingerMs: 1000, aheadMs: 30_000, patienceMs: 50 };

/**
 * A function that runs jobs.
 *
 * @param start starts a worker
 */
export function createRunJob(start: () => Worker, times: PoolTimes = defaultTimes): RunJob {
  const pool = new Pool(start, times);
  const run = <J extends NamespaceJob>(
    name: J,
    job: NamespaceJobs[J]["job"],
    { signal, late }: JobOptions<J> = {},
  ): Promise<NamespaceJobs[J]["result"]> => {
    const { promise, resolve, reject } = Promise.withResolvers<NamespaceJobs[typeof name]["result"]>();
    if (signal?.aborted) {
      reject(signal.reason);
      return promise;
    }
    let abandoned = false;
    const abandon = () => {
      abandoned = true;
      pool.forget(task);
      reject(signal!.reason);
    };
    signal?.addEventListener("abort", abandon, { once: true });
    const settle = (reply: NamespaceReply) => {
      signal?.removeEventListener("abort", abandon);
      if (!reply.ok) return reject(fromWorker(reply.error));
      const result = reply.result as NamespaceJobs[typeof name]["result"];
      if (abandoned) late?.(result);
      else resolve(result);
    };
    const task: Task = { message: { name, job }, settle };
    pool.add(task);
    return promise;
  };
  return Object.assign(run, { ahead: () => pool.ahead() });
}

interface Task {
  readonly message: unknown;
  readonly settle: (reply: NamespaceReply) => void;
}

class Pool {
  readonly #start: () => Worker;
  readonly #times: PoolTimes;
  readonly #waiting: Task[] = [];
  readonly #running = new Map<Worker, Task>();
  readonly #idle = new Map<Worker, Timer>();
  /** Those that were started ahead and have had no job. */
  readonly #ahead = new WeakSet<Worker>();
  #loading = 0;
  /** Set while a job waits and no worker loads. */
  #patience: Timer | undefined;

  constructor(start: () => Worker, times: PoolTimes) {
    this.#start = start;
    this.#times = times;
  }

  ahead(): void {
    if (this.#idle.size === 0 && this.#loading === 0) this.#ahead.add(this.#startOne());
  }

  add(task: Task): void {
    this.#waiting.push(task);
    for (const [worker, timer] of this.#idle) {
      timer.cancel();
      this.#idle.delete(worker);
      return this.#next(worker);
    }
    if (this.#running.size === 0) this.#load(1);
    else this.#wait();
  }

  /** Drops a task that no worker has begun. */
  forget(task: Task): void {
    const at = this.#waiting.indexOf(task);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Starts workers for tasks that wait, so that at most so many load. */
  #load(most: number): void {
    while (this.#loading < most && this.#loading < this.#waiting.length) this.#startOne();
  }

  /** Has workers loaded for the tasks that wait, unless one is done, or has loaded, before. */
  #wait(): void {
    this.#patience?.cancel();
    if (this.#waiting.length === 0 || this.#loading > 0) return;
    this.#patience = after(this.#times.patienceMs, () => this.#load(loadingAtOnce));
  }

  #startOne(): Worker {
    const worker = this.#start();
    let loaded = false;
    this.#loading++;
    const load = () => {
      if (!loaded) this.#loading--;
      loaded = true;
    };
    const fail = (message: string) => {
      load();
      worker.terminate();
      const task = this.#running.get(worker) ?? this.#waiting.shift();
      this.#running.delete(worker);
      task?.settle({ ok: false, error: { kind: "internal", message } });
      this.#load(1);
    };
    worker.onmessage = ({ data }: MessageEvent<NamespaceReply | NamespaceLoaded>) => {
      if ("loaded" in data) load();
      else this.#finish(worker, data);
      this.#next(worker);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      fail(`the namespace worker failed: ${event.message}`);
    };
    worker.onmessageerror = () => fail("the namespace worker sent what cannot be read");
    return worker;
  }

  #finish(worker: Worker, reply: NamespaceReply): void {
    const task = this.#running.get(worker);
    this.#running.delete(worker);
    task?.settle(reply);
  }

  /** Gives a free worker the next task, or lets it wait for one. */
  #next(worker: Worker): void {
    const task = this.#waiting.shift();
    if (task !== undefined) {
      this.#ahead.delete(worker);
      this.#running.set(worker, task);
      worker.postMessage(task.message);
    } else {
      const end = () => {
        this.#idle.delete(worker);
        worker.terminate();
      };
      const { aheadMs, lingerMs } = this.#times;
      this.#idle.set(worker, after(this.#ahead.has(worker) ? aheadMs : lingerMs, end, { unref: true }));
    }
    this.#wait();
  }
}
