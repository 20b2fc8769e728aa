import { assert, assertEquals, assertThrows } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { formatLine, maxDepth, parseLine } from "../../control/json_line.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function refusal(bytes: Uint8Array): string {
  const error = assertThrows(() => parseLine(bytes), ControlError);
  assertEquals(error.kind, "parse_error");
  return error.message;
}

Deno.test("json_line: what is written is ASCII and reads back as it was", () => {
  const value = { text: "é € 𝄞 \u2028 \ud800 \u007f \n \0", list: [1, null, true] };
  const line = formatLine(value);
  assert([...line].every((unit) => unit.charCodeAt(0) < 0x80));
  assertEquals(line.indexOf("\n"), line.length - 1);
  assertEquals(parseLine(encode(line)), value);
});

Deno.test("json_line: invalid UTF-8, a byte order mark and text after the value are parse errors", () => {
  assertEquals(refusal(new Uint8Array([0x22, 0xff, 0x22])), "the line is not valid UTF-8");
  assert(refusal(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d])).startsWith("the line is not JSON"));
  assert(refusal(encode("{} {}")).startsWith("the line is not JSON"));
});

Deno.test("json_line: nesting is limited, brackets in strings do not count", () => {
  const nested = (depth: number) => encode("[".repeat(depth) + "]".repeat(depth));
  assert(Array.isArray(parseLine(nested(maxDepth))));
  assertEquals(refusal(nested(maxDepth + 1)), `the line nests deeper than ${maxDepth} levels`);
  assertEquals(refusal(encode('{"a":'.repeat(1_000_000))), `the line nests deeper than ${maxDepth} levels`);
  const brackets = '\\"' + "[".repeat(1000);
  assertEquals(parseLine(encode(`"${brackets}"`)), '"' + "[".repeat(1000));
});
