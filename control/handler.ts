/**
 * What the host implements so that the control server can serve it: one async function per method, and hooks for the life of
 * connections.
 *
 * @module
 */

import type { Emit } from "./events.ts";
import type { MethodName, Params, Result } from "./protocol.ts";

/** A client's connection, as the host sees it. */
export interface Connection {
  /** Its number, from 1, never used again. */
  readonly id: number;
  /** Where it comes from, for logs: "stdio", or what the host called it. */
  readonly label: string;
  /** What the client called itself in `initialize`; empty before. */
  readonly client: string;
  /** What the client wants to happen when its input ends; undefined when it did not say. */
  readonly onEof: "linger" | "abort" | undefined;
}

/** What a method knows of the request it serves. */
export interface RequestContext {
  /** The connection that asked. It may be gone before the method ends; the method goes on regardless. */
  readonly connection: Connection;
  /**
   * Aborted by `cancel`. A method that can be cancelled then undoes what it began and throws `ControlError("cancelled")`; one
   * that ignores the signal is simply finished.
   */
  readonly signal: AbortSignal;
  /** Tells every subscribed client of an event. Events emitted before a method returns precede its reply on all connections. */
  readonly emit: Emit;
  /**
   * Marks the point of no return: from now on `cancel` answers false and leaves the signal alone.
   *
   * @throws {ControlError} `cancelled` when the request was cancelled before
   */
  beginCommit(): void;
  /**
   * Lets the next request for the same mount begin before this one ends. For methods that were asked to wait: they call it when
   * what was ordered is under way. Calling it again does nothing.
   */
  letNextBegin(): void;
}

/** The methods that the host serves; the server itself answers `initialize` and `cancel`. */
export type HostMethod = Exclude<MethodName, "initialize" | "cancel">;

/**
 * The host's side of every method. Parameters are validated whole and decoded; results are encoded by the server. A method fails
 * by throwing a ControlError; anything else thrown is answered as `internal` and goes to {@linkcode Handler.failed}.
 *
 * Requests for one mount begin one after the other, in the order they came in, whatever connection they came by; a request for
 * "all" waits for those before it and holds back those after it. `swap.plan` and `swap.run` begin one after the other, as if all of
 * them were for one mount. `status`, `mount.abort` and `quit` begin at once.
 */
export type HostMethods = {
  readonly [M in HostMethod]: (params: Params<M>, context: RequestContext) => Promise<Result<M>>;
};

/** What the control server serves. The hooks must not throw and must not block. */
export interface Handler {
  /** One function per method. */
  readonly methods: HostMethods;
  /** Probed features for `hello`, in flat names. */
  readonly capabilities: Readonly<Record<string, boolean | string | number>>;
  /** A client's `initialize` was accepted. */
  initialized?(connection: Connection): void;
  /** A client's input ended: it will send no more requests. Requests it sent before may still be running. */
  inputEnded?(connection: Connection): void;
  /** A connection is gone: nothing can be written to it any more. */
  closed?(connection: Connection): void;
  /** A method threw something that is no ControlError, or returned what its schema does not allow: a defect, to be logged. */
  failed?(method: string, error: unknown): void;
}
