/**
 * The main thread's side of the swap worker: one worker, since a task can have one tracer; orders wait for each other. The worker is
 * started for the first order and ends when none comes for a while.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { Errno } from "../ffi/errno.ts";
import { fromWorker } from "./control_errors.ts";
import type { RunSwap, SwapHooks, SwapOrder, SwapOutcome, SwapReply } from "./swap_messages.ts";

interface Task extends PromiseWithResolvers<SwapOutcome> {
  readonly order: SwapOrder;
  readonly hooks: SwapHooks;
  /** Stops listening to the signal. */
  settled(): void;
}

/**
 * A function that carries out swaps.
 *
 * @param start starts the worker
 * @param lingerMs how long the worker is kept without an order, in milliseconds
 */
export function createRunSwap(start: () => Worker, lingerMs: number = 1000): RunSwap {
  const queue = new Queue(start, lingerMs);
  return (order, hooks = {}) => queue.add(order, hooks);
}

class Queue {
  readonly #start: () => Worker;
  readonly #lingerMs: number;
  readonly #waiting: Task[] = [];
  #running: Task | undefined;
  #worker: Worker | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(start: () => Worker, lingerMs: number) {
    this.#start = start;
    this.#lingerMs = lingerMs;
  }

  add(order: SwapOrder, hooks: SwapHooks): Promise<SwapOutcome> {
    const { signal } = hooks;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const takeBack = () => {
      const at = this.#waiting.indexOf(task);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      task.reject(signal!.reason);
    };
    const task: Task = {
      ...Promise.withResolvers<SwapOutcome>(),
      order,
      hooks,
      settled: () => signal?.removeEventListener("abort", takeBack),
    };
    signal?.addEventListener("abort", takeBack, { once: true });
    this.#waiting.push(task);
    this.#next();
    return task.promise;
  }

  /** Gives the worker the next order, unless it has one; without orders it lingers. */
  #next(): void {
    if (this.#running !== undefined) return;
    clearTimeout(this.#linger);
    const task = this.#waiting.shift();
    if (task === undefined) {
      this.#linger = setTimeout(() => this.#endWorker(), this.#lingerMs);
      Deno.unrefTimer(this.#linger);
      return;
    }
    this.#running = task;
    task.settled();
    task.hooks.begun?.();
    this.#worker ??= this.#startWorker();
    this.#worker.postMessage(task.order);
  }

  #startWorker(): Worker {
    const worker = this.#start();
    worker.onmessage = ({ data }: MessageEvent<SwapReply>) => {
      if (worker !== this.#worker) return;
      if ("progress" in data) this.#running?.hooks.progress?.(data.progress.step, data.progress.detail);
      else if ("openNode" in data) void this.#openNode(data);
      else if ("outcome" in data) this.#finish((task) => task.resolve(data.outcome));
      else this.#finish((task) => task.reject(fromWorker(data.error)));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(worker, `the swap worker failed: ${event.message}`);
    };
    worker.onmessageerror = () => this.#fail(worker, "the swap worker sent what cannot be read");
    return worker;
  }

  async #openNode({ openNode, answer }: Extract<SwapReply, { openNode: bigint }>): Promise<void> {
    try {
      answer[0] = await this.#running?.hooks.openNode?.(openNode) ?? -Errno.ENOENT;
    } catch {
      answer[0] = -Errno.EIO;
    }
    answer[1] = 1;
    Atomics.notify(answer, 1);
  }

  /** A worker that failed is in no known state: it is ended, and the next order gets a new one. */
  #fail(worker: Worker, message: string): void {
    if (worker !== this.#worker) return;
    this.#endWorker();
    this.#finish((task) => task.reject(new ControlError("internal", message)));
  }

  #finish(settle: (task: Task) => void): void {
    const task = this.#running;
    this.#running = undefined;
    if (task !== undefined) settle(task);
    this.#next();
  }

  #endWorker(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}
