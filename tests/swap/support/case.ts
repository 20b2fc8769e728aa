/**
 * The form of most tests of the swap: a victim sets up what it holds on the first of two mounts, is moved to the second one and back,
 * and is looked at from inside and from outside.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Sandbox } from "../../e2e/support/sandbox.ts";
import { type Requirements, requires } from "../../support/requirements.ts";
import { type MountPair, mountPair, type PairKind } from "./mount_pair.ts";
import { assertMoved, snapshot } from "./snapshot.ts";
import { swap } from "./swap_run.ts";
import { swapVictim, Victim } from "./victim.ts";

/** What a process holds, and where that is tested. */
export interface ResourceCase {
  /** What is promised, the name of the test. */
  readonly promise: string;
  /** The victim's program. */
  readonly victim: string;
  /** Its cases. */
  readonly cases: readonly string[];
  /** The pairs of mounts, a test for each; one tmpfs mounted twice and two that are equal by default. */
  readonly pairs?: readonly PairKind[];
  /** The user that it runs as; root by default. */
  readonly uid?: number;
  /** Whether the program itself is on the mount. */
  readonly placed?: boolean;
  /** Whether it is stopped by SIGSTOP while it is moved. */
  readonly stopped?: boolean;
  /** How many references to the mount its processes have at least; 1 by default. */
  readonly references?: number;
  /** How the second side comes to hold what the first one does, where that may not be copied; both paths are given. */
  readonly mirror?: (from: string, to: string) => void;
  /** What it needs besides root and a C compiler. */
  readonly needs?: Requirements;
}

/** Declares the tests of resources. */
export async function resourceCases(cases: readonly ResourceCase[]): Promise<void> {
  for (const one of cases) {
    for (const kind of one.pairs ?? ["same", "twins"]) {
      await swapTest(
        `${one.promise} (${kind})`,
        kind,
        (sandbox, pair) => moves(sandbox, pair, one),
        one.needs,
      );
    }
  }
}

/** Declares a test that gets a sandbox with two mounts, which are taken down afterwards whatever happened. */
export async function swapTest(
  promise: string,
  kind: PairKind,
  test: (sandbox: Sandbox, pair: MountPair) => Promise<void>,
  needs: Requirements = {},
): Promise<void> {
  Deno.test({
    name: `swap: ${promise}`,
    ...await requires({ root: true, gcc: true, loop: kind === "disk", ...needs }),
    async fn() {
      const sandbox = new Sandbox("spfs-swap-");
      try {
        await test(sandbox, await mountPair(sandbox, kind));
      } catch (error) {
        // What failed the test counts, and what it left behind is only told.
        await sandbox[Symbol.asyncDispose]().catch((leak) => console.error(leak.message));
        throw error;
      }
      await sandbox[Symbol.asyncDispose]();
    },
  });
}

/** The program of a case, on the mount where the case wants it there. */
function programOf(one: ResourceCase, directory: string): string {
  const program = swapVictim(one.victim);
  if (!one.placed) return program;
  Deno.copyFileSync(program, `${directory}/program`);
  return `${directory}/program`;
}

/** Starts a case's victim on the first of two mounts and has it look once. */
export async function startVictim(sandbox: Sandbox, pair: MountPair, one: ResourceCase): Promise<Victim> {
  const directory = pair.sides[0].path;
  if (one.uid !== undefined) Deno.chmodSync(directory, 0o777);
  const victim = await Victim.start(sandbox, {
    program: programOf(one, directory),
    cases: one.cases,
    directory,
    ...(one.uid === undefined ? {} : { uid: one.uid }),
  });
  await victim.check("before any swap");
  return victim;
}

async function moves(sandbox: Sandbox, pair: MountPair, one: ResourceCase): Promise<void> {
  const [a, b] = pair.sides;
  const victim = await startVictim(sandbox, pair, one);
  for (const [from, to] of [[a, b], [b, a]] as const) {
    if (one.stopped) await victim.stop();
    if (one.mirror === undefined) await pair.mirror(from, to);
    else one.mirror(from.path, to.path);
    const before = snapshot(victim.pids, pair);
    const there = [...before.references.values()].filter((id) => id === from.id).length;
    assert(there >= (one.references ?? 1), `${there} references to the mount`);
    await swap({ source: from.path, target: to.path });
    assertMoved(before, snapshot(victim.pids, pair), from, to);
    if (one.stopped) victim.goOn();
    await victim.check(`from ${from.path} to ${to.path}`);
  }
  await victim.end();
}
