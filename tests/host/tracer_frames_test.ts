import { assertEquals, assertThrows } from "@std/assert";
import { frame, FrameError, FrameReader, maxFrameBytes } from "../../host/tracer_frames.ts";

Deno.test("tracer frames: messages arrive whole and in order, however their bytes are cut", () => {
  const messages = [{ node: -2 }, { openNode: 2n ** 63n }, {
    path: new Uint8Array([0, 10, 255]),
    absent: undefined,
  }];
  const bytes = messages.flatMap((message) => [...frame(message)]);
  for (const size of [1, 3, 4, 7, bytes.length]) {
    const reader = new FrameReader();
    const got: unknown[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      reader.push(new Uint8Array(bytes.slice(at, at + size)));
      for (let next = reader.next(); next !== undefined; next = reader.next()) got.push(next[0]);
    }
    assertEquals(got, messages, `pieces of ${size}`);
  }
});

Deno.test("tracer frames: a message that is too long or garbage is an error, before its memory is taken", () => {
  const reader = new FrameReader();
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, maxFrameBytes + 1, true);
  reader.push(header);
  assertThrows(() => reader.next(), FrameError, "a message of");
  const other = new FrameReader();
  other.push(new Uint8Array([4, 0, 0, 0, 1, 2, 3, 4]));
  assertThrows(() => other.next(), FrameError, "an unreadable message");
});
