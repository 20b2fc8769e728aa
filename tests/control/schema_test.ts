import { assert, assertEquals } from "@std/assert";
import { events } from "../../control/events.ts";
import { methods } from "../../control/protocol.ts";
import { protocolSchema, schemaText } from "../../control/schema.ts";

// deno-lint-ignore no-explicit-any
const schema = protocolSchema() as any;

Deno.test("schema: docs/schema.json is up to date (spfs schema > docs/schema.json)", async () => {
  const file = new URL("../../docs/schema.json", import.meta.url);
  assertEquals(await Deno.readTextFile(file), schemaText());
});

Deno.test("schema: every method and event is there, parameters closed, results open", () => {
  for (const method of Object.keys(methods)) {
    assertEquals(schema.$defs[`${method}.params`].additionalProperties, false);
    assert(schema.$defs[`${method}.result`].additionalProperties === undefined);
  }
  for (const event of Object.keys(events)) {
    assert(schema.$defs[`${event}.event`].required.includes("seq"));
  }
  assertEquals(schema.oneOf.length, Object.keys(methods).length);
});

Deno.test("schema: it shows the wire's form, not the program's", () => {
  const { size, mountpoint } = schema.$defs["mount.create.params"].properties;
  assertEquals([size.type, mountpoint.anyOf[0].type], ["string", "string"]);
});

Deno.test("schema: every reference leads somewhere", () => {
  for (const [, name] of schemaText().matchAll(/"\$ref": "#\/\$defs\/([^"]+)"/g)) {
    assert(name! in schema.$defs, name);
  }
});
