/**
 * Carrying out the orders of the swap worker.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { SysError } from "../ffi/errno.ts";
import { runSwap, SwapRefused } from "../swap/run.ts";
import type { Step } from "../swap/transaction.ts";
import type { SwapDetail, SwapOrder, SwapOutcome, SwapStep } from "./swap_messages.ts";
import { mountAt, sourceOf } from "./swap_sources.ts";

/**
 * Carries out an order. Blocks for as long as it takes.
 *
 * @throws {ControlError} when a mountpoint cannot be looked at, or the swap failed for another reason than something in the way; it was
 * undone then
 */
export function runSwapOrder(
  order: SwapOrder,
  progress: (step: SwapStep, detail: SwapDetail) => void,
  inject?: Step,
): SwapOutcome {
  const source = mountAt(order.source);
  using _source = source.root;
  const target = mountAt(order.target);
  using _target = target.root;
  if (source.entry.id === target.entry.id) {
    throw new ControlError("invalid_params", "source and target are the same mount");
  }
  // The descriptor of the source must not be one of its users.
  source.root.close();
  const { selection, leave, dryRun, deadlineMs } = order;
  const request = {
    sources: [sourceOf(source.entry, target.root.raw)],
    selection,
    leave,
    dryRun,
    deadlineMs,
  };
  try {
    const result = runSwap(request, {
      progress: (step, processes, tasks) => progress(step, { processes, tasks }),
      ...(inject !== undefined && { step: inject }),
    });
    return { ok: true, result };
  } catch (error) {
    if (error instanceof SwapRefused) {
      return { ok: false, obstacles: error.obstacles, message: error.message };
    }
    throw asFailure(error);
  }
}

function asFailure(error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  const { message, code, syscall } = error;
  return new ControlError("system", message, { errno: code, syscall, rolledBack: true });
}
