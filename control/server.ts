/**
 * The control server: any number of connections, one handler, one order of requests per mount. It survives whatever comes in;
 * what it cannot make sense of is answered with an error, and the next line is read.
 *
 * @module
 */

import { ServerConnection } from "./connection.ts";
import type { Emit, EventName, EventParams } from "./events.ts";
import type { Handler } from "./handler.ts";
import { Schedule } from "./schedule.ts";
import type { Transport } from "./transport.ts";
import { encodeEvent } from "./validation.ts";

/** How a transport is served. */
export interface ServeConnectionOptions {
  /** Where the client comes from, for logs. */
  label: string;
  /**
   * Whether the connection outlives its input. For stdio, whose reader may still want events; a socket is closed when its last
   * request is answered.
   */
  persistent?: boolean;
}

/** Events that only tell how far something is: an unread one gives way to the next of the same mount. */
const progress: ReadonlySet<EventName> = new Set(
  ["request.parked", "mount.attempt", "replace.progress"] as const,
);

/** What the connections of a server share. */
export interface ServerState {
  /** What serves the requests. */
  readonly handler: Handler;
  /** The order of requests. */
  readonly schedule: Schedule;
  /** Whether only queue jumpers are still accepted. */
  readonly stopping: boolean;
  /** Sends an event to every subscribed connection. */
  readonly emit: Emit;
}

/** Serves the protocol on any number of transports. */
export class ControlServer implements ServerState {
  /** What serves the requests. */
  readonly handler: Handler;
  /** The order of requests of all connections. */
  readonly schedule: Schedule = new Schedule();
  readonly #connections = new Set<ServerConnection>();
  #stopping = false;
  #nextId = 1;

  /** Makes a server for a handler. */
  constructor(handler: Handler) {
    this.handler = handler;
  }

  /** Whether {@linkcode stop} was called. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Serves one client until it is gone. Never rejects. Gives the transport up at the end. */
  async serve(transport: Transport, options: ServeConnectionOptions): Promise<void> {
    const connection = new ServerConnection(this, transport, this.#nextId++, options);
    this.#connections.add(connection);
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
    }
  }

  /** Sends an event to every connection that subscribed to it. Does not block and does not throw. */
  readonly emit = <E extends EventName>(event: E, params: EventParams<E>): void => {
    const connections = [...this.#connections].filter((connection) => connection.wants(event));
    if (connections.length === 0) return;
    const monotonicMs = Math.round(performance.now() * 1000) / 1000;
    try {
      const encoded = { monotonicMs, ...encodeEvent(event, params) };
      const key = progress.has(event) && "mount" in params ? `${event} ${params.mount}` : undefined;
      for (const connection of connections) connection.sendEvent(event, encoded, key);
    } catch (error) {
      this.handler.failed?.(event, error);
    }
  };

  /** From now on answers every request but `status`, `cancel`, `mount.abort` and `quit` with `shutting_down`. */
  stop(): void {
    this.#stopping = true;
  }

  /**
   * Writes out what waits to be written, then ends every connection. Requests still running are not waited for.
   *
   * @param graceMs how long to wait for clients that do not read
   */
  async close(graceMs: number): Promise<void> {
    this.stop();
    const connections = [...this.#connections];
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, graceMs);
    await Promise.race([grace.promise, Promise.all(connections.map((connection) => connection.drained()))]);
    clearTimeout(timer);
    for (const connection of connections) connection.end();
  }
}
