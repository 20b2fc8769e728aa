/**
 * When to try again: exponential backoff to a maximum, until a deadline. Pure.
 *
 * @module
 */

/** How attempts follow each other; all times in milliseconds. */
export interface BackoffPolicy {
  /** The pause after the first failed attempt. */
  readonly initialMs: number;
  /** The longest pause. */
  readonly maxMs: number;
  /** By how much each pause is longer than the one before; at least 1. */
  readonly factor: number;
  /** No attempt begins later than this after the first one began; without it attempts never end. */
  readonly deadlineMs?: number;
}

/**
 * The pause between a failed attempt and the next one, in milliseconds. The last pause before a deadline is cut short, so that one
 * attempt is made at the deadline itself; after that the answer is undefined: give up.
 *
 * @param attempt the number of the attempt that failed, from 1
 * @param elapsedMs the time since the first attempt began
 */
export function pauseAfter(attempt: number, elapsedMs: number, policy: BackoffPolicy): number | undefined {
  // The power of a large attempt number is Infinity, which the minimum turns into maxMs.
  const pause = Math.min(policy.initialMs * policy.factor ** (attempt - 1), policy.maxMs);
  if (policy.deadlineMs === undefined) return pause;
  const left = policy.deadlineMs - elapsedMs;
  return left > 0 ? Math.min(pause, left) : undefined;
}
