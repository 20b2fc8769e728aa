import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { createReadImages } from "../../host/images_job.ts";
import { FakeWorker } from "./support/fake_worker.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const never = new AbortController().signal;
const noted = { named: [], found: [] };

function make(lingerMs = 0) {
  const workers: FakeWorker[] = [];
  const read = createReadImages(() => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker.asWorker;
  }, lingerMs);
  const ask = (directory: string, signal = never) =>
    read("noted", bytes(directory), { directory: bytes(directory), mounts: [], types: [] }, signal);
  return { workers, ask };
}

/** Lets timers of no time run. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

Deno.test("images jobs: who asks about one directory shares a worker, which ends when nobody asks any more", async () => {
  const { workers, ask } = make();
  const [first, second, other] = [ask("/a"), ask("/a"), ask("/b")];
  assertEquals(workers.map(({ sent }) => sent.length), [2, 1]);
  workers[0]!.post({ ok: true, result: { ...noted, named: [undefined] } });
  assertEquals((await first).named.length, 1);
  assertEquals(workers[0]!.terminated, false);
  workers[0]!.post({ ok: true, result: noted });
  assertEquals(await second, noted);
  await turn();
  assertEquals(workers.map(({ terminated }) => terminated), [true, false]);
  workers[1]!.post({ ok: true, result: noted });
  await other;
  await turn();
  void ask("/a");
  assertEquals(workers.length, 3);
});

Deno.test("images jobs: an error keeps its kind, file and offset", async () => {
  const { workers, ask } = make();
  const asked = ask("/a");
  const error = { kind: "bad_images" as const, message: "cut off", path: bytes("/a/files.img"), offset: 12 };
  workers[0]!.post({ ok: false, error });
  const { kind, data } = await assertRejects(() => asked, ControlError);
  assertEquals([kind, data.path, data.offset], ["bad_images", "/a/files.img", 12]);
});

Deno.test("images jobs: who is cancelled does not wait for a directory that does not answer, and others get their own answers", async () => {
  const { workers, ask } = make();
  const cancelled = new AbortController();
  const [first, second] = [ask("/a", cancelled.signal), ask("/a")];
  cancelled.abort(new ControlError("cancelled", "enough"));
  assertEquals((await assertRejects(() => first, ControlError)).kind, "cancelled");
  const late = await assertRejects(() => ask("/a", cancelled.signal), ControlError);
  assertEquals([late.kind, workers.length, workers[0]!.sent.length], ["cancelled", 1, 2]);
  const third = ask("/a"); // not behind the one that may hang for ever
  workers[1]!.post({ ok: true, result: noted });
  assertEquals(await third, noted);
  workers[0]!.post({ ok: true, result: { ...noted, named: [undefined] } }); // nobody's any more
  workers[0]!.post({ ok: true, result: noted });
  assertEquals(await second, noted);
  await turn();
  assertEquals(workers.map(({ terminated }) => terminated), [true, true]);
});

Deno.test("images jobs: a worker that breaks fails everybody who waits for it, and the next one gets another", async () => {
  const { workers, ask } = make();
  const asked = [ask("/a"), ask("/a")];
  assertEquals(workers[0]!.crash("out of memory"), true);
  for (const one of asked) {
    const { kind, message } = await assertRejects(() => one, ControlError);
    assertEquals([kind, message], ["internal", "the images' worker failed: out of memory"]);
  }
  assertEquals(workers[0]!.terminated, true);
  const next = ask("/a");
  workers[1]!.post({ ok: true, result: noted });
  assertEquals(await next, noted);
});
