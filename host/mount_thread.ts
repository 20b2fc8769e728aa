/**
 * The main thread's side of a mount worker: one thread, that serves a mount, or all the stand-ins of one restore. Knows whose each message is,
 * and when nobody needs the worker any more.
 *
 * @module
 */

import type { MountNumber, PostedRequest, RehearsalOrder, WorkerMessage } from "./worker_messages.ts";

/** What belongs to one mount of a worker. None of these may throw. */
export interface MountReceiver {
  /** A reply, or an event. */
  receive(message: WorkerMessage): void;
  /** The worker broke. */
  lost(reason: string): void;
}

/** A mount worker. */
export class MountThread {
  readonly #worker: Worker;
  readonly #receivers = new Map<MountNumber, MountReceiver>();
  #last = 0;
  #held = 0;
  #broken: string | undefined;

  /** Takes a worker over. */
  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) =>
      this.#receivers.get(data.mount)?.receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(`its worker failed: ${event.message}`);
    };
    worker.onmessageerror = () => this.#lose("its worker sent what cannot be read");
  }

  /** One mount more. Returns its number, which its messages bear. */
  join(receiver: MountReceiver): MountNumber {
    const mount = ++this.#last as MountNumber;
    this.#receivers.set(mount, receiver);
    if (this.#broken !== undefined) {
      const reason = this.#broken;
      queueMicrotask(() => receiver.lost(reason));
    }
    return mount;
  }

  /** Has a worker that nobody needs yet make itself ready for a restore. */
  rehearse(): void {
    const order: RehearsalOrder = { type: "rehearse" };
    this.#worker.postMessage(order);
  }

  /** Sends a request. */
  post(request: PostedRequest): void {
    this.#worker.postMessage(request);
  }

  /** A mount is over: nothing more of it is received. With the last one the worker is ended, wherever it is. */
  leave(mount: MountNumber): void {
    if (this.#receivers.delete(mount)) this.#endUnused();
  }

  /** A mount is over, and the worker is going to have others. */
  part(mount: MountNumber): void {
    this.#receivers.delete(mount);
  }

  /** The worker is not ended before this is disposed of, though it may have no mount for a while. */
  hold(): Disposable {
    this.#held++;
    return {
      [Symbol.dispose]: () => {
        this.#held--;
        this.#endUnused();
      },
    };
  }

  #endUnused(): void {
    if (this.#receivers.size === 0 && this.#held === 0) this.#worker.terminate();
  }

  #lose(reason: string): void {
    this.#broken ??= reason;
    for (const receiver of [...this.#receivers.values()]) receiver.lost(reason);
  }
}
