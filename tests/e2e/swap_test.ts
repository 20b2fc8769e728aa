/** A replacement moves the processes that use the stand-in to the real file system: wholly, or says by name what stays and why. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { e2e } from "./support/case.ts";
import { run } from "./support/child.ts";
import { recordTree } from "./support/placeholder.ts";
import { isAlive } from "./support/proc.ts";
import { references } from "./support/references.ts";
import { Spfs } from "./support/spfs.ts";
import { SwapScene } from "./support/swap_scene.ts";
import { mountPair } from "../swap/support/mount_pair.ts";
import { assertMoved, snapshot } from "../swap/support/snapshot.ts";
import { swapVictim, Victim } from "../swap/support/victim.ts";

/** A sealed mapping is what cannot be moved. */
const mseal = {
  other: () => {
    const [major, minor] = Deno.osRelease().split(".").map(Number) as [number, number];
    return major > 6 || (major === 6 && minor >= 10) ? undefined : "mseal(2) needs Linux 6.10";
  },
};

/** What processes hold: a program of tests/swap/victims, its cases, and how many references these are at least. */
const held: readonly {
  what: string;
  victim: string;
  cases: string[];
  count: number;
  placed?: boolean;
}[] = [
  {
    what: "descriptors, shared by processes and not",
    victim: "fds",
    cases: ["private", "dup", "forked", "passed", "flags", "path", "cloexec"],
    count: 20,
  },
  {
    what: "mappings",
    victim: "maps",
    cases: ["shared", "private", "code", "beyond", "pieces", "inherited"],
    count: 40,
  },
  { what: "mapped files without a name", victim: "maps", cases: ["ghost"], count: 2 },
  { what: "files without a name", victim: "names", cases: ["deleted", "replaced"], count: 8 },
  {
    what: "hard links, renamed files, strange names",
    victim: "names",
    cases: ["links", "renamed", "strange"],
    count: 20,
  },
  { what: "directories and their positions", victim: "names", cases: ["entries"], count: 4 },
  { what: "FIFOs with what is in them", victim: "fifos", cases: ["both", "ends", "left"], count: 5 },
  { what: "locks", victim: "locks", cases: ["posix", "ofd", "flock"], count: 10 },
  { what: "epoll registrations", victim: "events", cases: ["epoll"], count: 10 },
  { what: "working directories", victim: "places", cases: ["cwd"], count: 1 },
  { what: "the mountpoint as working directory", victim: "places", cases: ["cwd-top"], count: 1 },
  { what: "the mountpoint as root", victim: "places", cases: ["root"], count: 2 },
  { what: "a root below it", victim: "places", cases: ["root-below"], count: 1 },
  { what: "the program itself", victim: "places", cases: ["exe"], count: 5, placed: true },
];

for (const { what, victim: program, cases, count, placed } of held) {
  await e2e(`moved, and the daemon is gone: ${what}`, async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const victim = await scene.victim(program, cases, placed);
    await scene.mirror();
    const before = scene.before(victim);
    assert(before.references.size >= count, `${before.references.size} references`);
    const { state, swap } = await scene.replace({ swap: "require" });
    assertEquals([state, swap!.left], ["done", []]);
    assert(swap!.processes.some(({ pid }) => pid === victim.pids[0]));
    scene.assertMoved(victim, before);
    await scene.spfs.event("mount.gone");
    await victim.check("on the real file system");
    await scene.daemonEnds();
    await victim.end();
  });
}

await e2e("require: refused by name, and tried again when the obstacle is gone", async (sandbox, binary) => {
  const scene = await SwapScene.make(sandbox, binary);
  const { spfs } = scene;
  const fine = await scene.victim("fds", ["private", "forked"]);
  const wrong = await scene.victim("refused", ["sealed-shared"]);
  await scene.mirror();
  const [fineBefore, wrongBefore] = [scene.before(fine), scene.before(wrong)];
  const error = await assertRejects(() => scene.replace({ swap: "require" }), ControlError);
  assertEquals([error.kind, error.data.rolledBack, error.data.obstacleCount], ["swap_refused", true, 1]);
  const [obstacle] = error.data.obstacles!;
  assertEquals([obstacle!.pid, obstacle!.kind], [wrong.pids[0], "map"]);
  assertMatch(obstacle!.reason, /seal/);
  await spfs.event("replace.progress", ({ step }) => step === "failed");
  const { mounts: [status] } = await spfs.call("status", { mount: "net" });
  assertEquals([status!.mode, status!.replace?.state], ["proxy", "failed"]);
  await scene.assertUntouched(fine, fineBefore);
  await scene.assertUntouched(wrong, wrongBefore);

  await wrong.end();

  const again = scene.before(fine);
  assertMatch(await spfs.command("retry", "net", "--wait"), /net: done/);
  scene.assertMoved(fine, again);
  await fine.check("moved after the retry");
  await scene.daemonEnds();
  await fine.end();
}, mseal);

await e2e(
  "files without a name are told apart, although one has had the number that another one has now",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const { mountpoint, real, spfs } = scene;
    const made =
      `for n in {1..60}; do : > $n; done; exec 5<>first 6<>second; printf first >&5; printf second >&6; rm *`;
    const holder = sandbox.start("bash", ["-c", `cd ${mountpoint}; ${made}; cd /; echo ready; read -r end`]);
    await holder.line();
    const [first, second] = [5, 6].map((fd) => `/proc/${holder.pid}/fd/${fd}`) as [string, string];
    const numberOf = async (path: string) => Number(await run("stat", ["-L", "-c", "%i", path]));
    const number = await numberOf(second);
    const obstacle = await scene.victim("refused", ["sealed-shared"]);
    await scene.mirror();
    for (let n = 0, last = 0; last < number - 1; n++) {
      Deno.writeTextFileSync(`${real}/filler-${n}`, "");
      last = Deno.statSync(`${real}/filler-${n}`).ino!;
    }
    await assertRejects(() => scene.replace({ swap: "require" }), ControlError);
    assertEquals(
      await numberOf(first),
      number,
      "the kernel has asked for the one's attributes, and not for the other's",
    );
    await obstacle.end();
    assertMatch(await spfs.command("retry", "net", "--wait"), /net: done/);
    assertEquals([await run("cat", [first]), await run("cat", [second])], ["first", "second"]);
    await scene.daemonEnds();
    await holder.closeInput();
  },
  mseal,
);

await e2e(
  "what was refused can be ordered anew with another swap, and with nothing else that differs",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const fine = await scene.victim("fds", ["private"]);
    const wrong = await scene.victim("refused", ["sealed-shared"]);
    await scene.mirror();
    const refused = await assertRejects(() => scene.replace({ swap: "require" }), ControlError);
    const other = await assertRejects(() => scene.replace({ swap: "auto", flags: ["ro"] }), ControlError);
    assertEquals([refused.kind, other.kind], ["swap_refused", "conflict"]);
    const { state, swap } = await scene.replace({ swap: "auto" });
    assertEquals([state, swap!.processes.map(({ pid }) => pid)], ["done", fine.pids]);
    assertEquals(references(fine.pids[0]!, scene.stub), []);
    for (const victim of [fine, wrong]) {
      await victim.check("after the second order");
      await victim.end();
    }
    await scene.daemonEnds();
  },
  mseal,
);

await e2e(
  "auto: what cannot be moved is left and told, and the daemon stays for it",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const { spfs } = scene;
    const fine = await scene.victim("fds", ["private", "forked"]);
    const wrong = await scene.victim("refused", ["sealed-shared"]);
    await scene.mirror();
    const [fineBefore, wrongBefore] = [scene.before(fine), scene.before(wrong)];
    const { state, swap } = await scene.replace();
    assertEquals(state, "done");
    assertEquals(scene.mounted(), ["tmpfs"]);
    const moved = swap!.processes.map(({ pid }) => pid);
    assertEquals(moved.toSorted(), [...fine.pids].toSorted());
    assert(
      swap!.left.some(({ pid, kind, reason }) =>
        pid === wrong.pids[0] && kind === "map" && /seal/.test(reason)
      ),
    );
    assert(
      swap!.left.every(({ pid }) => pid === wrong.pids[0]),
      JSON.stringify(swap!.left),
    );
    assertEquals((await spfs.event("replace.done")).swap, swap);
    const { mounts: [status] } = await spfs.call("status", { mount: "net" });
    assertEquals([status!.mode, status!.replace?.swap], ["proxy", swap]);
    assertMatch(await spfs.command("status"), /seal/);
    scene.assertMoved(fine, fineBefore);
    assertEquals(scene.before(wrong).references, wrongBefore.references);
    await fine.check("moved");
    await wrong.check("left");

    spfs.closeInput();
    await wrong.check("left, and nobody talks to the daemon");
    assert(isAlive(spfs.pid), "the daemon did not stay for who was left");
    await wrong.end();
    assertEquals((await spfs.ended()).code, 0);
    await fine.end();
  },
  mseal,
);

await e2e("none: everybody stays on the stand-in until their end", async (sandbox, binary) => {
  const scene = await SwapScene.make(sandbox, binary);
  const victim = await scene.victim("fds", ["private", "dup", "forked"]);
  await scene.mirror();
  const before = scene.before(victim);
  const { swap } = await scene.replace({ swap: "none" });
  assertEquals([swap, scene.mounted()], [undefined, ["tmpfs"]]);
  assertEquals(scene.before(victim).references, before.references);
  scene.spfs.closeInput();
  await victim.check("served by the stand-in, which is mounted nowhere");
  assert(isAlive(scene.spfs.pid));
  await victim.end();
  assertEquals((await scene.spfs.ended()).code, 0);
});

await e2e("who waits in the stand-in is moved as soon as it is answered", async (sandbox, binary) => {
  const scene = await SwapScene.make(sandbox, binary);
  const { spfs } = scene;
  const victim = await scene.victim("fds", ["private", "forked"]);
  await scene.mirror();
  const before = scene.before(victim);
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  await victim.child.send("check");
  await spfs.parked("net", 1);
  await scene.replace({ swap: "require" });
  assertEquals(await victim.child.line(), "ok");
  for (const pid of victim.pids) assertEquals(references(pid, scene.stub), []);
  assert(before.references.size > 0);
  await scene.daemonEnds();
  await victim.end();
});

await e2e(
  "a program that works on the stand-in all the time is moved while it does",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const { spfs, real } = scene;
    await spfs.call("mount.replace", {
      mount: "net",
      source: real,
      type: "bind",
      swap: "require",
      hold: true,
    });
    await spfs.call("restore.block", {});
    assertEquals((await spfs.call("status", {})).mounts[0]!.mode, "proxy");
    const victim = await scene.victim("torture", ["torture"]);
    for (let round = 0; round < 3; round++) await victim.check(`round ${round} on the stand-in`);
    await spfs.call("restore.release", {});
    const { ok, swap } = await spfs.event("replace.done");
    assertEquals([ok, swap?.left], [true, []]);
    await spfs.event("mount.gone"); // nothing refers to it any more
    for (let round = 0; round < 3; round++) await victim.check(`round ${round} on the real file system`);
    await scene.daemonEnds();
    await victim.end();
  },
);

await e2e(
  "swap.plan of a stand-in says what would be moved and what is in the way, and changes nothing",
  async (sandbox, binary) => {
    const scene = await SwapScene.make(sandbox, binary);
    const { spfs, mountpoint, real } = scene;
    const fine = await scene.victim("fds", ["private"]);
    const wrong = await scene.victim("refused", ["sealed-shared"]);
    await scene.mirror();
    await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
    const plan = () => spfs.call("swap.plan", { source: mountpoint, target: real });
    assertEquals((await assertRejects(plan, ControlError)).kind, "wrong_mode");
    await assertRejects(() => scene.replace({ swap: "require" }), ControlError); // in proxy mode from here on
    const before = [fine, wrong].map((victim) => scene.before(victim));
    const { processes, obstacles } = await plan();
    assertEquals(processes.map(({ pid }) => pid), [fine.pids[0]]);
    assert((processes[0]!.moved.fd ?? 0) > 0);
    assert(
      obstacles.length > 0 && obstacles.every(({ pid }) => pid === wrong.pids[0]),
      JSON.stringify(obstacles),
    );
    await scene.assertUntouched(fine, before[0]!);
    await scene.assertUntouched(wrong, before[1]!);
    await spfs.quit();
  },
  mseal,
);

await e2e(
  "spfs swap moves between any two mounts, and tells with --dry-run what it would do",
  async (sandbox, binary) => {
    const pair = await mountPair(sandbox, "same");
    const [a, b] = pair.sides;
    const victim = await Victim.start(sandbox, {
      program: swapVictim("fds"),
      cases: ["private", "forked"],
      directory: a.path,
    });
    const before = snapshot(victim.pids, pair);
    const spfs = (...args: string[]) => {
      const [command, ...first] = binary.command;
      return sandbox.start(command, [...first, "swap", ...args]).ended();
    };
    const dry = await spfs("--dry-run", a.path, b.path);
    assertEquals([dry.code, dry.stderr, victim.pids.length], [0, "", 3]);
    assertMatch(dry.stdout, /^3 processes would be moved\n[^]*nothing stands in the way\n$/);
    assertMoved(before, snapshot(victim.pids, pair), a, a);
    const done = await spfs("--json", a.path, b.path);
    assertEquals(done.code, 0, done.stderr);
    const { processes, left } = JSON.parse(done.stdout);
    assertEquals(processes.map(({ pid }: { pid: number }) => pid).toSorted(), [...victim.pids].toSorted());
    assertEquals(left, []);
    assertMoved(before, snapshot(victim.pids, pair), a, b);
    await victim.check("moved");
    const nowhere = await spfs(a.path, sandbox.directory("no-mount"));
    assertEquals(nowhere.code, 1);
    assertMatch(nowhere.stderr, /no mountpoint/);
    await victim.end();
  },
);

await e2e(
  "a file system that does not answer is not waited for, and everybody goes on",
  async (sandbox, binary) => {
    const { spfs: other, mountpoint: dead } = await SwapScene.make(sandbox, binary);
    const spfs = await Spfs.start(sandbox, binary, { socket: false });
    const pair = await mountPair(sandbox, "twins");
    const [a, b] = pair.sides;
    const victim = await Victim.start(sandbox, {
      program: swapVictim("fds"),
      cases: ["private"],
      directory: a.path,
    });
    await other.call("file.create", { mount: "net", entries: recordTree(a.path) });
    await other.call("mount.setMode", { mount: "net", mode: "stub" });
    const before = snapshot(victim.pids, pair);
    const swap = { source: a.path, target: dead, deadlineMs: 1000 };
    const error = await assertRejects(() => spfs.call("swap.run", swap), ControlError);
    assertEquals(error.kind, "swap_refused");
    assertMatch(error.message, /did not answer/);
    assertMoved(before, snapshot(victim.pids, pair), a, a);
    await victim.check("after it was not waited for");
    await pair.mirror(a, b);
    const { processes, left } = await spfs.call("swap.run", { ...swap, target: b.path });
    assertEquals([processes.map(({ pid }) => pid), left], [victim.pids, []]);
    await victim.check("moved elsewhere");
    await victim.end();
    await spfs.quit();
    await other.quit();
  },
);
