// Open files that are moved.

import { assert, assertEquals } from "@std/assert";
import { type ResourceCase, resourceCases, startVictim, swapTest } from "./support/case.ts";
import { assertUnchanged, snapshot } from "./support/snapshot.ts";
import { runSwap } from "./support/swap_run.ts";

const USER = 54_321;

const cases: ResourceCase[] = [
  {
    promise: "descriptors of one process keep offset, access mode and status flags",
    victim: "fds",
    cases: ["private"],
  },
  {
    promise: "an unprivileged process keeps its descriptors",
    victim: "fds",
    cases: ["private", "dup"],
    uid: USER,
  },
  {
    promise: "numbers that share a description go on sharing it",
    victim: "fds",
    cases: ["dup"],
    references: 4,
  },
  {
    promise: "parent, child and grandchild go on sharing a description",
    victim: "fds",
    cases: ["forked"],
    references: 3,
  },
  {
    promise: "descriptions that were passed to unrelated processes stay shared",
    victim: "fds",
    cases: ["passed"],
    references: 4,
  },
  {
    promise: "status flags stay and work",
    victim: "fds",
    cases: ["flags"],
    pairs: ["same", "disk", "twins"],
    references: 7,
  },
  { promise: "O_PATH descriptors stay what they are", victim: "fds", cases: ["path"], references: 4 },
  { promise: "device nodes stay open", victim: "fds", cases: ["devices"], references: 3 },
  { promise: "close-on-exec stays with its number", victim: "fds", cases: ["cloexec"], references: 2 },
  { promise: "hundreds of descriptors are moved", victim: "fds", cases: ["many"], references: 700 },
  {
    promise: "a process that has as many descriptors as it may is moved",
    victim: "fds",
    cases: ["full-soft"],
    references: 50,
  },
  {
    promise: "descriptors of all kinds in one process",
    victim: "fds",
    cases: ["private", "dup", "forked", "passed", "flags", "path", "devices", "cloexec"],
    references: 20,
  },
];

await resourceCases(cases);

// CAP_SYS_RESOURCE would let the limit be raised; where the tests run as root without it, nobody can.
await swapTest(
  "a process that cannot have one descriptor more is moved or refused",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await startVictim(sandbox, pair, { promise: "", victim: "fds", cases: ["full-hard"] });
    const before = snapshot(victim.pids, pair);
    const [report] = await runSwap({ source: a.path, target: b.path });
    const after = snapshot(victim.pids, pair);
    assertUnchanged(before, after);
    if (report?.ok) assertEquals(new Set(after.references.values()), new Set([b.id]));
    else {
      const found = report?.obstacles.some(({ pid, reason }) =>
        pid === victim.pids[0] && /RLIMIT_NOFILE/.test(reason)
      );
      assert(found, JSON.stringify(report));
      assertEquals(after.references, before.references);
    }
    await victim.check("after the swap");
    await victim.end();
  },
);
