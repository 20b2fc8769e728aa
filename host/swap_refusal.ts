/**
 * A refused swap as an error of the control protocol.
 *
 * @module
 */

import { ControlError, type ErrorData } from "../control/errors.ts";
import { maxListedObstacles } from "../control/swap_words.ts";
import { encodePath } from "../control/values.ts";
import type { WireObstacle } from "../control/wire_swap.ts";
import type { Obstacle } from "../swap/types.ts";
import type { SwapRefusal } from "./swap_messages.ts";

/** An obstacle as the protocol has it. */
export function wireObstacle({ path, ...rest }: Obstacle): WireObstacle {
  return path === undefined ? rest : { ...rest, path: encodePath(path) };
}

/** What a swap that was refused fails with: kind `swap_refused`, with the first obstacles and how many there are. */
export function swapRefused(
  { obstacles, message }: SwapRefusal,
  data: ErrorData = {},
): ControlError {
  return new ControlError("swap_refused", message, {
    ...data,
    rolledBack: true,
    obstacles: obstacles.slice(0, maxListedObstacles).map(wireObstacle),
    obstacleCount: obstacles.length,
  });
}
