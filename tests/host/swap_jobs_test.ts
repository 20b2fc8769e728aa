import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { createRunSwap } from "../../host/swap_jobs.ts";
import type {
  RunSwap,
  SwapOrder,
  SwapOutcome,
  SwapRefusal,
  SwapReply,
  TracerEvents,
  TracerRequest,
} from "../../host/swap_messages.ts";
import { firingClearedTimers } from "./support/late_timers.ts";

/** A tracer that is no process: what it was sent can be looked at, and what it replies is said by the test. */
class FakeTracer {
  readonly sent: TracerRequest[] = [];
  ended = false;

  constructor(readonly events: TracerEvents) {}

  send(request: TracerRequest): void {
    this.sent.push(structuredClone(request));
  }

  end(): void {
    this.ended = true;
  }

  reply(reply: SwapReply): void {
    this.events.replied(structuredClone(reply));
  }
}

function make(): { run: RunSwap; tracers: FakeTracer[] } {
  const tracers: FakeTracer[] = [];
  const start = (events: TracerEvents) => {
    const tracer = new FakeTracer(events);
    tracers.push(tracer);
    return tracer;
  };
  return { run: createRunSwap(start, 0), tracers };
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

Deno.test("swap jobs: an order reaches a tracer started for it, its steps and outcome come back, and the tracer ends", async () => {
  const { run, tracers } = make();
  const steps: unknown[] = [];
  const outcome = run(order("/a"), { progress: (step, detail) => steps.push([step, detail]) });
  const [tracer] = tracers as [FakeTracer];
  assertEquals(tracer.sent, [{ order: order("/a") }]);
  tracer.reply({ progress: { step: "stopping", detail: {} } });
  tracer.reply({ progress: { step: "moving", detail: { processes: 1, tasks: 2 } } });
  tracer.reply({ outcome: moved });
  assertEquals(await outcome, moved);
  assertEquals(steps, [["stopping", {}], ["moving", { processes: 1, tasks: 2 }]]);
  await turn();
  assertEquals(tracer.ended, true);
});

Deno.test("swap jobs: a tracer that has an order again is not ended, though its time was over in the same turn", async () => {
  await firingClearedTimers(async () => {
    const { run, tracers } = make();
    const first = run(order("/a"));
    const [tracer] = tracers as [FakeTracer];
    tracer.reply({ outcome: moved });
    await first;
    const second = run(order("/b"));
    await turn();
    assertEquals([tracers.length, tracer.ended], [1, false]);
    tracer.reply({ outcome: moved });
    await second;
  });
});

Deno.test("swap jobs: orders wait for each other, at one tracer", async () => {
  const { run, tracers } = make();
  const begun: string[] = [];
  const first = run(order("/a"), { begun: () => begun.push("a") });
  const second = run(order("/b"), { begun: () => begun.push("b") });
  const [tracer] = tracers as [FakeTracer];
  assertEquals([tracer.sent.length, begun], [1, ["a"]]);
  const refused: SwapOutcome = { ok: false, obstacles: [], message: "no" };
  tracer.reply({ outcome: refused });
  assertEquals([tracer.sent.length, begun], [2, ["a", "b"]]);
  tracer.reply({ outcome: moved });
  assertEquals(await Promise.all([first, second]), [refused, moved]);
  await turn();
  assertEquals([tracers.length, tracer.ended], [1, true]);
  const third = run(order("/c"));
  tracers[1]!.reply({ outcome: moved });
  await third;
  await turn();
});

Deno.test("swap jobs: an order that waits can be taken back, one that has begun cannot", async () => {
  const { run, tracers } = make();
  const reason = new ControlError("cancelled", "no more");
  const abort = new AbortController();
  const first = run(order("/a"), { signal: abort.signal });
  const second = run(order("/b"), { signal: abort.signal });
  abort.abort(reason);
  assertEquals(await assertRejects(() => second), reason);
  assertEquals(await assertRejects(() => run(order("/c"), { signal: abort.signal })), reason);
  const [tracer] = tracers as [FakeTracer];
  tracer.reply({ outcome: moved });
  assertEquals(await first, moved);
  assertEquals(tracer.sent.length, 1);
  await turn();
});

Deno.test("swap jobs: an error of the tracer keeps its errno, and the tracer goes on", async () => {
  const { run, tracers } = make();
  const first = run(order("/a"));
  const second = run(order("/b"));
  const [tracer] = tracers as [FakeTracer];
  tracer.reply({ error: { kind: "system", message: "open /a: ENOENT", errno: "ENOENT", syscall: "open" } });
  tracer.reply({ outcome: moved });
  const error = await assertRejects(() => first, ControlError, "open /a: ENOENT");
  assertEquals([error.kind, error.data], ["system", { errno: "ENOENT", syscall: "open" }]);
  assertEquals(await second, moved);
  await turn();
});

Deno.test("swap jobs: a tracer that breaks is ended, its order fails as internal, and the next gets a new one", async () => {
  const { run, tracers } = make();
  const first = run(order("/a"));
  const second = run(order("/b"));
  tracers[0]!.events.failed("out of memory");
  const error = await assertRejects(() => first, ControlError, "out of memory");
  assertEquals([error.kind, tracers[0]!.ended], ["internal", true]);
  tracers[0]!.reply({ outcome: { ok: false, obstacles: [], message: "from the dead" } });
  tracers[1]!.reply({ outcome: moved });
  assertEquals(await second, moved);
  await turn();
});

Deno.test("swap jobs: when a tracer was ended because it did not get on, its order is refused, and the next gets a new one", async () => {
  const { run, tracers } = make();
  const [first, second] = [run(order("/a")), run(order("/b"))];
  const refusal: SwapRefusal = { ok: false, obstacles: [], message: "did not answer" };
  tracers[0]!.events.failed("it ended by SIGKILL", refusal);
  assertEquals(await first, refusal);
  tracers[1]!.reply({ outcome: moved });
  assertEquals(await second, moved);
  await turn();
});
