import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { createRunSwap } from "../../host/swap_jobs.ts";
import type { RunSwap, SwapOrder, SwapOutcome } from "../../host/swap_messages.ts";
import { FakeWorker } from "./support/fake_worker.ts";

function make(): { run: RunSwap; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const start = () => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker.asWorker;
  };
  return { run: createRunSwap(start, 0), workers };
}

function order(source: string): SwapOrder {
  const encoder = new TextEncoder();
  return {
    kind: "mounts",
    source: encoder.encode(source),
    target: encoder.encode("/to"),
    selection: { kind: "referring" },
    leave: false,
    dryRun: false,
    deadlineMs: 5000,
  };
}

const moved: SwapOutcome = {
  ok: true,
  result: { processes: [], left: [], stoppedMs: 1.5, tasks: 2, descriptions: 3 },
};

/** Lets timers of no time run. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

Deno.test("swap jobs: an order reaches a worker started for it, its steps and outcome come back, and the worker ends", async () => {
  const { run, workers } = make();
  const steps: unknown[] = [];
  const outcome = run(order("/a"), { progress: (step, detail) => steps.push([step, detail]) });
  const [worker] = workers as [FakeWorker];
  assertEquals(worker.sent, [order("/a")]);
  worker.post({ progress: { step: "stopping", detail: {} } });
  worker.post({ progress: { step: "moving", detail: { processes: 1, tasks: 2 } } });
  worker.post({ outcome: moved });
  assertEquals(await outcome, moved);
  assertEquals(steps, [["stopping", {}], ["moving", { processes: 1, tasks: 2 }]]);
  await turn();
  assertEquals(worker.terminated, true);
});

Deno.test("swap jobs: orders wait for each other, on one worker", async () => {
  const { run, workers } = make();
  const begun: string[] = [];
  const first = run(order("/a"), { begun: () => begun.push("a") });
  const second = run(order("/b"), { begun: () => begun.push("b") });
  const [worker] = workers as [FakeWorker];
  assertEquals([worker.sent.length, begun], [1, ["a"]]);
  const refused: SwapOutcome = { ok: false, obstacles: [], message: "no" };
  worker.post({ outcome: refused });
  assertEquals([worker.sent.length, begun], [2, ["a", "b"]]);
  worker.post({ outcome: moved });
  assertEquals(await Promise.all([first, second]), [refused, moved]);
  await turn();
  assertEquals([workers.length, worker.terminated], [1, true]);
  const third = run(order("/c"));
  workers[1]!.post({ outcome: moved });
  await third;
  await turn();
});

Deno.test("swap jobs: an order that waits can be taken back, one that has begun cannot", async () => {
  const { run, workers } = make();
  const reason = new ControlError("cancelled", "no more");
  const abort = new AbortController();
  const first = run(order("/a"), { signal: abort.signal });
  const second = run(order("/b"), { signal: abort.signal });
  abort.abort(reason);
  assertEquals(await assertRejects(() => second), reason);
  assertEquals(await assertRejects(() => run(order("/c"), { signal: abort.signal })), reason);
  const [worker] = workers as [FakeWorker];
  worker.post({ outcome: moved });
  assertEquals(await first, moved);
  assertEquals(worker.sent.length, 1);
  await turn();
});

Deno.test("swap jobs: an error of the worker keeps its errno, and the worker goes on", async () => {
  const { run, workers } = make();
  const first = run(order("/a"));
  const second = run(order("/b"));
  const [worker] = workers as [FakeWorker];
  worker.post({ error: { kind: "system", message: "open /a: ENOENT", errno: "ENOENT", syscall: "open" } });
  worker.post({ outcome: moved });
  const error = await assertRejects(() => first, ControlError, "open /a: ENOENT");
  assertEquals([error.kind, error.data], ["system", { errno: "ENOENT", syscall: "open" }]);
  assertEquals(await second, moved);
  await turn();
});

Deno.test("swap jobs: a worker that breaks is ended, its order fails as internal, and the next gets a new one", async () => {
  const { run, workers } = make();
  const first = run(order("/a"));
  const second = run(order("/b"));
  const noted = workers[0]!.crash("out of memory");
  const error = await assertRejects(() => first, ControlError, "out of memory");
  assertEquals([error.kind, noted, workers[0]!.terminated], ["internal", true, true]);
  workers[0]!.post({ outcome: { ok: false, obstacles: [], message: "from the dead" } });
  workers[1]!.post({ outcome: moved });
  assertEquals(await second, moved);
  await turn();
});
