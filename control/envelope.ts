/**
 * The JSON-RPC 2.0 envelope: what a line may be, before anything looks at a method or its parameters. Shared by server and
 * client, without any dependency.
 *
 * @module
 */

import { ControlError, type WireError } from "./errors.ts";

/** A request's id. A string and a number are different ids even when they look the same. */
export type RequestId = string | number;

/** A request. */
export interface RequestMessage {
  /** The protocol of the envelope. */
  jsonrpc: "2.0";
  /** Chosen by the client; the response carries it. */
  id: RequestId;
  /** The method. */
  method: string;
  /** The method's parameters, by name. */
  params?: Record<string, unknown>;
}

/** A response: exactly one of `result` and `error`. Its id is null where the request's could not be read. */
export interface ResponseMessage {
  /** The protocol of the envelope. */
  jsonrpc: "2.0";
  /** The request's id. */
  id: RequestId | null;
  /** What the method returned. */
  result?: Record<string, unknown>;
  /** Why it failed. */
  error?: WireError;
}

/** A notification: `hello` and the events. */
export interface NotificationMessage {
  /** The protocol of the envelope. */
  jsonrpc: "2.0";
  /** The event, or "hello". */
  method: string;
  /** The event's parameters. */
  params: Record<string, unknown>;
}

/** The longest id in characters. */
const maxIdLength = 128;
const requestKeys = new Set(["jsonrpc", "id", "method", "params"]);

/** A line that is no request: the error to answer with, and the id if it could be read. */
export class EnvelopeFault {
  /** Why the line is no request. */
  readonly error: ControlError;
  /** The id to answer to. */
  readonly id: RequestId | null;

  /** Makes a fault with a message for the client. */
  constructor(id: RequestId | null, message: string) {
    this.id = id;
    this.error = new ControlError("invalid_request", message);
  }
}

/**
 * Reads a parsed line as a request.
 *
 * @returns the request; a fault to answer; or "response" for what looks like a response, which is never answered, so that two
 * servers wired together do not talk forever
 */
export function readRequest(value: unknown): RequestMessage | EnvelopeFault | "response" {
  if (Array.isArray(value)) return new EnvelopeFault(null, "batches are not supported: one request a line");
  if (!isObject(value)) return new EnvelopeFault(null, "expected a request object");
  if (!("method" in value) && ("result" in value || "error" in value)) return "response";
  const id = isRequestId(value.id) ? value.id : null;
  if (value.jsonrpc !== "2.0") return new EnvelopeFault(id, 'expected "jsonrpc":"2.0"');
  if (typeof value.method !== "string") return new EnvelopeFault(id, 'expected "method" with a string');
  if (!("id" in value)) {
    return new EnvelopeFault(null, "a request needs an id: notifications are not accepted");
  }
  if (id === null) {
    return new EnvelopeFault(
      null,
      `expected an id that is a string of at most ${maxIdLength} characters or an integer`,
    );
  }
  if ("params" in value && !isObject(value.params)) {
    return new EnvelopeFault(id, 'expected "params" with an object: parameters go by name');
  }
  const stray = Object.keys(value).find((key) => !requestKeys.has(key));
  if (stray !== undefined) {
    return new EnvelopeFault(id, `unknown key ${JSON.stringify(stray.slice(0, 64))} in the request`);
  }
  return value as unknown as RequestMessage;
}

/** Whether a value can be a request's id. */
function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" ? value.length <= maxIdLength : Number.isSafeInteger(value);
}

/** Whether a value is an object and no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
