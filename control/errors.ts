/**
 * Errors of the control protocol: what a request is refused or failed with. No dependency, so that the client has it too.
 *
 * @module
 */

import type { WirePath } from "./values.ts";
import type { WireObstacle } from "./wire_swap.ts";

/** JSON-RPC error codes of the kinds that JSON-RPC itself defines; every other kind has -32000. */
const codes = {
  parse_error: -32700,
  invalid_request: -32600,
  method_not_found: -32601,
  invalid_params: -32602,
  internal: -32603,
} as const;

/** Every error kind. */
export const errorKinds = [
  "parse_error",
  "invalid_request",
  "method_not_found",
  "invalid_params",
  "internal",
  "not_initialized",
  "unsupported_protocol",
  "unknown_mount",
  "conflict",
  "wrong_mode",
  "busy",
  "system",
  "cancelled",
  "shutting_down",
  "overloaded",
  "mount_lost",
  "deadline",
  "swap_refused",
  "bad_images",
] as const;

/** What went wrong, for programs to branch on. */
export type ErrorKind = (typeof errorKinds)[number];

/** The details of an error, in the wire's form. */
export interface ErrorData {
  /** The errno's name, when a system call failed. */
  errno?: string | undefined;
  /** The system call that failed. */
  syscall?: string | undefined;
  /** The mount that the error is about. */
  mount?: string | undefined;
  /** The path that the error is about. */
  path?: WirePath | undefined;
  /** The mode that stood in the way. */
  mode?: string | undefined;
  /** The entry of `file.create` that failed, from 0. */
  index?: number | undefined;
  /** Where in the file `path` something is wrong, in bytes. */
  offset?: number | undefined;
  /** Whether what the failed request had already done was undone. */
  rolledBack?: boolean | undefined;
  /** More text for people: kernel messages, a helper's stderr, the line of a parse error. */
  detail?: string | undefined;
  /** What stands in the way of a swap; of many the first. */
  obstacles?: WireObstacle[] | undefined;
  /** How many stand in its way, those that are not listed included. */
  obstacleCount?: number | undefined;
}

/** An error object of a JSON-RPC response. */
export interface WireError {
  /** The JSON-RPC code. */
  code: number;
  /** One sentence that names the thing. */
  message: string;
  /** The kind and its details; absent only from a program that does not speak this protocol. */
  data?: ErrorData & { kind: string };
}

/** A request's failure, thrown by the host's methods and by the client. */
export class ControlError extends Error {
  /** The error's name. */
  override readonly name = "ControlError";
  /** What went wrong. A client may meet kinds of a newer program, hence string. */
  readonly kind: ErrorKind | (string & Record<never, never>);
  /** The details. */
  readonly data: ErrorData;

  /** Makes an error of a kind with a sentence that names the thing, and details. */
  constructor(kind: ControlError["kind"], message: string, data: ErrorData = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.data = data;
  }

  /** The error as a response carries it. */
  toWire(): WireError {
    const code = Object.hasOwn(codes, this.kind) ? codes[this.kind as keyof typeof codes] : -32000;
    return { code, message: this.message, data: { kind: this.kind, ...this.data } };
  }

  /** The error that a response carried. */
  static fromWire(wire: WireError): ControlError {
    const { kind = "internal", ...data } = wire.data ?? {};
    return new ControlError(kind, wire.message, data);
  }
}
