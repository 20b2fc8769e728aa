// Which processes are moved, what is told of them, and what is left.

import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import type { Sandbox } from "../e2e/support/sandbox.ts";
import { swapTest } from "./support/case.ts";
import { Cgroup, cgroupMount, type Hierarchy } from "./support/cgroup.ts";
import type { MountPair } from "./support/mount_pair.ts";
import { assertMoved, assertUnchanged, type Snapshot, snapshot } from "./support/snapshot.ts";
import { runSwap, swap } from "./support/swap_run.ts";
import { swapVictim, Victim } from "./support/victim.ts";

/** Starts a victim in a directory of its own on the first mount. */
async function start(
  sandbox: Sandbox,
  pair: MountPair,
  program: string,
  ...cases: string[]
): Promise<Victim> {
  const directory = Deno.makeTempDirSync({ dir: pair.sides[0].path });
  return await Victim.start(sandbox, { program: swapVictim(program), cases, directory });
}

function assertStayed(before: Snapshot, after: Snapshot): void {
  assertUnchanged(before, after);
  assertEquals(after.references, before.references, "what is on which mount");
}

await swapTest("only the processes that were asked for are moved", "same", async (sandbox, pair) => {
  const [a, b] = pair.sides;
  const moved = await start(sandbox, pair, "fds", "private");
  const other = await start(sandbox, pair, "fds", "private");
  const before = [moved, other].map(({ pids }) => snapshot(pids, pair));
  const processes = { kind: "pids", pids: moved.pids, tree: false } as const;
  const [result] = await swap({ source: a.path, target: b.path, processes });
  assertEquals(result!.processes.map(({ pid }) => pid), [...moved.pids]);
  assertMoved(before[0]!, snapshot(moved.pids, pair), a, b);
  assertStayed(before[1]!, snapshot(other.pids, pair));
  await moved.end();
  await other.end();
});

await swapTest(
  "a process is moved with its descendants where that is asked for",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await start(sandbox, pair, "maps", "inherited");
    const pids = [victim.pids[0]!];
    const before = snapshot(victim.pids, pair);
    const [first] = await swap({
      source: a.path,
      target: b.path,
      processes: { kind: "pids", pids, tree: true },
    });
    assertEquals(first!.processes.map(({ pid }) => pid).sort(), [...victim.pids].sort());
    assertMoved(before, snapshot(victim.pids, pair), a, b);
    await victim.check("with its child");
    await swap({ source: b.path, target: a.path, processes: { kind: "pids", pids, tree: false } });
    const apart = snapshot(victim.pids, pair);
    assertUnchanged(before, apart);
    assertEquals(new Set(apart.references.values()), new Set([a.id, b.id]), "the child was moved, too");
    await victim.check("without its child");
    await victim.end();
  },
);

for (const hierarchy of ["v2", "v1"] satisfies Hierarchy[]) {
  await swapTest(
    `the processes of a cgroup ${hierarchy} and of those below it are moved`,
    "same",
    async (sandbox, pair) => {
      const [a, b] = pair.sides;
      await using group = new Cgroup(hierarchy);
      const below = group.child("below");
      const victims = [
        await start(sandbox, pair, "fds", "private"),
        await start(sandbox, pair, "fds", "dup"),
        await start(sandbox, pair, "fds", "private"),
      ] as const;
      victims[0].pids.forEach((pid) => Cgroup.enter(group.path, pid));
      victims[1].pids.forEach((pid) => Cgroup.enter(below, pid));
      const frozen = group.frozen;
      const before = victims.map(({ pids }) => snapshot(pids, pair));
      await swap({ source: a.path, target: b.path, processes: { kind: "cgroup", path: group.path } });
      assertEquals(group.frozen, frozen);
      assertMoved(before[0]!, snapshot(victims[0].pids, pair), a, b);
      assertMoved(before[1]!, snapshot(victims[1].pids, pair), a, b);
      assertStayed(before[2]!, snapshot(victims[2].pids, pair));
      for (const victim of victims) await victim.end();
    },
    { other: () => cgroupMount(hierarchy) === undefined ? `no cgroup ${hierarchy}` : undefined },
  );
}

await swapTest(
  "a FIFO between a process that is moved and one that is not is in the way",
  "twins",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await start(sandbox, pair, "fifos", "ends");
    await pair.mirror(a, b);
    const before = snapshot(victim.pids, pair);
    const processes = { kind: "pids", pids: [victim.pids[0]!], tree: false } as const;
    const [report] = await runSwap({ source: a.path, target: b.path, processes });
    assert(report !== undefined && !report.ok, "it was moved");
    assertMatch(report.message, /is shared with process/);
    assertStayed(before, snapshot(victim.pids, pair));
    await victim.check("after the refusal");
    await victim.end();
  },
);

await swapTest("a dry run tells what would be moved and changes nothing", "same", async (sandbox, pair) => {
  const [a, b] = pair.sides;
  const victims = [
    await start(sandbox, pair, "fds", "private", "dup"),
    await start(sandbox, pair, "maps", "private"),
    await start(sandbox, pair, "places", "root"),
  ];
  const pids = victims.flatMap((victim) => victim.pids);
  const before = snapshot(pids, pair);
  const [result] = await swap({ source: a.path, target: b.path, dryRun: true });
  assertEquals(new Set(result!.processes.map(({ pid }) => pid)), new Set(pids));
  const movedOf = (victim: Victim) => result!.processes.find(({ pid }) => pid === victim.pids[0])!.moved;
  assertEquals(movedOf(victims[0]!).fd, 7);
  assertEquals(movedOf(victims[1]!).map, 5);
  assertEquals([movedOf(victims[2]!).cwd, movedOf(victims[2]!).root], [1, 1]);
  assertStayed(before, snapshot(pids, pair));
  for (const victim of victims) await victim.end();
});

await swapTest(
  "a result tells what was moved and for how long everything stood",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await start(sandbox, pair, "fds", "private", "dup");
    const [result] = await swap({ source: a.path, target: b.path });
    assertEquals(result!.processes.map(({ pid, comm, moved }) => ({ pid, comm, fd: moved.fd })), [
      { pid: victim.pids[0]!, comm: "fds", fd: 7 },
    ]);
    assertEquals([result!.left, result!.tasks, result!.descriptions], [[], 1, 4]);
    assertGreater(result!.stoppedMs, 0);
    await victim.end();
  },
);

await swapTest("nobody is stopped when there is nobody to be moved", "same", async (_sandbox, pair) => {
  const [a, b] = pair.sides;
  const [result] = await swap({ source: a.path, target: b.path });
  assertEquals(result, { processes: [], left: [], stoppedMs: 0, tasks: 0, descriptions: 0 });
});

await swapTest(
  "a process that cannot be moved is left where that is allowed, and told",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const stays = await start(sandbox, pair, "refused", "flight");
    const moves = await start(sandbox, pair, "fds", "private");
    const before = [stays, moves].map(({ pids }) => snapshot(pids, pair));
    const [report] = await runSwap({ source: a.path, target: b.path, leave: true });
    assert(report !== undefined && report.ok, JSON.stringify(report));
    assertEquals(report.result.left.map(({ pid, kind }) => ({ pid, kind })), [{
      pid: stays.pids[0]!,
      kind: "socket",
    }]);
    assertEquals(report.result.processes.map(({ pid }) => pid), [moves.pids[0]!]);
    assertStayed(before[0]!, snapshot(stays.pids, pair));
    assertMoved(before[1]!, snapshot(moves.pids, pair), a, b);
    for (const victim of [stays, moves]) {
      await victim.check("after the swap");
      await victim.end();
    }
  },
);

await swapTest(
  "who shares a description with a process that is left is left, too",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await start(sandbox, pair, "refused", "flight", "sharer");
    const before = snapshot(victim.pids, pair);
    const [report] = await runSwap({ source: a.path, target: b.path, leave: true });
    assert(report !== undefined && report.ok, JSON.stringify(report));
    assertEquals(new Set(report.result.left.map(({ pid }) => pid)), new Set(victim.pids));
    assertEquals(report.result.processes, []);
    assertStayed(before, snapshot(victim.pids, pair));
    await victim.end();
  },
);
