/**
 * The events: notifications from the program to clients that asked for them. Every event's parameters carry `seq` and
 * `monotonicMs` besides what is declared here; the connection adds them.
 *
 * @module
 */

import * as z from "zod/mini";
import { lazily } from "./lazily.ts";
import { count, errnoName, milliseconds, mountId, reportedPath } from "./codecs.ts";
import { swapResult } from "./swap.ts";

/** The names of all events. */
export const eventNames = [
  "mount.ready",
  "mode.changed",
  "request.parked",
  "mount.attempt",
  "replace.progress",
  "replace.done",
  "swap.progress",
  "mount.lost",
  "mount.gone",
] as const;

const mode = z.enum(["restore", "stub", "proxy"]);
const fault = () => z.object({ kind: z.string(), message: z.string(), errno: z.optional(errnoName) });

/** Every event's parameters. */
export const events = lazily(
  {
    /** A mount can be seen at its mountpoint and serves requests. */
    "mount.ready": () => z.object({ mount: mountId, mountpoint: reportedPath, mode }),
    /** A mount's mode changed; `waited` requests had been parked and were let go. */
    "mode.changed": () => z.object({ mount: mountId, mode, previous: mode, waited: count }),
    /** How many requests of a mount are parked now; at most ten a second for one mount. */
    "request.parked": () => z.object({ mount: mountId, count, byOp: z.record(z.string(), count) }),
    /** An attempt to mount the real file system ended; with `error` it failed, with `nextRetryMs` another follows. */
    "mount.attempt": () =>
      z.object({
        mount: mountId,
        attempt: count,
        error: z.optional(fault()),
        nextRetryMs: z.optional(milliseconds),
      }),
    /** A replacement reached a step. */
    "replace.progress": () => z.object({ mount: mountId, step: z.string() }),
    /** A replacement ended; with `swap` running processes were moved to the real file system. */
    "replace.done": () =>
      z.object({
        mount: mountId,
        ok: z.boolean(),
        error: z.optional(fault()),
        swap: z.optional(swapResult()),
      }),
    /** A `swap.run` or `swap.plan` reached a step. */
    "swap.progress": () =>
      z.object({
        source: reportedPath,
        target: reportedPath,
        step: z.string(),
        processes: z.optional(count),
        tasks: z.optional(count),
      }),
    /** A mount broke: its worker or its connection to the kernel died. */
    "mount.lost": () => z.object({ mount: mountId, reason: z.string() }),
    /** A mount ended as ordered, and its id is free. */
    "mount.gone": () => z.object({ mount: mountId }),
  } satisfies Record<(typeof eventNames)[number], () => z.ZodMiniType>,
);

/** The name of an event. */
export type EventName = keyof typeof events;

/** An event's parameters as the host gives them, before encoding; without seq and monotonicMs. */
export type EventParams<E extends EventName> = z.output<(typeof events)[E]>;

/** Tells clients of an event. Does not block and does not throw. */
export type Emit = <E extends EventName>(event: E, params: EventParams<E>) => void;

/** What a failed attempt or replacement reports in an event. */
export type EventFault = z.output<ReturnType<typeof fault>>;
