import type { z } from "zod/mini";
import type { obstacle, selection, swapPlanResult, swapResult } from "../../control/swap.ts";
import type { ResourceKind } from "../../control/swap_words.ts";
import type {
  MovedProcess,
  Obstacle,
  ResourceKind as Kind,
  Selection,
  SwapResult,
} from "../../swap/types.ts";

/** The keys that may be absent. */
type OptionalKeys<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? K : never }[keyof T];

/** Spells a type out: arrays and properties that can be written, and no undefined where a property may be absent. */
type Plain<T> = T extends Uint8Array ? "bytes"
  : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? {
      required: { -readonly [K in Exclude<keyof T, OptionalKeys<T>>]: Plain<T[K]> };
      optional: { -readonly [K in OptionalKeys<T>]-?: Plain<Exclude<T[K], undefined>> };
    }
  : T;

type Equal<A, B> = (<T>() => T extends Plain<A> ? 1 : 2) extends (<T>() => T extends Plain<B> ? 1 : 2) ? true
  : false;

type Output<F extends () => z.ZodMiniType> = z.output<ReturnType<F>>;

Deno.test("host: what a swap is asked and answers is the same in the protocol and in swap/", () => {
  const same: [
    Equal<ResourceKind, Kind>,
    Equal<Output<typeof selection>, Selection>,
    Equal<Output<typeof obstacle>, Obstacle>,
    Equal<Output<typeof swapPlanResult>["processes"], readonly MovedProcess[]>,
    Equal<Output<typeof swapResult>, SwapResult>,
  ] = [true, true, true, true, true];
  void same;
});
