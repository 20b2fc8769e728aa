/**
 * Figures of repeated measurements. Pure.
 *
 * @module
 */

/** A figure that was measured several times. */
export interface Figure {
  /** The smallest value. */
  readonly min: number;
  /** The middle value. */
  readonly median: number;
  /** The largest value. */
  readonly max: number;
  /** How often it was measured. */
  readonly count: number;
}

/** Summarises values, rounded to three digits behind the point. @throws {RangeError} when there are none. */
export function figure(values: readonly number[]): Figure {
  const middle = round(median(values));
  return {
    min: round(Math.min(...values)),
    median: middle,
    max: round(Math.max(...values)),
    count: values.length,
  };
}

/** The middle value. @throws {RangeError} when there are none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("the median of no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rounds to three digits behind the point. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
