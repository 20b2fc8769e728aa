import { assert, assertEquals } from "@std/assert";
import * as z from "zod/mini";
import { EnvelopeFault, readRequest } from "../../control/envelope.ts";
import { ControlError, errorKinds } from "../../control/errors.ts";
import { eventNames, events } from "../../control/events.ts";
import { parseLine } from "../../control/json_line.ts";
import { type MethodName, methods, others } from "../../control/protocol.ts";
import { decodeParams, isMethod } from "../../control/validation.ts";

const text = await Deno.readTextFile(new URL("../../docs/protocol.md", import.meta.url));
const exchanges = [...text.matchAll(/^```text\n([^]*?)^```$/gm)].map(([, body]) =>
  body!.trimEnd().split("\n")
);
const encoder = new TextEncoder();

/** Fails when a value does not fit a schema, or has keys that the schema does not know. */
function check(schema: z.ZodMiniType, value: unknown, line: string): void {
  const decoded = z.safeParse(schema, value);
  assert(decoded.success, `${line}\n${decoded.error?.message}`);
  assertEquals(z.encode(schema, decoded.data), value, line);
}

/** A client's line: what it fails with, if it is meant to fail, and the method by its id. */
function checkRequest(line: string, calls: Map<unknown, MethodName>, faults: Map<unknown, string>): void {
  let id: unknown = null;
  try {
    const request = readRequest(parseLine(encoder.encode(line)));
    assert(request !== "response", line);
    if (request instanceof EnvelopeFault) throw request.error;
    id = request.id;
    assert(isMethod(request.method), line);
    calls.set(id, request.method);
    decodeParams(request.method, request.params ?? {});
  } catch (error) {
    assert(error instanceof ControlError, `${line}\n${error}`);
    faults.set(id, JSON.stringify([error.kind, error.message]));
  }
}

for (const [at, exchange] of exchanges.entries()) {
  Deno.test(`docs/protocol.md: exchange ${at + 1} is what the schemas allow`, () => {
    const calls = new Map<unknown, MethodName>();
    const faults = new Map<unknown, string>();
    for (const line of exchange) {
      const side = line.slice(0, 3);
      assert(side === "C: " || side === "S: ", line);
      if (side === "C: ") {
        checkRequest(line.slice(3), calls, faults);
        continue;
      }
      assert([...line].every((unit) => unit.charCodeAt(0) < 0x80), line);
      const message = JSON.parse(line.slice(3));
      assertEquals(message.jsonrpc, "2.0", line);
      if (message.method === "hello") check(others.hello, message.params, line);
      else if ("method" in message) {
        const { seq, monotonicMs, ...params } = message.params;
        assert(Number.isSafeInteger(seq) && monotonicMs > 0, line);
        check(events[message.method as keyof typeof events], params, line);
      } else if ("error" in message) {
        check(others.errorObject, message.error, line);
        const { kind, ...data } = message.error.data;
        assertEquals(new ControlError(kind, message.error.message, data).toWire(), message.error, line);
        const fault = faults.get(message.id);
        if (fault !== undefined) assertEquals(JSON.stringify([kind, message.error.message]), fault, line);
        faults.delete(message.id);
      } else {
        const method = calls.get(message.id);
        assert(method !== undefined, line);
        check(methods[method].result, message.result, line);
      }
    }
    assertEquals([...faults], [], "a request that the schemas refuse is not shown as refused");
  });
}

Deno.test("docs/protocol.md: every method, event and error kind has its place", () => {
  const shown = exchanges.flat().filter((line) => line.startsWith("C: ")).join("\n");
  for (const method of Object.keys(methods)) assert(shown.includes(`"method":"${method}"`), method);
  const told = exchanges.flat().filter((line) => line.startsWith("S: ")).join("\n");
  for (const event of eventNames) assert(told.includes(`"method":"${event}"`), event);
  for (const name of [...errorKinds, ...eventNames]) {
    assert(new RegExp(`^\\| \`${name}\` +\\| `, "m").test(text), name);
  }
});
