import { assert, assertEquals } from "@std/assert";
import { events } from "../../control/events.ts";
import { methods } from "../../control/protocol.ts";
import { protocolSchema, schemaText } from "../../control/schema.ts";
import { resourceKinds, swapModes } from "../../control/swap_words.ts";

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

Deno.test("schema: what a swap is about is named alike wherever it is told", () => {
  const { properties } = schema.$defs["swap.run.result"];
  assertEquals(properties.left.items.properties.kind.enum, resourceKinds);
  assertEquals(properties.processes.items.properties.moved.propertyNames.enum, resourceKinds);
  assertEquals(properties.processes.items.properties.moved.required, undefined);
  assertEquals(schema.$defs["mount.replace.result"].properties.swap, schema.$defs["swap.run.result"]);
  assertEquals(
    schema.$defs.error.properties.data.properties.obstacles.items,
    schema.$defs["swap.plan.result"].properties.obstacles.items,
  );
  assertEquals(schema.$defs["mount.replace.params"].properties.swap.enum, swapModes);
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
