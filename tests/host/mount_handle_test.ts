import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { MountHandle } from "../../host/mount_handle.ts";
import { MountThread } from "../../host/mount_thread.ts";
import { FakeWorker } from "./support/fake_worker.ts";

function handleOf(thread: MountThread, id: string): { handle: MountHandle; told: string[] } {
  const told: string[] = [];
  const handle = new MountHandle(id, thread, {
    parked: ({ count }) => told.push(`parked ${count}`),
    gone: ({ reason }) => told.push(`gone ${reason}`),
    log: ({ text }) => told.push(`log ${text}`),
    lost: (reason) => told.push(`lost ${reason}`),
  });
  return { handle, told };
}

function make(): { worker: FakeWorker; handle: MountHandle; told: string[] } {
  const worker = new FakeWorker();
  return { worker, ...handleOf(new MountThread(worker.asWorker), "m") };
}

Deno.test("mount handle: replies find their calls in any order", async () => {
  const { worker, handle } = make();
  const first = handle.call("abort", { errno: 5 });
  const second = handle.call("detach", {});
  assertEquals(worker.sent, [
    { type: "abort", errno: 5, mount: 1, seq: 1 },
    { type: "detach", mount: 1, seq: 2 },
  ]);
  worker.post({ mount: 1, seq: 2, ok: true, result: {} });
  worker.post({ mount: 1, seq: 1, ok: true, result: { answered: 3 } });
  assertEquals([await first, await second], [{ answered: 3 }, {}]);
});

Deno.test("mount handle: a failure is a control error that names the mount, its path on the wire's terms", async () => {
  const { worker, handle } = make();
  const call = handle.call("populate", { entries: [], parents: true });
  const path = new Uint8Array([0x61, 0xff]);
  worker.post({
    mount: 1,
    seq: 1,
    ok: false,
    error: { kind: "system", message: "no", errno: "ENOSPC", path, index: 2, rolledBack: true },
  });
  const error = await assertRejects(() => call, ControlError, "no");
  assertEquals(error.toWire().data, {
    kind: "system",
    mount: "m",
    errno: "ENOSPC",
    index: 2,
    rolledBack: true,
    path: { b64: "Yf8=" },
  });
});

Deno.test("mount handle: events are passed on", () => {
  const { worker, told } = make();
  worker.post({ mount: 1, event: "parked", count: 2, byOp: {} });
  worker.post({ mount: 1, event: "log", level: "warn", text: "hm" });
  assertEquals(told, ["parked 2", "log hm"]);
});

Deno.test("mount handle: a worker that breaks rejects what waits and what comes, and is told once", async () => {
  const { worker, handle, told } = make();
  const waiting = handle.call("inspect", { requests: 0 });
  assertEquals(worker.crash("boom"), true);
  worker.crash("again");
  for (const call of [waiting, handle.call("detach", {})]) {
    const error = await assertRejects(() => call, ControlError, "boom");
    assertEquals([error.kind, error.data.mount], ["mount_lost", "m"]);
  }
  assertEquals(told, ["lost its worker failed: boom"]);
});

Deno.test("mount handle: after the end of the session nothing is lost any more, and nothing is sent", async () => {
  const { worker, handle, told } = make();
  const waiting = handle.call("detach", {});
  worker.post({ mount: 1, event: "gone", reason: "unmounted" });
  worker.crash("while it unloads");
  await assertRejects(() => waiting, ControlError, "over");
  await assertRejects(() => handle.call("detach", {}), ControlError, "over");
  assertEquals([told, worker.sent.length], [["gone unmounted"], 1]);
  handle.end("done");
  assertEquals(worker.terminated, true);
});

Deno.test("mount handle: of several mounts of one worker each hears what is its own", async () => {
  const worker = new FakeWorker();
  const thread = new MountThread(worker.asWorker);
  const [one, other] = [handleOf(thread, "one"), handleOf(thread, "other")];
  const calls = [one, other].map(({ handle }) => handle.call("abort", { errno: 5 }));
  assertEquals(worker.sent.map(({ mount, seq }) => [mount, seq]), [[1, 1], [2, 1]]);
  worker.post({ mount: 2, seq: 1, ok: true, result: { answered: 2 } });
  worker.post({ mount: 1, seq: 1, ok: true, result: { answered: 1 } });
  worker.post({ mount: 2, event: "parked", count: 7, byOp: {} });
  assertEquals(await Promise.all(calls), [{ answered: 1 }, { answered: 2 }]);
  assertEquals([one.told, other.told], [[], ["parked 7"]]);
});

Deno.test("mount handle: a worker ends with its last mount, and breaks for all of them", async () => {
  const worker = new FakeWorker();
  const thread = new MountThread(worker.asWorker);
  const [one, other, third] = ["one", "other", "third"].map((id) => handleOf(thread, id));
  one!.handle.end("done");
  assertEquals(worker.terminated, false);
  const waiting = [other!, third!].map(({ handle }) =>
    assertRejects(() => handle.call("detach", {}), ControlError)
  );
  worker.crash("boom");
  assertEquals((await Promise.all(waiting)).map(({ data }) => data.mount), ["other", "third"]);
  assertEquals([one!.told, other!.told], [[], ["lost its worker failed: boom"]]);
  other!.handle.end("lost");
  assertEquals(worker.terminated, false);
  third!.handle.end("lost");
  assertEquals(worker.terminated, true);
});

Deno.test("mount handle: a worker that is held outlives its mounts for as long", () => {
  const worker = new FakeWorker();
  const thread = new MountThread(worker.asWorker);
  {
    using _held = thread.hold();
    handleOf(thread, "m").handle.end("it was not made");
    assertEquals(worker.terminated, false);
  }
  assertEquals(worker.terminated, true);
});

Deno.test("mount handle: a mount that joins a broken worker is lost", async () => {
  const worker = new FakeWorker();
  const thread = new MountThread(worker.asWorker);
  worker.crash("boom");
  const { handle, told } = handleOf(thread, "late");
  await assertRejects(() => handle.call("detach", {}), ControlError, "boom");
  assertEquals(told, ["lost its worker failed: boom"]);
});
