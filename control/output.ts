/**
 * The way out of a connection: lines in order, written as fast as the client reads, in memory bounded by the requests in flight
 * and by the coalescing of events.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/** Above this many waiting bytes the connection stops reading requests. */
export const highWater = 1 << 20;

/** Events waiting beyond this many are dropped from the oldest; a client sees the gap in `seq`. */
export const maxWaitingEvents = 4096;

const maxWrite = 1 << 18;
const encoder = new TextEncoder();

/** The queue of lines to a client, and the one loop that writes them. */
export class Output {
  readonly #transport: Transport;
  readonly #broken: () => void;
  /** Waiting lines in order of insertion; replies under unique symbols, events under what they coalesce by. */
  readonly #lines = new Map<symbol | string, string>();
  #events = 0;
  #bytes = 0;
  #writing = false;
  #ended = false;
  #idle: (() => void)[] = [];

  /** Makes the way out to a transport; `broken` is called once when the client turns out to be gone. */
  constructor(transport: Transport, broken: () => void) {
    this.#transport = transport;
    this.#broken = broken;
  }

  /** Whether so much waits that no more requests should be read. */
  get isFull(): boolean {
    return this.#bytes >= highWater;
  }

  /** Queues a line that must arrive. */
  send(line: string): void {
    this.#push(Symbol(), line);
  }

  /** Queues an event's line; an event of the same key that still waits gives way to it. */
  sendEvent(key: string, line: string): void {
    if (this.#take(key) === undefined) {
      if (this.#events >= maxWaitingEvents) this.#dropOldestEvent();
      this.#events++;
    }
    this.#push(key, line);
  }

  /** Resolves when fewer bytes wait than the high-water mark, or nothing will be written any more. */
  async belowHighWater(): Promise<void> {
    while (this.isFull && !this.#ended) await this.#progress();
  }

  /** Resolves when nothing waits, or nothing will be written any more. */
  async drained(): Promise<void> {
    while ((this.#writing || this.#lines.size > 0) && !this.#ended) await this.#progress();
  }

  /** Gives up: what waits is dropped, what comes is ignored. */
  end(): void {
    this.#ended = true;
    this.#lines.clear();
    this.#bytes = 0;
    this.#events = 0;
    this.#wake();
  }

  #push(key: symbol | string, line: string): void {
    if (this.#ended) return;
    this.#lines.set(key, line);
    this.#bytes += line.length;
    if (!this.#writing) void this.#write();
  }

  #take(key: symbol | string): string | undefined {
    const line = this.#lines.get(key);
    if (line === undefined) return undefined;
    this.#lines.delete(key);
    this.#bytes -= line.length;
    return line;
  }

  #dropOldestEvent(): void {
    for (const key of this.#lines.keys()) {
      if (typeof key !== "string") continue;
      this.#take(key);
      this.#events--;
      return;
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      // Lines queued in this turn go out together.
      await Promise.resolve();
      while (this.#lines.size > 0) {
        const batch = encoder.encode(this.#nextBatch());
        for (let at = 0; at < batch.length;) {
          const written = await this.#transport.write(batch.subarray(at));
          if (this.#ended) return;
          at += written;
        }
        this.#wake();
      }
    } catch {
      if (!this.#ended) {
        this.end();
        this.#broken();
      }
    } finally {
      this.#writing = false;
      this.#wake();
    }
  }

  #nextBatch(): string {
    let batch = "";
    for (const [key, line] of this.#lines) {
      this.#take(key);
      if (typeof key === "string") this.#events--;
      batch += line;
      if (batch.length >= maxWrite) break;
    }
    return batch;
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #wake(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
