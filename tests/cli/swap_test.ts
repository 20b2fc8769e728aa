import { assertEquals, assertThrows } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { swap, type SwapCommandOptions, swapOrder } from "../../cli/swap.ts";
import { UsageError } from "../../cli/usage.ts";
import type { MountsOrder, SwapOutcome } from "../../host/swap_messages.ts";
import type { Obstacle, SwapResult } from "../../swap/types.ts";
import { Daemon } from "./support/cli.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const sealed: Obstacle = {
  pid: 812,
  comm: "post\ngres",
  kind: "map",
  address: "7f00-7f10",
  path: new Uint8Array([0x2f, 0x61, 0xff]),
  reason: "is sealed by mseal(2)",
};
const passing: Obstacle = { pid: 0, comm: "", kind: "process", reason: "did not stop", transient: true };
const result: SwapResult = {
  processes: [
    { pid: 812, comm: "post\ngres", moved: { cwd: 1, fd: 12 } },
    { pid: 9, comm: "sh", moved: { cwd: 1 } },
  ],
  left: [],
  stoppedMs: 9.4,
  tasks: 5,
  descriptions: 1,
};

/** Runs the command with an order that ends as given. */
async function run(outcome: SwapOutcome, options: SwapCommandOptions = {}) {
  const said = { code: 0, out: "", err: "", orders: [] as MountsOrder[] };
  const terminal = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    input: () => Promise.resolve(""),
    env: () => undefined,
  };
  said.code = await swap("/a", "/b", options, terminal, (order) => {
    said.orders.push(order as MountsOrder);
    return Promise.resolve(outcome);
  });
  return said;
}

Deno.test("cli: swap orders what its options say, relative paths made absolute", () => {
  assertEquals(swapOrder("a", "/b", {}), {
    kind: "mounts",
    source: bytes(`${Deno.cwd()}/a`),
    target: bytes("/b"),
    selection: { kind: "referring" },
    leave: false,
    dryRun: false,
    deadlineMs: 5000,
  });
  const given = { pids: [1, 2], tree: true, leave: true, dryRun: true, deadline: 70 };
  assertEquals(swapOrder("/a", "/b", given), {
    kind: "mounts",
    source: bytes("/a"),
    target: bytes("/b"),
    selection: { kind: "pids", pids: [1, 2], tree: true },
    leave: true,
    dryRun: true,
    deadlineMs: 70,
  });
  const selected = (options: SwapCommandOptions) => swapOrder("/a", "/b", options).selection;
  assertEquals(selected({ pids: [3] }), { kind: "pids", pids: [3], tree: false });
  assertEquals(selected({ cgroup: "c" }), { kind: "cgroup", path: `${Deno.cwd()}/c` });
  assertEquals(selected({ pidNamespace: 4 }), { kind: "pid-namespace", pid: 4 });
  assertThrows(() => swapOrder("/a", "/b", { tree: true }), UsageError, "--tree needs --pids");
});

Deno.test("cli: swap tells what was moved and what was left, and exits 0", async () => {
  const all = await run({ ok: true, result });
  assertEquals([all.code, all.err, all.orders.length], [0, "", 1]);
  assertEquals(all.out.split("\n"), [
    "2 processes moved in 9 ms (5 tasks stopped, 1 open file made anew)",
    "PID  COMMAND        MOVED",
    "812  post\\u{a}gres  fd 12, cwd 1",
    "9    sh             cwd 1",
    "",
  ]);
  const some = await run({ ok: true, result: { ...result, processes: [], left: [sealed, passing] } });
  assertEquals(some.code, 0);
  assertEquals(some.out.split("\n"), [
    "0 processes moved, 2 things left (5 tasks stopped, 1 open file made anew)",
    "left where it was:",
    "PID  COMMAND        WHAT           PATH    WHY",
    "812  post\\u{a}gres  map 7f00-7f10  /a\\xff  is sealed by mseal(2)",
    "-    -              process        -       did not stop (may pass)",
    "",
  ]);
});

Deno.test("cli: a signal in the middle of a swap does not end it", async () => {
  const told = Promise.withResolvers<string>();
  let out = "";
  const terminal = {
    out: (text: string) => void (out += text),
    err: told.resolve,
    input: () => Promise.resolve(""),
    env: () => undefined,
  };
  // In place of the worker, which keeps the program there.
  const alive = setInterval(() => {}, 1000);
  const code = await swap("/a", "/b", {}, terminal, async () => {
    Deno.kill(Deno.pid, "SIGHUP");
    await told.promise;
    return { ok: true, result };
  });
  clearInterval(alive);
  assertEquals([code, out.startsWith("2 processes moved")], [0, true]);
  assertEquals(await told.promise, "spfs: SIGHUP: ends with the swap; once more ends it at once\n");
});

Deno.test("cli: swap that is refused names what stands in the way and exits 1", async () => {
  const refused: SwapOutcome = { ok: false, obstacles: [sealed], message: "1 thing cannot be moved" };
  const plain = await run(refused);
  assertEquals([plain.code, plain.err], [1, "spfs: swap_refused: 1 thing cannot be moved\n"]);
  assertEquals(
    plain.out.split("\n")[1],
    "812  post\\u{a}gres  map 7f00-7f10  /a\\xff  is sealed by mseal(2)",
  );
  const json = await run(refused, { json: true });
  assertEquals([json.code, JSON.parse(json.out)], [1, { obstacles: [{ ...sealed, path: { b64: "L2H/" } }] }]);
});

Deno.test("cli: swap --dry-run tells what would be moved, and exits 1 when that would be refused", async () => {
  const free = await run({ ok: true, result }, { dryRun: true });
  assertEquals([free.code, free.orders[0]!.dryRun], [0, true]);
  assertEquals(free.out.split("\n").at(0), "2 processes would be moved");
  assertEquals(free.out.split("\n").at(-2), "nothing stands in the way");
  const blocked: SwapOutcome = { ok: true, result: { ...result, left: [sealed] } };
  const told = await run(blocked, { dryRun: true });
  assertEquals([told.code, told.out.split("\n").at(4)], [1, "in the way:"]);
  assertEquals((await run(blocked, { dryRun: true, leave: true })).code, 0);
});

Deno.test("cli: swap --json prints what the protocol's methods answer", async () => {
  const left = [{ ...sealed, path: { b64: "L2H/" } }];
  const outcome: SwapOutcome = { ok: true, result: { ...result, left: [sealed] } };
  assertEquals(JSON.parse((await run(outcome, { json: true })).out), { ...result, left });
  assertEquals(JSON.parse((await run(outcome, { json: true, dryRun: true })).out), {
    processes: result.processes,
    obstacles: left,
  });
});

Deno.test("cli: a daemon's refused swap is told with what stands in the way", async () => {
  const obstacles = [{ ...sealed, path: "/a" }];
  await using daemon = await Daemon.start({
    "mount.replace": () =>
      Promise.reject(new ControlError("swap_refused", "3 things", { obstacles, obstacleCount: 3 })),
  });
  const { code, out, err } = await daemon.run(["replace", "a", "--source", "s", "--type", "nfs", "--wait"]);
  assertEquals([code, out], [1, ""]);
  assertEquals(err.split("\n"), [
    "spfs: swap_refused: 3 things",
    "  PID  COMMAND        WHAT           PATH  WHY",
    "  812  post\\u{a}gres  map 7f00-7f10  /a    is sealed by mseal(2)",
    "  and 2 more",
    "",
  ]);
});

Deno.test("cli: replace and status tell what a replacement's swap moved and left", async () => {
  const told = { ...result, processes: [...result.processes], left: [sealed] };
  const replaced = { state: "done" as const, attempts: 1, swap: told };
  await using daemon = await Daemon.start({
    "mount.replace": (_params, { emit }) => {
      emit("swap.progress", { source: bytes("/x"), target: bytes("/y"), step: "stopping" });
      emit("replace.done", { mount: "a", ok: true, swap: told });
      return Promise.resolve({ mount: "a", ...replaced });
    },
    status: () =>
      Promise.resolve({
        program: { name: "spfs", version: "0" },
        pid: 1,
        uptimeMs: 1,
        memory: { rssBytes: 1 },
        mounts: [{
          id: "a",
          mountpoint: bytes("/m"),
          mode: "proxy",
          device: "0:1",
          since: 0,
          parked: { count: 0, oldestMs: 0, byOp: {} },
          nodes: 1,
          handles: 1,
          served: { count: 1 },
          replace: {
            source: bytes("s"),
            type: "nfs",
            ...replaced,
            swap: { ...told, left: Array(12).fill(sealed) },
          },
        }],
      }),
  });
  const { out, err } = await daemon.run(["replace", "a", "--source", "s", "--type", "nfs", "--wait"]);
  assertEquals(err, "a: replaced, 2 processes moved in 9 ms, 1 thing left\n");
  assertEquals(out.split("\n").slice(0, 2), [
    "a: done, attempts: 1",
    "2 processes moved in 9 ms, 1 thing left (5 tasks stopped, 1 open file made anew)",
  ]);
  const lines = (await daemon.run(["status"])).out.split("\n").slice(3);
  assertEquals(lines.slice(0, 3), [
    "a: done: s (nfs), attempts: 1",
    "a: 2 processes moved in 9 ms, 12 things left",
    "a: left: map 7f00-7f10 of 812 (post\\u{a}gres), /a\\xff: is sealed by mseal(2)",
  ]);
  assertEquals(lines.slice(-2), ["a: left: 2 more", ""]);
});
