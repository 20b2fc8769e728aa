import { ControlError } from "../control/errors.ts";
import type { SwapDetail, SwapOrder, SwapOutcome, SwapStep } from "./swap_messages.ts";

/** Placeholder. */
export function runSwapOrder(
  _order: SwapOrder,
  _progress: (step: SwapStep, detail: SwapDetail) => void,
): SwapOutcome {
  throw new ControlError("system", "swaps are not there yet", { errno: "ENOSYS" });
}
