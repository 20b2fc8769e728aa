// Large numbers: moved, or refused before anything is changed.

import { assert, assertEquals } from "@std/assert";
import { type ResourceCase, startVictim, swapTest } from "./support/case.ts";
import { assertMoved, snapshot, usersOf } from "./support/snapshot.ts";
import { runSwap, swap } from "./support/swap_run.ts";

const crowd = (name: string): ResourceCase => ({ promise: "", victim: "crowd", cases: [name] });

for (
  const [what, name] of [["1000 threads of one process", "threads"], ["60 processes", "processes"]] as const
) {
  await swapTest(`${what} are moved`, "same", async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await startVictim(sandbox, pair, crowd(name));
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const before = snapshot(victim.pids, pair);
      await swap({ source: from.path, target: to.path, deadlineMs: 10_000 });
      assertMoved(before, snapshot(victim.pids, pair), from, to);
      await victim.check(`from ${from.path} to ${to.path}`);
    }
    await victim.end();
  });
}

await swapTest("100 000 descriptors are moved or refused", "same", async (sandbox, pair) => {
  const [a, b] = pair.sides;
  const victim = await startVictim(sandbox, pair, crowd("descriptors"));
  const count = usersOf(a).length;
  const [report] = await runSwap({ source: a.path, target: b.path, deadlineMs: 10_000 });
  assert(report !== undefined && (report.ok || report.obstacles.length > 0), JSON.stringify(report));
  assertEquals([usersOf(a).length, usersOf(b).length], report.ok ? [0, count] : [count, 0]);
  await victim.check("after the swap");
  await victim.end();
});
