/**
 * The main thread's side of namespace workers: a job runs on a worker that does nothing else meanwhile, because it may block for ever.
 *
 * Few workers load at a time: loading one is work for a core, and takes memory. A worker that is done takes the next job that waits, and
 * ends when none comes for a moment.
 *
 * @module
 */

import { fromWorker } from "./control_errors.ts";
import type { NamespaceJob, NamespaceJobs, NamespaceLoaded, NamespaceReply } from "./namespace_messages.ts";

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
  /** Has a worker load for a job that is about to come, unless one waits for jobs already. It ends when none comes for a moment. */
  readonly ahead: () => void;
}

/** How many workers load at a time. */
const loadingAtOnce = 4;

/**
 * A function that runs jobs.
 *
 * @param start starts a worker
 * @param lingerMs how long a worker without a job is kept for the next one, in milliseconds
 */
export function createRunJob(start: () => Worker, lingerMs: number = 1000): RunJob {
  const pool = new Pool(start, lingerMs);
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
  readonly #lingerMs: number;
  readonly #waiting: Task[] = [];
  readonly #running = new Map<Worker, Task>();
  readonly #idle = new Map<Worker, ReturnType<typeof setTimeout>>();
  #loading = 0;

  constructor(start: () => Worker, lingerMs: number) {
    this.#start = start;
    this.#lingerMs = lingerMs;
  }

  ahead(): void {
    if (this.#idle.size === 0 && this.#loading === 0) this.#startOne();
  }

  add(task: Task): void {
    this.#waiting.push(task);
    for (const [worker, timer] of this.#idle) {
      clearTimeout(timer);
      this.#idle.delete(worker);
      return this.#next(worker);
    }
    this.#load();
  }

  /** Drops a task that no worker has begun. */
  forget(task: Task): void {
    const at = this.#waiting.indexOf(task);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Starts workers for the tasks that wait. */
  #load(): void {
    while (this.#loading < loadingAtOnce && this.#loading < this.#waiting.length) this.#startOne();
  }

  #startOne(): void {
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
      this.#load();
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
      this.#running.set(worker, task);
      worker.postMessage(task.message);
    } else {
      const timer = setTimeout(() => {
        this.#idle.delete(worker);
        worker.terminate();
      }, this.#lingerMs);
      Deno.unrefTimer(timer);
      this.#idle.set(worker, timer);
    }
    this.#load();
  }
}
