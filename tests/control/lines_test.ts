import { assertEquals } from "@std/assert";
import { type Line, LineSplitter } from "../../control/lines.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const describe = (line: Line) =>
  line.kind === "line" ? new TextDecoder().decode(line.bytes) : `${line.kind} ${line.number}`;

function split(limit: number, chunks: string[]): string[] {
  const splitter = new LineSplitter(limit);
  const lines = chunks.flatMap((chunk) => [...splitter.push(encode(chunk))]);
  const rest = splitter.end();
  return [...lines, ...(rest === undefined ? [] : [rest])].map(describe);
}

Deno.test("lines: any cut of the input gives the same lines", () => {
  const text = "one\n\ntwo three\nfour\n";
  for (let size = 1; size <= text.length; size++) {
    const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assertEquals(split(100, chunks), ["one", "", "two three", "four"]);
  }
});

Deno.test("lines: a line of exactly the limit passes, one byte more does not, and the next line is read", () => {
  for (const size of [1, 3, 100]) {
    const chunks = "12345\n123456\nnext\n".match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    assertEquals(split(5, chunks), ["12345", "tooLong 2", "next"]);
  }
});

Deno.test("lines: a line too long is reported once, before its end", () => {
  const splitter = new LineSplitter(4);
  assertEquals([...splitter.push(encode("12345"))].map(describe), ["tooLong 1"]);
  assertEquals([...splitter.push(encode("67890"))].map(describe), []);
  assertEquals([...splitter.push(encode("x\nab\n"))].map(describe), ["ab"]);
});

Deno.test("lines: a line cut off by the end of input is reported, a skipped one is not reported again", () => {
  assertEquals(split(10, ["a\nb"]), ["a", "partial 2"]);
  assertEquals(split(2, ["a\nbcd"]), ["a", "tooLong 2"]);
  assertEquals(split(2, []), []);
});

Deno.test("lines: a chunk may be reused by its owner as soon as it is taken", () => {
  const splitter = new LineSplitter(100);
  const chunk = encode("abc");
  assertEquals([...splitter.push(chunk)], []);
  chunk.fill(0x7a);
  assertEquals([...splitter.push(encode("\n"))].map(describe), ["abc"]);
});

Deno.test("lines: a hundred megabytes without a newline are held at no time", () => {
  const splitter = new LineSplitter(1 << 20);
  const chunk = new Uint8Array(1 << 20).fill(0x61);
  const reports: string[] = [];
  const before = Deno.memoryUsage().external;
  for (let at = 0; at < 100; at++) {
    for (const line of splitter.push(chunk)) reports.push(describe(line));
  }
  assertEquals(Deno.memoryUsage().external - before < 8 << 20, true);
  for (const line of splitter.push(encode("\nafter\n"))) reports.push(describe(line));
  assertEquals(reports, ["tooLong 1", "after"]);
});
