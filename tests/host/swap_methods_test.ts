import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { Emit } from "../../control/events.ts";
import type { RequestContext } from "../../control/handler.ts";
import { decodeParams, encodeResult } from "../../control/validation.ts";
import type { Log } from "../../host/log.ts";
import type { MountsOrder, RunSwap, SwapHooks, SwapOutcome } from "../../host/swap_messages.ts";
import { SwapMethods } from "../../host/swap_methods.ts";
import type { Obstacle } from "../../swap/types.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const obstacle: Obstacle = {
  pid: 7,
  comm: "app",
  kind: "map",
  address: "7f00-7f10",
  path: new Uint8Array([0x2f, 0xff]),
  reason: "is sealed by mseal(2)",
};
const done: SwapOutcome = {
  ok: true,
  result: {
    processes: [{ pid: 7, comm: "app", moved: { fd: 2, cwd: 1 } }],
    left: [obstacle],
    stoppedMs: 1.25,
    tasks: 3,
    descriptions: 2,
  },
};

interface World {
  methods: SwapMethods;
  orders: MountsOrder[];
  hooks: SwapHooks[];
  events: unknown[];
  lines: string[];
  request: RequestContext;
  committed: () => boolean;
}

function world(outcome: SwapOutcome, stop: AbortSignal = new AbortController().signal): World {
  const orders: MountsOrder[] = [];
  const hooks: SwapHooks[] = [];
  const events: unknown[] = [];
  const lines: string[] = [];
  let committed = false;
  const runSwap: RunSwap = (order, given = {}) => {
    orders.push(order as MountsOrder);
    hooks.push(given);
    if (given.signal?.aborted) return Promise.reject(given.signal.reason);
    given.begun?.();
    given.progress?.("stopping", {});
    given.progress?.("moving", { processes: 1, tasks: 3 });
    return Promise.resolve(outcome);
  };
  const emit: Emit = (event, params) => void events.push([event, params]);
  const log: Log = {
    write: (level, text, about) => void (level === "info" && lines.push(`${about?.request}: ${text}`)),
    flush: () => Promise.resolve(),
  };
  const mounts = [
    { id: "waits", mode: "stub" as const, path: bytes("/mnt/waits"), replaced: false },
    { id: "serves", mode: "proxy" as const, path: bytes("/mnt/serves"), replaced: false },
    { id: "gone", mode: "stub" as const, path: bytes("/mnt/gone"), replaced: true },
  ];
  const request: RequestContext = {
    connection: { id: 1, label: "test", client: "", onEof: undefined },
    signal: new AbortController().signal,
    emit,
    beginCommit: () => void (committed = true),
    letNextBegin: () => {},
  };
  const methods = new SwapMethods({ runSwap, emit, log }, () => mounts, stop);
  return { methods, orders, hooks, events, lines, request, committed: () => committed };
}

const run = (more: Record<string, unknown> = {}) =>
  decodeParams("swap.run", { source: "/from", target: "/to", ...more });

Deno.test("swap.run: orders what was asked for, tells of its steps, and answers what moved and what was left", async () => {
  const { methods, orders, events, lines, request, committed } = world(done);
  const params = run({ processes: { kind: "pids", pids: [7], tree: true }, leave: true, deadlineMs: 99 });
  const result = await methods.run(params, request);
  assertEquals(orders, [{
    kind: "mounts",
    source: bytes("/from"),
    target: bytes("/to"),
    selection: { kind: "pids", pids: [7], tree: true },
    leave: true,
    dryRun: false,
    deadlineMs: 99,
  }]);
  const sides = { source: bytes("/from"), target: bytes("/to") };
  assertEquals(events, [
    ["swap.progress", { ...sides, step: "stopping" }],
    ["swap.progress", { ...sides, step: "moving", processes: 1, tasks: 3 }],
  ]);
  assertEquals(encodeResult("swap.run", result), {
    processes: [{ pid: 7, comm: "app", moved: { fd: 2, cwd: 1 } }],
    left: [{ ...obstacle, path: { b64: "L/8=" } }],
    stoppedMs: 1.25,
    tasks: 3,
    descriptions: 2,
  });
  assertEquals(committed(), true);
  assertEquals(lines, [
    "swap.run: from /from to /to: moved 1 processes, left 1 things, stopped tasks for 1.3 ms",
  ]);
});

Deno.test("swap.plan: only looks, and what would be left are the obstacles", async () => {
  const { methods, orders, lines, request } = world(done);
  const params = decodeParams("swap.plan", { source: "/from", target: "/to" });
  const plan = await methods.plan(params, request);
  assertEquals([orders[0]!.dryRun, orders[0]!.selection, lines], [true, { kind: "referring" }, []]);
  assertEquals(encodeResult("swap.plan", plan), {
    processes: [{ pid: 7, comm: "app", moved: { fd: 2, cwd: 1 } }],
    obstacles: [{ ...obstacle, path: { b64: "L/8=" } }],
  });
});

Deno.test("swap.run: a refusal names the first hundred obstacles, in the wire's form, and counts all", async () => {
  const obstacles = Array.from({ length: 250 }, (_, fd) => ({ ...obstacle, fd }));
  const { methods, request } = world({ ok: false, obstacles, message: "250 things cannot be moved" });
  const error = await assertRejects(
    () => methods.run(run(), request),
    ControlError,
    "250 things cannot be moved",
  );
  assertEquals([error.kind, error.data.rolledBack, error.data.obstacleCount], ["swap_refused", true, 250]);
  assertEquals(error.data.obstacles!.length, 100);
  assertEquals(error.data.obstacles![99], { ...obstacle, fd: 99, path: { b64: "L/8=" } });
});

Deno.test("swap.run: what cannot go well is refused before anything is ordered", async () => {
  const { methods, orders, request } = world(done);
  const refusals: [unknown, string, string][] = [
    [run({ target: "/from" }), "invalid_params", "source and target are the same"],
    [
      run({ source: "/mnt/waits" }),
      "wrong_mode",
      "/mnt/waits is in mount waits, which is in stub mode",
    ],
    [
      run({ target: "/mnt/waits/below" }),
      "wrong_mode",
      "/mnt/waits/below is in mount waits, which is in stub mode",
    ],
  ];
  for (const [params, kind, message] of refusals) {
    const error = await assertRejects(() => methods.run(params as never, request), ControlError, message);
    assertEquals(error.kind, kind);
  }
  assertEquals(orders, []);
  for (const source of ["/mnt/serves", "/mnt/gone", "/mnt/waitsnot"]) {
    await methods.run(run({ source }), request);
  }
  assertEquals(orders.length, 3);
});

Deno.test("swap.run: nothing begins any more when the daemon is ending", async () => {
  const reason = new ControlError("shutting_down", "spfs is shutting down");
  const { methods, request, committed } = world(done, AbortSignal.abort(reason));
  const error = await assertRejects(() => methods.run(run(), request), ControlError);
  assertEquals([error.kind, committed()], ["shutting_down", false]);
});
