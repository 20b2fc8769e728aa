/**
 * How Deno is told to run the product: compiled into the executable, and given to `deno run` where that stands in for it.
 *
 * @module
 */

/**
 * A nursery of 1 MiB for each thread's heap instead of 16: requests that wait outlive it in any case, and what it grows to stays resident.
 */
export const NURSERY = "--v8-flags=--max-semi-space-size=1";
