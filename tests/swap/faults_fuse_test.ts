// Never half: whatever fails, every process is wholly on the source or wholly on the target, and goes on.

import { assert, assertEquals } from "@std/assert";
import { isAlive, until } from "../e2e/support/proc.ts";
import type { Sandbox } from "../e2e/support/sandbox.ts";
import { swapTest } from "./support/case.ts";
import type { MountPair, PairKind } from "./support/mount_pair.ts";
import { assertMoved, assertUnchanged, type Snapshot, snapshot } from "./support/snapshot.ts";
import { runSwap, startSwap, swap } from "./support/swap_run.ts";
import { swapVictim, Victim } from "./support/victim.ts";

/** The steps of the change, in the order in which a process meets them. */
const STEPS = ["enter", "map", "mappings", "directories", "descriptors"];

/** Programs with their cases: something of everything. All but the first are looked at after a fault in an earlier one. */
const PROGRAMS: readonly (readonly [string, ...string[]])[] = [
  ["fds", "private", "dup", "forked", "passed", "flags", "path", "devices"],
  ["maps", "shared", "private", "code", "beyond", "rights", "advised", "pieces", "ghost", "inherited"],
  ["places", "root"],
  ["places", "exe"],
  ["places", "thread-files", "thread-fs"],
  ["locks", "posix", "ofd", "flock", "owner"],
  ["names", "deleted", "replaced", "links", "renamed", "strange", "entries"],
  ["events", "epoll-shared"],
  ["events", "inotify"],
  ["fifos", "both", "ends", "left"],
  ["signals", "filter-kill"],
];

/** Starts all of them on the first mount, each in a directory of its own. */
async function startAll(sandbox: Sandbox, { sides: [a] }: MountPair): Promise<Victim[]> {
  const victims: Victim[] = [];
  for (const [name, ...cases] of PROGRAMS) {
    const directory = Deno.makeTempDirSync({ dir: a.path });
    let program = swapVictim(name);
    if (cases.includes("exe")) {
      Deno.copyFileSync(program, `${directory}/program`);
      program = `${directory}/program`;
    }
    victims.push(await Victim.start(sandbox, { program, cases, directory }));
  }
  await checkAll(victims, "before any swap");
  return victims;
}

const pidsOf = (victims: readonly Victim[]): number[] => victims.flatMap(({ pids }) => pids);

async function checkAll(victims: readonly Victim[], when: string): Promise<void> {
  for (const [index, victim] of victims.entries()) {
    await victim.check(`${PROGRAMS[index]!.join(" ")} ${when}`);
  }
}

function assertStayed(before: Snapshot, after: Snapshot): void {
  assertUnchanged(before, after);
  assertEquals(after.references, before.references, "what is on which mount");
}

for (const kind of ["same", "twins"] satisfies PairKind[]) {
  for (const step of [...STEPS.flatMap((name) => [1, 6, 15].map((time) => `${name}@${time}`)), "committed"]) {
    await swapTest(
      `a fault at ${step} leaves everybody where they were (${kind})`,
      kind,
      async (sandbox, pair) => {
        const [a, b] = pair.sides;
        const victims = await startAll(sandbox, pair);
        const pids = pidsOf(victims);
        await pair.mirror(a, b);
        const before = snapshot(pids, pair);
        const [report] = await runSwap({ source: a.path, target: b.path, fault: step });
        assert(report !== undefined && !report.ok && /fault at/.test(report.message), JSON.stringify(report));
        assertStayed(before, snapshot(pids, pair));
        await checkAll(victims, "after the fault");
        await pair.mirror(a, b);
        const again = snapshot(pids, pair);
        await swap({ source: a.path, target: b.path });
        assertMoved(again, snapshot(pids, pair), a, b);
        await checkAll(victims, "after the swap that followed");
        for (const victim of victims) await victim.end();
      },
    );
  }
}

/** What must be as it was even when the swap was killed: the signals, the threads, the limits, and nobody's tracee. */
function lasting(seen: Snapshot): Map<string, string> {
  const keys = / (Sig\w+|ShdPnd|TracerPid|Threads|is stopped or dead|limits|cmdline|addresses)$/;
  return new Map([...seen.facts].filter(([key]) => keys.test(key)));
}

function maskOf(seen: Snapshot): string {
  return [...lasting(seen)].filter(([key]) => key.endsWith("SigBlk")).join();
}

for (const step of [...STEPS.flatMap((name) => [1, 6, 15].map((time) => `${name}@${time}`)), "committed"]) {
  await swapTest(`when the swap is killed at ${step} everybody goes on`, "same", async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victims = await startAll(sandbox, pair);
    const pids = pidsOf(victims);
    const before = snapshot(pids, pair);
    const killed = startSwap({ source: a.path, target: b.path, fault: `kill:${step}` });
    assertEquals((await killed.status).signal, "SIGKILL");
    // A task that was in the middle of its calls finishes them by itself.
    const masks = maskOf(before);
    await until("the signal masks", () => maskOf(snapshot(pids, pair)) === masks);
    const after = snapshot(pids, pair);
    assertEquals(lasting(after), lasting(before));
    if (/^(enter|map)@/.test(step)) {
      for (const [key, mount] of before.references) assertEquals(after.references.get(key), mount, key);
    }
    await checkAll(victims, "after the kill");
    for (const victim of victims) await victim.end();
  });
}

for (const step of STEPS) {
  for (const time of [1, 2]) {
    await swapTest(
      `a process that is killed at ${step}@${time} keeps nobody`,
      "same",
      async (sandbox, pair) => {
        const [a, b] = pair.sides;
        const threads = {
          program: swapVictim("places"),
          cases: ["thread-files", "thread-fs"],
          directory: a.path,
        };
        const plain = { program: swapVictim("fds"), cases: ["private"], directory: a.path };
        const victims = [await Victim.start(sandbox, threads), await Victim.start(sandbox, plain)];
        const [report] = await runSwap({ source: a.path, target: b.path, fault: `slay:${step}@${time}` });
        assert(report?.ok, JSON.stringify(report));
        const living = victims.filter(({ pids: [pid] }) => isAlive(pid!));
        assertEquals(living.length, 1, "how many live");
        for (const victim of living) {
          await victim.check("after the other was killed");
          await victim.end();
        }
      },
    );
  }
}
