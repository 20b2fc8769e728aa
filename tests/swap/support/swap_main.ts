/**
 * Makes swaps between two mounts, as a program of its own: a line of JSON for each on stdout, exit code 1 when one was not made.
 *
 * `fault` names a step of the change: it fails when it is reached for the first time, or with `@N` behind the name for the Nth time; with
 * `kill:` before the name the program is killed there instead, with `slay:` the process that is worked on.
 *
 * @module
 */

import { runSwapOrder } from "../../../host/swap_order.ts";
import type { SwapOutcome } from "../../../host/swap_messages.ts";
import { rehearse } from "../../../swap/rehearsal.ts";
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
const [faultName, faultTime = "1"] = (order.fault ?? "").split("@");
let times = Number(faultTime);

function step(name: string, pid: number): void {
  const [what, where] = faultName!.includes(":") ? faultName!.split(":") : ["fail", faultName];
  if (where !== name || --times !== 0) return;
  if (what === "slay") return Deno.kill(pid, "SIGKILL");
  if (what === "kill") Deno.kill(Deno.pid, "SIGKILL");
  throw new Error(`fault at ${name}`);
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

rehearse();
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
      { progress: () => {}, stay: [], step },
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
