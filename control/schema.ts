/**
 * The protocol as JSON Schema, generated from the schemas that validate it. `spfs schema` prints it, and
 * `docs/schema.json` holds it.
 *
 * @module
 */

import * as z from "zod/mini";
import { errorKinds } from "./errors.ts";
import { events } from "./events.ts";
import { methods, others, requestId } from "./protocol.ts";
import { protocolVersion } from "./version.ts";

type Json = Record<string, unknown>;

/** A schema's wire form as JSON Schema. */
function wireSchema(schema: z.ZodMiniType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

const ref = (name: string): Json => ({ $ref: `#/$defs/${name}` });
const version = { const: "2.0" };

/** The whole protocol: what a client's line may be, and as definitions all that comes back. */
export function protocolSchema(): Json {
  const definitions: Json = {
    hello: wireSchema(others.hello),
    error: wireSchema(others.errorObject),
    id: wireSchema(requestId),
  };
  const requests = Object.entries(methods).map(([method, { params, result }]) => {
    definitions[`${method}.params`] = wireSchema(params);
    definitions[`${method}.result`] = wireSchema(result);
    const optional = params.safeParse({}).success;
    return {
      type: "object",
      properties: {
        jsonrpc: version,
        id: ref("id"),
        method: { const: method },
        params: ref(`${method}.params`),
      },
      required: ["jsonrpc", "id", "method", ...(optional ? [] : ["params"])],
      additionalProperties: false,
    };
  });
  for (const [event, params] of Object.entries(events)) {
    const stamped = z.extend(params as z.ZodMiniObject, {
      seq: z.int().check(z.minimum(1)),
      monotonicMs: z.number().check(z.minimum(0)),
    });
    definitions[`${event}.event`] = wireSchema(stamped);
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `spfs control protocol ${protocolVersion.major}.${protocolVersion.minor}`,
    description:
      "A line from a client. For METHOD, a response's result is $defs/METHOD.result and its error $defs/error; " +
      "the parameters of notification EVENT are $defs/EVENT.event, those of the first line $defs/hello. " +
      `Error kinds: ${errorKinds.join(", ")}.`,
    oneOf: requests,
    $defs: definitions,
  };
}

/** {@linkcode protocolSchema} as text. */
export function schemaText(): string {
  return JSON.stringify(protocolSchema(), null, 2) + "\n";
}
