/**
 * A mount, as its worker serves it: sends requests, matches the replies, passes events on, and notices when the worker breaks.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { fromWorker } from "./control_errors.ts";
import type { MountThread } from "./mount_thread.ts";
import type {
  GoneEvent,
  LogEvent,
  MountNumber,
  ParkedEvent,
  PostedRequest,
  WorkerCall,
  WorkerCalls,
  WorkerMessage,
} from "./worker_messages.ts";

/** What a mount worker tells unasked. None of these may throw. */
export interface MountHandleEvents {
  /** How many requests are parked. */
  parked(event: ParkedEvent): void;
  /** The session is over and everything of it is freed. */
  gone(event: GoneEvent): void;
  /** A line for the log. */
  log(event: LogEvent): void;
  /** The worker broke; its mount may be left, with a connection that nobody answers. */
  lost(reason: string): void;
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: ControlError) => void;
}

/** One mount of a worker. */
export class MountHandle {
  readonly #id: string | undefined;
  readonly #thread: MountThread;
  readonly #mount: MountNumber;
  readonly #events: MountHandleEvents;
  readonly #pending = new Map<number, Pending>();
  #seq = 0;
  #over: ControlError | undefined;

  /**
   * One more mount of a worker.
   *
   * @param id the mount's name, for errors; undefined while it has none
   */
  constructor(id: string | undefined, thread: MountThread, events: MountHandleEvents) {
    this.#id = id;
    this.#thread = thread;
    this.#events = events;
    this.#mount = thread.join({
      receive: (message) => this.#receive(message),
      lost: (reason) => this.#lose(reason),
    });
  }

  /**
   * Asks the worker. Rejects with what it answers, or with kind `mount_lost` when it ends first.
   *
   * @throws {ControlError} through the promise
   */
  call<C extends WorkerCall>(
    type: C,
    request: Omit<WorkerCalls[C]["request"], "type">,
  ): Promise<WorkerCalls[C]["result"]> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const seq = ++this.#seq;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerCalls[C]["result"]>();
    this.#pending.set(seq, { resolve, reject });
    this.#thread.post({ ...request, type, mount: this.#mount, seq } as PostedRequest);
    return promise;
  }

  /**
   * Is done with the worker, which ends, wherever it is, if it has no other mount; calls that wait are rejected with this reason. For a mount whose
   * session is over, or that has been given up: one that serves is asked to `abort` first.
   */
  end(reason: string): void {
    this.#close(reason);
    this.#thread.leave(this.#mount);
  }

  /** Whether another mount has the same worker. */
  isBeside(other: MountHandle): boolean {
    return this.#thread === other.#thread;
  }

  /** Is done with the worker, which goes on without this mount. */
  part(): void {
    this.#close("it has been left");
    this.#thread.part(this.#mount);
  }

  #receive(message: WorkerMessage): void {
    if ("event" in message) {
      switch (message.event) {
        case "parked":
          return this.#events.parked(message);
        case "log":
          return this.#events.log(message);
        case "gone":
          // Nothing follows it; who still waits for an answer waits in vain.
          this.#close(message.text ?? `its session is over (${message.reason})`);
          return this.#events.gone(message);
      }
    }
    const pending = this.#pending.get(message.seq);
    this.#pending.delete(message.seq);
    if (message.ok) pending?.resolve(message.result as never);
    else pending?.reject(fromWorker(message.error, this.#id));
  }

  #lose(reason: string): void {
    if (this.#over !== undefined) return;
    this.#close(reason);
    this.#events.lost(reason);
  }

  #close(reason: string): void {
    const [whose, data] = this.#id === undefined
      ? ["a mount worker", {}]
      : [`mount ${this.#id}`, { mount: this.#id }];
    this.#over ??= new ControlError("mount_lost", `${whose}: ${reason}`, data);
    for (const { reject } of this.#pending.values()) reject(this.#over);
    this.#pending.clear();
  }
}
