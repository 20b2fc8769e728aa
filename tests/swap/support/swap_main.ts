/**
 * Makes swaps between two mounts, as a program of its own: a line of JSON for each on stdout, exit code 1 when one was not made.
 *
 * `fault` names a step of the change: it fails when it is reached for the first time; with `kill:` before the name the program is killed
 * there instead.
 *
 * @module
 */

import { runSwapOrder } from "../../../host/swap_order.ts";
import type { SwapOutcome } from "../../../host/swap_messages.ts";
import type { Selection } from "../../../swap/types.ts";

interface Order {
  readonly source: string;
  readonly target: string;
  readonly processes: Selection;
  readonly leave: boolean;
  readonly dryRun: boolean;
  readonly fault?: string;
  readonly repeat: number;
  readonly deadlineMs: number;
}

const order = JSON.parse(Deno.args[0]!) as Order;
const encoder = new TextEncoder();
let fault = order.fault;

function step(name: string): void {
  if (fault === `kill:${name}`) Deno.kill(Deno.pid, "SIGKILL");
  if (fault !== name) return;
  fault = undefined;
  throw new Error(`fault at ${name}`);
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

let failed = false;
for (let turn = 0; turn < order.repeat; turn++) {
  const [source, target] = turn % 2 === 0 ? [order.source, order.target] : [order.target, order.source];
  let outcome: SwapOutcome;
  try {
    const { processes: selection, leave, dryRun, deadlineMs } = order;
    outcome = runSwapOrder(
      {
        kind: "mounts",
        source: encoder.encode(source),
        target: encoder.encode(target),
        selection,
        leave,
        dryRun,
        deadlineMs,
      },
      () => {},
      step,
    );
  } catch (error) {
    outcome = {
      ok: false,
      obstacles: [],
      message: error instanceof Error ? error.stack ?? "" : String(error),
    };
  }
  console.log(JSON.stringify(outcome, plain));
  if (outcome.ok) continue;
  failed = true;
  break;
}
Deno.exit(failed ? 1 : 0);
