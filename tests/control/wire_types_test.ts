import type * as z from "zod/mini";
import type { events } from "../../control/events.ts";
import type { methods } from "../../control/protocol.ts";
import type { WireEvents, WireMethods } from "../../control/wire.ts";

/** Spells a type out, so that only its structure is compared. */
type Plain<T> = T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Equal<A, B> = (<T>() => T extends Plain<A> ? 1 : 2) extends (<T>() => T extends Plain<B> ? 1 : 2) ? true
  : false;

type SchemaMethods = {
  [M in keyof typeof methods]: {
    params: z.input<(typeof methods)[M]["params"]>;
    result: z.input<(typeof methods)[M]["result"]>;
  };
};
type SchemaEvents = { [E in keyof typeof events]: z.input<(typeof events)[E]> };

type Differences<A, B> = {
  [K in keyof A | keyof B]: Equal<A[K & keyof A], B[K & keyof B]> extends true ? never
    : K;
}[
  keyof A | keyof B
];

Deno.test("control: the wire types say what the schemas say", () => {
  const differences: [Differences<SchemaMethods, WireMethods>, Differences<SchemaEvents, WireEvents>][] = [];
  const none: [never, never][] = differences;
  void none;
});
