import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { createRunJob, type RunJob } from "../../host/namespace_jobs.ts";
import { FakeWorker } from "./support/fake_worker.ts";

function make(): { run: RunJob; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const run = createRunJob(() => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker.asWorker;
  });
  return { run, workers };
}

/** Lets everything happen that waits for nothing but its turn. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("namespace jobs: one worker, one job, one answer, and the worker is ended", async () => {
  const { run, workers } = make();
  const job = run("close", { fd: 7 });
  await turn();
  assertEquals(workers[0]!.sent, [{ name: "close", job: { fd: 7 } }]);
  workers[0]!.post({ loaded: true });
  workers[0]!.post({ ok: true, result: undefined });
  await job;
  assertEquals(workers[0]!.terminated, true);
});

Deno.test("namespace jobs: a failure keeps errno and whether it was rolled back", async () => {
  const { run, workers } = make();
  const job = run("closeArea", { path: "/x" });
  await turn();
  workers[0]!.post({
    ok: false,
    error: { kind: "system", message: "busy", errno: "EBUSY", rolledBack: true },
  });
  const error = await assertRejects(() => job, ControlError, "busy");
  assertEquals(error.data, { errno: "EBUSY", rolledBack: true });
});

Deno.test("namespace jobs: an abandoned job rejects at once, its worker lives on, its late result is taken care of", async () => {
  const { run, workers } = make();
  const late: number[] = [];
  const abort = new AbortController();
  const spec = { type: "tmpfs", source: new Uint8Array(1), attributes: 0, parameters: [] };
  const job = run("mount", spec, { signal: abort.signal, late: (fd) => late.push(fd) });
  await turn();
  abort.abort(new ControlError("cancelled", "no more"));
  await assertRejects(() => job, ControlError, "no more");
  assertEquals(workers[0]!.terminated, false);
  workers[0]!.post({ ok: true, result: 42 });
  assertEquals([late, workers[0]!.terminated], [[42], true]);
});

Deno.test("namespace jobs: one that is cancelled before it began starts no worker", async () => {
  const { run, workers } = make();
  await assertRejects(() =>
    run("close", { fd: 1 }, { signal: AbortSignal.abort(new ControlError("cancelled", "no")) })
  );
  assertEquals(workers.length, 0);
});

Deno.test("namespace jobs: few workers load at a time, however many jobs hang", async () => {
  const { run, workers } = make();
  const jobs = Array.from({ length: 10 }, () => run("close", { fd: 1 }));
  await turn();
  assertEquals(workers.length, 4);
  for (const worker of workers.slice()) worker.post({ loaded: true });
  await turn();
  assertEquals(workers.length, 8);
  workers[7]!.crash("boom");
  await assertRejects(() => jobs[7]!, ControlError, "boom");
  await turn();
  assertEquals(workers.length, 9);
  for (const worker of workers.slice(4)) worker.post({ loaded: true });
  await turn();
  for (const [at, worker] of workers.entries()) if (at !== 7) worker.post({ ok: true, result: undefined });
  assertEquals((await Promise.allSettled(jobs)).filter(({ status }) => status === "fulfilled").length, 9);
});
