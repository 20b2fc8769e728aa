// Connections to names on the mount are replaced with both their ends, and neither end sees another one.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { umount2 } from "../../ffi/sys/mount.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { listUnixSockets, socketsOn } from "../../swap/unix_sockets_diag.ts";
import type { Sandbox } from "../e2e/support/sandbox.ts";
import { swapTest } from "./support/case.ts";
import type { MountPair, Side } from "./support/mount_pair.ts";
import { runSwap, startSwap, swap } from "./support/swap_run.ts";
import { deviceOf } from "./support/unix_sockets.ts";
import { swapVictim, Victim } from "./support/victim.ts";

async function start(sandbox: Sandbox, pair: MountPair, ...cases: string[]): Promise<Victim> {
  const victim = await Victim.start(sandbox, {
    program: swapVictim("connections"),
    cases,
    directory: pair.sides[0].path,
  });
  await victim.check("before any swap");
  return victim;
}

/** The inode numbers of sockets with a name there. */
function named({ path }: Side): number[] {
  const { major, minor } = deviceOf(path);
  return socketsOn(listUnixSockets(), major, minor).map(({ ino }) => ino).sort((a, b) => a - b);
}

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

const kept: readonly (readonly [name: string, promise: string])[] = [
  ["stream", "a connection keeps its names, credentials, options and what waits on both ends"],
  ["packets", "a connection of packets keeps what waits on both ends, each packet by itself"],
  ["shut", "a connection one end of which sends nothing any more stays that way, with what it sent before"],
  ["worker", "a connection that others than the listener have is moved with all of them"],
  ["datagrams", "who is connected to a socket of datagrams goes on sending to it, and to it alone"],
  ["pair-there", "two sockets of datagrams that are connected to each other stay so, and hear nobody else"],
  ["pair-elsewhere", "a socket of datagrams stays connected with one that is not on the mount"],
  ["sending", "a socket of datagrams with a name on the mount goes on sending to one that is not there"],
];

for (const [name, promise] of kept) {
  for (const kind of ["same", "twins"] as const) {
    await swapTest(`${promise} (${kind})`, kind, async (sandbox, pair) => {
      const victim = await start(sandbox, pair, name);
      const [a, b] = pair.sides;
      for (const [from, to] of [[a, b], [b, a]] as const) {
        await pair.mirror(from, to);
        const before = named(from).length;
        const files = names(from.path);
        await swap({ source: from.path, target: to.path });
        assertEquals(named(to).length, before);
        assertEquals(names(to.path), files);
        await victim.check(`from ${from.path} to ${to.path}`);
      }
      check(umount2(cstr(b.path), 0), "umount2");
      await victim.end();
    });
  }
}

const faults: readonly (readonly [step: string, name: string])[] = [
  ...["enter@1", "connect@1", "mappings@1", "descriptors@1", "descriptors@2", "committed"].map((step) =>
    [step, "stream"] as const
  ),
  ...["datagrams", "pair-there", "pair-elsewhere", "sending"].map((name) => ["placed", name] as const),
];

for (const [step, name] of faults) {
  await swapTest(
    `a fault at ${step} leaves who is connected as it was: ${name}`,
    "twins",
    async (sandbox, pair) => {
      const victim = await start(sandbox, pair, name);
      const [a, b] = pair.sides;
      const before = named(a);
      await pair.mirror(a, b);
      const there = names(b.path);
      const [report] = await runSwap({ source: a.path, target: b.path, fault: step });
      assert(
        report !== undefined && !report.ok && report.message.includes(`fault at ${step.split("@")[0]}`),
        JSON.stringify(report),
      );
      assertEquals([named(a), named(b), names(b.path)], [before, [], there]);
      await victim.check("after the fault");
      await swap({ source: a.path, target: b.path });
      await victim.check("after the swap that followed");
      await victim.end();
    },
  );
}

await swapTest(
  "when the swap is killed while it connects, the connection goes on",
  "twins",
  async (sandbox, pair) => {
    const victim = await start(sandbox, pair, "stream");
    const [a, b] = pair.sides;
    const before = named(a);
    await pair.mirror(a, b);
    const killed = startSwap({ source: a.path, target: b.path, fault: "kill:connect" });
    assertEquals((await killed.status).signal, "SIGKILL");
    assertEquals(named(a), before);
    await victim.check("after the kill");
    await victim.end();
  },
);

const refused: readonly (readonly [name: string, reason: RegExp])[] = [
  ["orphan", /listened for by process \d+, which is not moved or is gone/],
  ["told", /data not read yet that say who sent them/],
  ["urgent", /out-of-band/],
];

for (const [name, reason] of refused) {
  await swapTest(
    `a connection that cannot be replaced is refused: ${name}`,
    "twins",
    async (sandbox, pair) => {
      const victim = await start(sandbox, pair, name);
      const [a, b] = pair.sides;
      const before = named(a);
      await pair.mirror(a, b);
      const [report] = await runSwap({ source: a.path, target: b.path, deadlineMs: 500 });
      assert(report !== undefined && !report.ok);
      const { pid, kind, reason: told } = report.obstacles[0]!;
      assertEquals({ pid, kind }, { pid: victim.pids[0]!, kind: "socket" });
      assertMatch(told, reason);
      assertEquals(named(a), before);
      await victim.end();
    },
  );
}

await swapTest(
  "a connection with a process that is not selected is refused",
  "twins",
  async (sandbox, pair) => {
    const victim = await start(sandbox, pair, "stream");
    const [a, b] = pair.sides;
    const [server, client] = victim.pids as [number, number];
    await pair.mirror(a, b);
    const processes = { kind: "pids", pids: [server], tree: false } as const;
    const [report] = await runSwap({ source: a.path, target: b.path, processes });
    assert(report !== undefined && !report.ok);
    assertEquals(report.obstacles.map(({ pid, kind }) => ({ pid, kind })), [{ pid: server, kind: "socket" }]);
    assertMatch(report.obstacles[0]!.reason, new RegExp(`process ${client} has the other end`));
    await victim.end();
  },
);
