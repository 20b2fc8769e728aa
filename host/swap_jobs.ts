/**
 * Orders to the tracer: there is one, since a task can have one tracer; orders wait for each other. It is started for the first order and
 * ends when none comes for a while.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { Errno } from "../ffi/errno.ts";
import { fromWorker } from "./control_errors.ts";
import { closeFd } from "../ffi/sys/file.ts";
import { after, type Timer } from "./timer.ts";
import type {
  RunSwap,
  SwapHooks,
  SwapOrder,
  SwapOutcome,
  SwapReply,
  Tracer,
  TracerEvents,
} from "./swap_messages.ts";

interface Task extends PromiseWithResolvers<SwapOutcome> {
  readonly order: SwapOrder;
  readonly hooks: SwapHooks;
  /** Stops listening to the signal. */
  settled(): void;
  /** Descriptors that the tracer was given. */
  readonly given: number[];
}

/** Starts a tracer. */
export type StartTracer = (events: TracerEvents) => Tracer;

/**
 * A function that carries out swaps.
 *
 * @param lingerMs how long the tracer is kept without an order, in milliseconds
 */
export function createRunSwap(start: StartTracer, lingerMs: number = 1000): RunSwap {
  const queue = new Queue(start, lingerMs);
  return (order, hooks = {}) => queue.add(order, hooks);
}

class Queue {
  readonly #start: StartTracer;
  readonly #lingerMs: number;
  readonly #waiting: Task[] = [];
  #running: Task | undefined;
  #tracer: Tracer | undefined;
  #linger: Timer | undefined;

  constructor(start: StartTracer, lingerMs: number) {
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
      given: [],
      settled: () => signal?.removeEventListener("abort", takeBack),
    };
    signal?.addEventListener("abort", takeBack, { once: true });
    this.#waiting.push(task);
    this.#next();
    return task.promise;
  }

  /** Gives the tracer the next order, unless it has one; without orders it lingers. */
  #next(): void {
    if (this.#running !== undefined) return;
    this.#linger?.cancel();
    const task = this.#waiting.shift();
    if (task === undefined) {
      this.#linger = after(this.#lingerMs, () => this.#endTracer(), { unref: true });
      return;
    }
    this.#running = task;
    task.settled();
    task.hooks.begun?.();
    this.#tracer ??= this.#startTracer();
    this.#tracer.send({ order: task.order });
  }

  #startTracer(): Tracer {
    const tracer = this.#start({
      replied: (reply) => {
        if (tracer === this.#tracer) this.#take(reply);
      },
      failed: (message, refusal) => {
        if (tracer !== this.#tracer) return;
        // The next order gets a new one.
        this.#endTracer();
        const error = new ControlError("internal", `the tracer failed: ${message}`);
        this.#finish((task) => refusal === undefined ? task.reject(error) : task.resolve(refusal));
      },
    });
    return tracer;
  }

  #take(reply: SwapReply): void {
    if ("progress" in reply) this.#running?.hooks.progress?.(reply.progress.step, reply.progress.detail);
    else if ("openNode" in reply) void this.#openNode(reply.openNode);
    else if ("outcome" in reply) this.#finish((task) => task.resolve(reply.outcome));
    else this.#finish((task) => task.reject(fromWorker(reply.error)));
  }

  async #openNode(nodeid: bigint): Promise<void> {
    const [task, tracer] = [this.#running, this.#tracer];
    let node: number;
    try {
      node = await task?.hooks.openNode?.(nodeid) ?? -Errno.ENOENT;
    } catch {
      node = -Errno.EIO;
    }
    if (node >= 0) {
      if (task === undefined || task !== this.#running) return void closeFd(node);
      task.given.push(node);
    }
    tracer?.send({ node });
  }

  #finish(settle: (task: Task) => void): void {
    const task = this.#running;
    this.#running = undefined;
    if (task !== undefined) {
      task.given.forEach(closeFd);
      settle(task);
    }
    this.#next();
  }

  #endTracer(): void {
    this.#tracer?.end();
    this.#tracer = undefined;
  }
}
