import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EFD_SEMAPHORE,
  POLLIN,
  POLLNVAL,
  POLLOUT,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { read, write } from "../../ffi/sys/file.ts";
import { check } from "../../ffi/sys/libc.ts";
import { eventfd, poll, PollSet, ppoll } from "../../ffi/sys/poll.ts";

const event = (initial = 0, flags = 0) =>
  Fd.own(check(eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK | flags), "eventfd"));
const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

Deno.test("poll: tells which descriptors are ready, and for what", () => {
  using quiet = event();
  using ready = event(1);
  const set = new PollSet([
    { fd: quiet.raw, events: POLLIN },
    { fd: ready.raw, events: POLLIN | POLLOUT },
    { fd: -1, events: POLLIN },
    { fd: 1 << 20, events: POLLIN },
  ]);
  assertEquals(set.wait(0), 2);
  assertEquals([0, 1, 2, 3].map((slot) => set.revents(slot)), [0, POLLIN | POLLOUT, 0, POLLNVAL]);
  assertEquals(read(ready.raw, new Uint8Array(8)), 8);
  set.set(3, { fd: -1, events: 0 });
  set.set(1, { fd: ready.raw, events: POLLIN });
  assertEquals([set.wait(0), set.waitFor(1000n), set.revents(1)], [0, 0, 0]);
  assertThrows(() => set.set(4, { fd: 0, events: 0 }), RangeError);
});

Deno.test("poll: a time in nanoseconds is kept, seconds of it too", () => {
  using quiet = event();
  const set = new PollSet([{ fd: quiet.raw, events: POLLIN }]);
  for (const milliseconds of [20, 1020]) {
    const start = performance.now();
    assertEquals(set.waitFor(BigInt(milliseconds) * 1_000_000n), 0);
    assert(performance.now() - start >= milliseconds);
  }
});

Deno.test("poll: waiting asynchronously leaves the thread to others until a descriptor is ready", async () => {
  using wake = event();
  const set = new PollSet([{ fd: wake.raw, events: POLLIN }]);
  const woken = set.waitAsync(-1);
  assertThrows(() => set.wait(0), TypeError, "in use");
  assertThrows(() => set.set(0, { fd: wake.raw, events: 0 }), TypeError);
  await assertRejects(() => set.waitAsync(0), TypeError);
  assertEquals(write(wake.raw, ONE), 8);
  assertEquals([await woken, set.revents(0)], [1, POLLIN]);
  assertEquals(set.wait(0), 1);
  assertEquals(await set.waitAsync(0), 1);
});

Deno.test("poll: an eventfd counts, or gives one at a time", () => {
  using counter = event(2);
  const out = new BigUint64Array(1);
  const bytes = new Uint8Array(out.buffer);
  assertEquals(write(counter.raw, ONE), 8);
  assertEquals([read(counter.raw, bytes), out[0]], [8, 3n]);
  using semaphore = event(2, EFD_SEMAPHORE);
  assertEquals([read(semaphore.raw, bytes), out[0]], [8, 1n]);
});

Deno.test("poll: more records than there is room for are refused", () => {
  assertThrows(() => poll(new Uint8Array(15), 2, 0), RangeError);
  assertThrows(() => ppoll(new Uint8Array(8), -1, 0n), RangeError);
});
