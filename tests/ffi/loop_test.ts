/** One thread that serves several sessions. What is served here are eventfds, each write to which is a request. */
import { assertEquals, assertRejects } from "@std/assert";
import { type Served, type ServeEnd, ServeLoop, wake } from "../../ffi/fuse/loop.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../ffi/sys/constants.ts";
import { closeFd, read, write } from "../../ffi/sys/file.ts";
import { check } from "../../ffi/sys/libc.ts";
import { eventfd } from "../../ffi/sys/poll.ts";
import { within } from "../support/fuse/stub_mount.ts";

/** Declares a test that may hang, and fails then. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test(`loop: ${name}`, () => within(fn(), name));
}

const made = () => check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");

/** A session that writes down what it is asked for. */
class Fake implements Served, Disposable {
  readonly device = made();
  readonly waker = made();
  stopped = false;
  received = 0;
  awoken = 0;
  /** What `receive` answers when nobody has asked. */
  end: ServeEnd | Error | undefined;
  /** Resolved at the next request. */
  next = Promise.withResolvers<void>();

  receive(): boolean | ServeEnd {
    if (this.end instanceof Error) throw this.end;
    if (read(this.device, new Uint8Array(8), 8) < 0) return this.end ?? false;
    this.received++;
    this.next.resolve();
    return true;
  }

  awake(): void {
    if (read(this.waker, new Uint8Array(8), 8) > 0) this.awoken++;
  }

  idle(): void {}

  /** One request; resolves when it has been handled. */
  async ask(): Promise<void> {
    this.next = Promise.withResolvers();
    write(this.device, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), 8);
    await this.next.promise;
  }

  [Symbol.dispose](): void {
    closeFd(this.device);
    closeFd(this.waker);
  }
}

test("who comes while it waits is served as well, and each ends by itself", async () => {
  using one = new Fake();
  using other = new Fake();
  using late = new Fake();
  const loop = new ServeLoop();
  const ends = [one, other].map((served) => loop.serve(served));
  await one.ask();
  await other.ask();
  const lateEnd = loop.serve(late);
  await late.ask();
  one.end = "unmounted";
  await Promise.all([one.ask(), ends[0]]);
  assertEquals(await ends[0], "unmounted");
  await other.ask();
  late.stopped = true;
  wake(late);
  assertEquals(await lateEnd, "stopped");
  other.end = "aborted";
  wake(other);
  await Promise.all([other.ask(), ends[1]]);
  assertEquals(await ends[1], "aborted");
  assertEquals([one.received, other.received, late.received], [2, 3, 1]);
});

test("one whose device fails fails alone", async () => {
  using broken = new Fake();
  using sound = new Fake();
  const loop = new ServeLoop();
  const ends = [broken, sound].map((served) => loop.serve(served));
  await sound.ask();
  broken.end = new Error("no device");
  wake(broken);
  await assertRejects(() => ends[0]!, Error, "no device");
  await sound.ask();
  sound.stopped = true;
  wake(sound);
  assertEquals(await ends[1], "stopped");
});

test("one that is never done keeps neither others nor the thread's timers from their turns", async () => {
  using flooding = new Fake();
  using calm = new Fake();
  flooding.receive = () => (flooding.received++, true);
  const loop = new ServeLoop();
  const ends = [flooding, calm].map((served) => loop.serve(served));
  await calm.ask();
  await new Promise((resolve) => setTimeout(resolve));
  const before = flooding.received;
  await calm.ask();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(flooding.received > before, true);
  flooding.stopped = calm.stopped = true;
  wake(calm);
  assertEquals(await Promise.all(ends), ["stopped", "stopped"]);
});

test("what wakes one of several is handed to that one", async () => {
  using one = new Fake();
  using other = new Fake();
  const loop = new ServeLoop();
  const ends = [one, other].map((served) => loop.serve(served));
  await Promise.all([one.ask(), other.ask()]);
  const before = one.awoken;
  wake(other);
  while (other.awoken === 0) await one.ask();
  assertEquals(one.awoken, before);
  one.stopped = other.stopped = true;
  wake(one);
  assertEquals(await Promise.all(ends), ["stopped", "stopped"]);
});
