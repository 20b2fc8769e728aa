import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { createRunJob, type RunJob } from "../../host/namespace_jobs.ts";
import { FakeWorker } from "./support/fake_worker.ts";
import { firingClearedTimers } from "./support/late_timers.ts";

function make(): { run: RunJob; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const start = () => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker.asWorker;
  };
  return { run: createRunJob(start, { lingerMs: 0, aheadMs: 60_000, patienceMs: 0 }), workers };
}

const done = { ok: true, result: undefined };

/** Lets timers of no time run. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

Deno.test("namespace jobs: a worker that has loaded gets the job, and is ended when no other comes", async () => {
  const { run, workers } = make();
  const job = run("close", { fd: 7 });
  assertEquals(workers[0]!.sent, []);
  workers[0]!.post({ loaded: true });
  assertEquals(workers[0]!.sent, [{ name: "close", job: { fd: 7 } }]);
  workers[0]!.post(done);
  await job;
  await turn();
  assertEquals(workers[0]!.terminated, true);
});

Deno.test("namespace jobs: a worker that was started ahead gets the next job, and none is started beside it", async () => {
  const { run, workers } = make();
  run.ahead();
  run.ahead();
  const job = run("close", { fd: 7 });
  assertEquals(workers.length, 1);
  workers[0]!.post({ loaded: true });
  run.ahead();
  assertEquals(workers[0]!.sent, [{ name: "close", job: { fd: 7 } }]);
  workers[0]!.post(done);
  await job;
  await turn();
  assertEquals(workers.map(({ terminated }) => terminated)[0], true);
});

Deno.test("namespace jobs: a worker that was started ahead waits longer for its first job than for the next", async () => {
  const { run, workers } = make();
  run.ahead();
  workers[0]!.post({ loaded: true });
  await turn();
  assertEquals(workers[0]!.terminated, false);
  const job = run("close", { fd: 7 });
  assertEquals(workers.map(({ sent }) => sent.length), [1]);
  workers[0]!.post(done);
  await job;
  await turn();
  assertEquals(workers[0]!.terminated, true);
});

Deno.test("namespace jobs: a worker that has a job again is not ended, though its time was over in the same turn", async () => {
  await firingClearedTimers(async () => {
    const { run, workers } = make();
    const first = run("close", { fd: 7 });
    workers[0]!.post({ loaded: true });
    workers[0]!.post(done);
    await first;
    const second = run("close", { fd: 8 });
    await turn();
    assertEquals(workers[0]!.terminated, false);
    workers[0]!.post(done);
    await second;
  });
});

Deno.test("namespace jobs: a failure keeps errno and whether it was rolled back", async () => {
  const { run, workers } = make();
  const job = run("closeArea", { path: "/x" });
  workers[0]!.post({ loaded: true });
  workers[0]!.post({
    ok: false,
    error: { kind: "system", message: "busy", errno: "EBUSY", rolledBack: true },
  });
  const error = await assertRejects(() => job, ControlError, "busy");
  assertEquals(error.data, { errno: "EBUSY", rolledBack: true });
  await turn();
});

Deno.test("namespace jobs: an abandoned job rejects at once, its worker lives on, its late result is taken care of", async () => {
  const { run, workers } = make();
  const late: number[] = [];
  const abort = new AbortController();
  const spec = { type: "tmpfs", source: new Uint8Array(1), attributes: 0, parameters: [] };
  const job = run("mount", spec, { signal: abort.signal, late: (fd) => late.push(fd) });
  workers[0]!.post({ loaded: true });
  abort.abort(new ControlError("cancelled", "no more"));
  await assertRejects(() => job, ControlError, "no more");
  await turn();
  assertEquals(workers[0]!.terminated, false);
  workers[0]!.post({ ok: true, result: 42 });
  await turn();
  assertEquals([late, workers[0]!.terminated], [[42], true]);
});

Deno.test("namespace jobs: one that is cancelled before it began is never begun", async () => {
  const { run, workers } = make();
  const reason = new ControlError("cancelled", "no");
  await assertRejects(
    () => run("close", { fd: 1 }, { signal: AbortSignal.abort(reason) }),
    ControlError,
    "no",
  );
  assertEquals(workers.length, 0);
  const abort = new AbortController();
  const job = run("close", { fd: 2 }, { signal: abort.signal });
  abort.abort(reason);
  await assertRejects(() => job, ControlError, "no");
  workers[0]!.post({ loaded: true });
  assertEquals(workers[0]!.sent, []);
  await turn();
});

Deno.test("namespace jobs: few workers load at a time, and no job waits for one that hangs", async () => {
  const { run, workers } = make();
  const jobs = Array.from({ length: 10 }, () => run("close", { fd: 1 }));
  for (const [from, count] of [[0, 1], [1, 5], [5, 9], [9, 10]] as const) {
    await turn();
    assertEquals(workers.length, count);
    for (const worker of workers.slice(from)) worker.post({ loaded: true });
  }
  assertEquals(workers.map(({ sent }) => sent.length), Array(10).fill(1));
  for (const worker of workers) worker.post(done);
  await Promise.all(jobs);
  await turn();
});

Deno.test("namespace jobs: a worker that is done takes the next job that waits", async () => {
  const { run, workers } = make();
  const jobs = Array.from({ length: 6 }, () => run("close", { fd: 1 }));
  workers[0]!.post({ loaded: true });
  for (let count = 0; count < 6; count++) workers[0]!.post(done);
  await Promise.all(jobs);
  assertEquals(workers[0]!.sent.length, 6);
  await turn();
  assertEquals(workers.map(({ terminated }) => terminated), [true]);
});

Deno.test("namespace jobs: workers that come too late find nothing to do", async () => {
  const { run, workers } = make();
  const jobs = Array.from({ length: 3 }, () => run("close", { fd: 1 }));
  workers[0]!.post({ loaded: true });
  await turn();
  assertEquals(workers.length, 3);
  for (let count = 0; count < 3; count++) workers[0]!.post(done);
  await Promise.all(jobs);
  for (const worker of workers.slice(1)) worker.post({ loaded: true });
  await turn();
  assertEquals(workers.every(({ terminated }) => terminated), true);
});

Deno.test("namespace jobs: a worker that breaks fails its job alone, while it loads or later", async () => {
  const { run, workers } = make();
  const first = run("close", { fd: 1 });
  assertEquals(workers[0]!.crash("early"), true);
  await assertRejects(() => first, ControlError, "early");
  const [second, third] = [run("close", { fd: 2 }), run("close", { fd: 3 })];
  workers[1]!.post({ loaded: true });
  await turn();
  workers[2]!.post({ loaded: true });
  workers[1]!.crash("late");
  workers[2]!.post(done);
  const error = await assertRejects(() => second, ControlError, "late");
  assertEquals(error.kind, "internal");
  await third;
  await turn();
});
