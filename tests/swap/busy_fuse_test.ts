// Processes that do not stand still while they are moved.

import { assertEquals } from "@std/assert";
import { type ResourceCase, startVictim, swapTest } from "./support/case.ts";
import type { MountPair } from "./support/mount_pair.ts";
import { usersOf } from "./support/snapshot.ts";
import { startSwap, swap } from "./support/swap_run.ts";
import type { Victim } from "./support/victim.ts";

const churns: ResourceCase[] = [
  { promise: "processes that fork all the time are moved", victim: "churn", cases: ["fork"] },
  { promise: "processes that make the next one and end are moved", victim: "churn", cases: ["relay"] },
  { promise: "processes that execute programs are moved", victim: "churn", cases: ["exec"], placed: true },
  {
    promise: "threads that start and end, and their processes, are moved",
    victim: "churn",
    cases: ["threads"],
    placed: true,
  },
  { promise: "processes that open, map and close files are moved", victim: "churn", cases: ["files"] },
];

for (const one of churns) {
  await swapTest(one.promise, "same", async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await startVictim(sandbox, pair, one);
    for (let round = 0; round < 3; round++) {
      await swap({ source: a.path, target: b.path, repeat: 5 });
      assertEquals(usersOf(a), [], "what is left on the source");
      checkTracers(victim);
      await victim.check(`round ${round}`);
      await swap({ source: b.path, target: a.path });
      assertEquals(usersOf(b), [], "what is left on the source after the way back");
    }
    await victim.end();
  });
}

for (
  const [call, name] of [
    ["pause", "pause"],
    ["sigsuspend", "suspend"],
    ["nanosleep", "sleep"],
    ["ppoll", "poll"],
    ["epoll_pwait", "epoll"],
    ["semtimedop", "semaphore"],
  ] as const
) {
  await swapTest(
    `a signal that comes while a process is moved ends its ${call}`,
    "same",
    async (sandbox, pair) => {
      const [a, b] = pair.sides;
      const victim = await startVictim(sandbox, pair, { promise: "", victim: "interrupted", cases: [name] });
      await swap({ source: a.path, target: b.path, repeat: 40 });
      await victim.check("after 40 swaps");
      await victim.end();
    },
  );
}

await swapTest(
  "a program that computes keeps what its vector registers hold",
  "same",
  async (sandbox, pair) => {
    const [a, b] = pair.sides;
    const victim = await startVictim(sandbox, pair, { promise: "", victim: "vectors", cases: ["vectors"] });
    await swap({ source: a.path, target: b.path, repeat: 10 });
    await victim.check("after 10 swaps");
    await victim.end();
  },
);

const SWAPS = 200;
/** The program and the swap have to share two cores with whatever else there is. */
const DEADLINE_MS = 10_000;

await swapTest(
  `a busy program survives ${SWAPS} swaps`,
  "same",
  (sandbox, pair) => torture(sandbox, pair, SWAPS),
);
await swapTest(
  "a busy program survives 20 swaps on a disk",
  "disk",
  (sandbox, pair) => torture(sandbox, pair, 20),
);

async function torture(
  sandbox: Parameters<typeof startVictim>[0],
  pair: MountPair,
  swaps: number,
): Promise<void> {
  const [a, b] = pair.sides;
  const victim = await startVictim(sandbox, pair, { promise: "", victim: "torture", cases: ["torture"] });
  for (let done = 0; done < swaps; done += 20) {
    const results = await swap({ source: a.path, target: b.path, repeat: 19, deadlineMs: DEADLINE_MS });
    assertEquals(results.length, 19);
    assertEquals(usersOf(a), [], "what is left on the source");
    await victim.check(`after ${done + 19} swaps`);
    await swap({ source: b.path, target: a.path, deadlineMs: DEADLINE_MS });
    assertEquals(usersOf(b), [], "what is left on the source after the way back");
    checkTracers(victim);
  }
  await victim.end();
}

const KILLS = 30;

await swapTest("processes go on when the swap is killed at any moment", "same", async (sandbox, pair) => {
  const [a, b] = pair.sides;
  const cases = ["private", "dup", "forked", "passed", "flags"];
  const victim = await startVictim(sandbox, pair, { promise: "", victim: "fds", cases });
  for (let kill = 0; kill < KILLS; kill++) {
    const swaps = startSwap({ source: a.path, target: b.path, repeat: 1_000_000 });
    // The moments spread over a swap by themselves: what is measured in swaps begins at any part of the next one.
    for (let done = 0; done < 2; done++) await swaps.line();
    await new Promise((resolve) => setTimeout(resolve, kill % 10));
    swaps.kill("SIGKILL");
    await swaps.status;
    checkTracers(victim);
    await victim.check(`after ${kill + 1} kills`);
  }
  await victim.end();
});

/** Fails when a process of a victim's is traced or was left stopped. */
function checkTracers(victim: Victim): void {
  for (const pid of victim.alive()) {
    let status: string;
    try {
      status = Deno.readTextFileSync(`/proc/${pid}/status`);
    } catch {
      continue; // it has ended
    }
    assertEquals(/^TracerPid:\s*(\d+)/m.exec(status)?.[1], "0", `the tracer of ${pid}`);
    assertEquals(/^State:\s*([tT])/m.exec(status)?.[1], undefined, `the state of ${pid}`);
  }
}
