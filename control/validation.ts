/**
 * Parameters in, results out, through the schemas; and the sentences that tell a client what it got wrong.
 *
 * @module
 */

import * as z from "zod/mini";
import { ControlError } from "./errors.ts";
import { type EventName, events } from "./events.ts";
import { type MethodName, methods, type Params } from "./protocol.ts";

/** Whether a name is a method's. */
export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

/**
 * Validates a method's parameters whole and decodes them.
 *
 * @throws {ControlError} `invalid_params`; the message names the first offending key, `detail` lists up to ten
 */
export function decodeParams<M extends MethodName>(method: M, params: unknown): Params<M> {
  const decoded = z.safeParse(methods[method].params as z.ZodMiniType, params, { reportInput: true });
  if (decoded.success) return decoded.data as Params<M>;
  const faults = decoded.error.issues.slice(0, 10).flatMap(describe).slice(0, 10);
  const detail = faults.length > 1 ? faults.join("; ") : undefined;
  throw new ControlError("invalid_params", `${method}: ${faults[0]}`, detail === undefined ? {} : { detail });
}

/** Encodes what a method returned for the wire. Throws where the value does not fit the schema. */
export function encodeResult(method: MethodName, result: unknown): Record<string, unknown> {
  return z.encode(methods[method].result as z.ZodMiniType, result) as Record<string, unknown>;
}

/** Encodes an event's parameters for the wire. Throws where they do not fit the schema. */
export function encodeEvent(event: EventName, params: unknown): Record<string, unknown> {
  return z.encode(events[event] as z.ZodMiniType, params) as Record<string, unknown>;
}

function describe(issue: z.core.$ZodIssue): string[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${formatPath([...issue.path, key])}: unknown key`);
  }
  return [`${formatPath(issue.path)}: ${sentence(issue)}`];
}

const typeCodes: ReadonlySet<string> = new Set(["invalid_type", "invalid_union", "invalid_value"]);

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.input === undefined && typeCodes.has(issue.code)) return "missing";
  if (issue.message !== defaultMessage) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${issue.expected}`;
    case "invalid_value":
      return `expected ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "too_small":
      return `expected at least ${issue.minimum}${unit(issue.origin)}`;
    case "too_big":
      return `expected at most ${issue.maximum}${unit(issue.origin)}`;
    default:
      return "not valid";
  }
}

/** What zod/mini says when a schema gives no text of its own. */
const defaultMessage = "Invalid input";

function unit(origin: string): string {
  return origin === "string" ? " characters" : origin === "array" ? " items" : "";
}

/** Formats a path as code would: `entries[3].path`, quoted where a key is no plain name. */
function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(String(key))) text += (text === "" ? "" : ".") + String(key);
    else text += `[${JSON.stringify(String(key).slice(0, 64))}]`;
  }
  return text === "" ? "params" : text.slice(0, 256);
}
