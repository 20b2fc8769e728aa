import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { ImageNodes, NodesRequest } from "../../host/images_messages.ts";
import { NodesReading, readNoted } from "../../host/images_jobs.ts";
import { MountHandle } from "../../host/mount_handle.ts";
import { MountThread } from "../../host/mount_thread.ts";
import { FakeWorker } from "./support/fake_worker.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const asked = (mountpoint: string): NodesRequest => ({
  images: { directory: bytes("/images") },
  mountpoint: bytes(mountpoint),
});
const nodes: ImageNodes = { root: undefined, entries: [], noted: false };
const silent = { parked() {}, gone() {}, log() {}, lost() {} };

function handleOf(worker: FakeWorker, id: string): MountHandle {
  return new MountHandle(id, new MountThread(worker.asWorker), silent);
}

Deno.test("images jobs: the worker of one mount reads for all, each of which gets its own", async () => {
  const [first, second] = [new FakeWorker(), new FakeWorker()];
  const mounts = [asked("/a"), asked("/b")];
  const reading = new NodesReading(mounts);
  const late = reading.of(1, handleOf(second, "b"));
  const early = reading.of(0, handleOf(first, "a"));
  assertEquals([first.sent, second.sent], [[], [{ type: "readNodes", mounts, mount: 1, seq: 1 }]]);
  const error = { kind: "bad_images" as const, message: "no such mount", path: bytes("/images") };
  second.post({
    mount: 1,
    seq: 1,
    ok: true,
    result: { replies: [{ ok: true, nodes }, { ok: false, error }] },
  });
  assertEquals(await early, nodes);
  const { kind, data } = await assertRejects(() => late, ControlError, "no such mount");
  assertEquals([kind, data.path], ["bad_images", "/images"]);
});

Deno.test("images jobs: what is wrong with the images is told of every mount, with file and offset", async () => {
  const worker = new FakeWorker();
  const reading = new NodesReading([asked("/a"), asked("/b")]);
  const handle = handleOf(worker, "a");
  const both = [reading.of(0, handle), reading.of(1, handle)];
  const error = {
    kind: "bad_images" as const,
    message: "cut off",
    path: bytes("/images/mm-7.img"),
    offset: 12,
  };
  worker.post({ mount: 1, seq: 1, ok: false, error });
  for (const one of both) {
    const { kind, data } = await assertRejects(() => one, ControlError);
    assertEquals([kind, data.path, data.offset], ["bad_images", "/images/mm-7.img", 12]);
  }
});

/** Mount workers of which one is there, and those that are kept for the next mount. */
function workers() {
  const worker = new FakeWorker();
  const thread = new MountThread(worker.asWorker);
  const kept: MountThread[] = [];
  const context = {
    takeMountThread: () => thread,
    keepMountThread: (one: MountThread) => void kept.push(one),
  };
  return { worker, thread, kept, context };
}

const question = { directory: bytes("/images"), mounts: [], types: ["nfs4"] };
const noted = { named: [], found: [] };

Deno.test("images jobs: the worker that has read what was noted is the next mount's", async () => {
  const { worker, thread, kept, context } = workers();
  const reading = readNoted(question, new AbortController().signal, context);
  assertEquals(worker.sent, [{ ...question, type: "readNoted", mount: 1, seq: 1 }]);
  worker.post({ mount: 1, seq: 1, ok: true, result: noted });
  assertEquals(await reading, noted);
  assertEquals([kept, worker.terminated], [[thread], false]);
});

Deno.test("images jobs: who is cancelled does not wait for a directory that does not answer, nor is its worker used again", async () => {
  const { worker, kept, context } = workers();
  const cancelled = new AbortController();
  const reading = readNoted(question, cancelled.signal, context);
  cancelled.abort(new ControlError("cancelled", "enough"));
  assertEquals((await assertRejects(() => reading, ControlError)).kind, "cancelled");
  assertEquals([kept, worker.terminated], [[], true]);
});

Deno.test("images jobs: a worker that breaks while it reads is no mount's", async () => {
  const { worker, kept, context } = workers();
  const reading = readNoted(question, new AbortController().signal, context);
  assertEquals(worker.crash("out of memory"), true);
  const { kind, message, data } = await assertRejects(() => reading, ControlError);
  assertEquals([kind, message, data], [
    "mount_lost",
    "a mount worker: its worker failed: out of memory",
    {},
  ]);
  assertEquals([kept, worker.terminated], [[], true]);
});
