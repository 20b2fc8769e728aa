import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { MountHandle } from "../../host/mount_handle.ts";
import { FakeWorker } from "./support/fake_worker.ts";

function make(): { worker: FakeWorker; handle: MountHandle; told: string[] } {
  const worker = new FakeWorker();
  const told: string[] = [];
  const handle = new MountHandle("m", worker.asWorker, {
    parked: ({ count }) => told.push(`parked ${count}`),
    gone: ({ reason }) => told.push(`gone ${reason}`),
    log: ({ text }) => told.push(`log ${text}`),
    lost: (reason) => told.push(`lost ${reason}`),
  });
  return { worker, handle, told };
}

Deno.test("mount handle: replies find their calls in any order", async () => {
  const { worker, handle } = make();
  const first = handle.call("abort", { errno: 5 });
  const second = handle.call("detach", {});
  assertEquals(worker.sent, [{ type: "abort", errno: 5, seq: 1 }, { type: "detach", seq: 2 }]);
  worker.post({ seq: 2, ok: true, result: {} });
  worker.post({ seq: 1, ok: true, result: { answered: 3 } });
  assertEquals([await first, await second], [{ answered: 3 }, {}]);
});

Deno.test("mount handle: a failure is a control error that names the mount, its path on the wire's terms", async () => {
  const { worker, handle } = make();
  const call = handle.call("populate", { entries: [], parents: true });
  const path = new Uint8Array([0x61, 0xff]);
  worker.post({
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
  worker.post({ event: "loaded" });
  worker.post({ event: "parked", count: 2, byOp: {} });
  worker.post({ event: "log", level: "warn", text: "hm" });
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
  worker.post({ event: "gone", reason: "unmounted" });
  worker.crash("while it unloads");
  await assertRejects(() => waiting, ControlError, "over");
  await assertRejects(() => handle.call("detach", {}), ControlError, "over");
  assertEquals([told, worker.sent.length], [["gone unmounted"], 1]);
  handle.end("done");
  assertEquals(worker.terminated, true);
});
