import { assertEquals, assertThrows } from "@std/assert";
import { fieldSize, struct } from "../../ffi/layout.ts";

const sample = struct({
  a: ["u8", 0],
  b: ["i8", 1],
  c: ["u16", 2],
  d: ["i16", 4],
  e: ["u32", 8],
  f: ["i32", 12],
  g: ["u64", 16],
  h: ["i64", 24],
}, 32);

Deno.test("layout: fields are little-endian, at their offset, and signed as they say", () => {
  const view = new DataView(new ArrayBuffer(40));
  const { set, get } = sample;
  set.a(view, 0xff, 8);
  set.b(view, -1, 8);
  set.c(view, 0xabcd, 8);
  set.d(view, -2, 8);
  set.e(view, 0xfedcba98, 8);
  set.f(view, -3, 8);
  set.g(view, 0xfedcba9876543210n, 8);
  set.h(view, -4n, 8);
  assertEquals([get.a(view, 8), get.b(view, 8), get.c(view, 8), get.d(view, 8)], [0xff, -1, 0xabcd, -2]);
  assertEquals([get.e(view, 8), get.f(view, 8)], [0xfedcba98, -3]);
  assertEquals([get.g(view, 8), get.h(view, 8)], [0xfedcba9876543210n, -4n]);
  const bytes = new Uint8Array(view.buffer);
  assertEquals([...bytes.subarray(0, 8)], [0, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals([...bytes.subarray(10, 12)], [0xcd, 0xab]);
  assertEquals([...bytes.subarray(24, 32)], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
});

Deno.test("layout: without an offset a struct starts where the view starts", () => {
  const view = new DataView(new ArrayBuffer(64), 16);
  sample.set.e(view, 7);
  assertEquals(new DataView(view.buffer).getUint32(24, true), 7);
  assertEquals(sample.get.e(view), 7);
});

Deno.test("layout: offsets and size are told", () => {
  assertEquals(sample.size, 32);
  assertEquals(sample.offset.g, 16);
  assertEquals(fieldSize("i16"), 2);
});

Deno.test("layout: what is written past the end of the view is refused, not lost", () => {
  const view = new DataView(new ArrayBuffer(20));
  assertThrows(() => sample.set.g(view, 1n), RangeError);
  assertThrows(() => sample.get.h(view), RangeError);
});

Deno.test("layout: a field that does not fit or is not aligned is refused", () => {
  assertThrows(() => struct({ a: ["u32", 6] }, 16), RangeError, "field a");
  assertThrows(() => struct({ a: ["u32", 0], b: ["u64", 8] }, 12), RangeError, "field b");
});
