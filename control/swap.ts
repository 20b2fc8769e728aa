/**
 * The schemas of the swap: which processes, what of them was moved and what was not. Each function builds its schema anew.
 *
 * @module
 */

import * as z from "zod/mini";
import { absolutePath, count, milliseconds, reportedPath } from "./codecs.ts";
import { defaultSwapDeadlineMs, resourceKinds } from "./swap_words.ts";

/** The most processes that a selection names. */
const maxPids = 65_536;

const pidMax = 0x7fff_ffff;

/** Which processes are moved; every one that refers to the mount when absent. */
export function selection() {
  const pid = z.int().check(z.minimum(1), z.maximum(pidMax));
  const directory = z.string().check(
    z.regex(/^\/[^\0]*$/, { error: "must begin with / and have no NUL byte" }),
    z.maxLength(4095),
  );
  const schema = z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("referring") }),
    z.strictObject({
      kind: z.literal("pids"),
      pids: z.array(pid).check(z.minLength(1), z.maxLength(maxPids)),
      tree: z._default(z.boolean(), false),
    }),
    z.strictObject({ kind: z.literal("cgroup"), path: directory }),
    z.strictObject({ kind: z.literal("pid-namespace"), pid }),
  ], {
    error: (issue) =>
      issue.code === "invalid_union" ? "expected one of referring, pids, cgroup, pid-namespace" : undefined,
  });
  return z.prefault(schema, { kind: "referring" });
}

/** How long stopping the tasks may take. */
export function swapDeadline() {
  return z._default(z.number().check(z.minimum(1), z.maximum(86_400_000)), defaultSwapDeadlineMs);
}

const movedProcess = () =>
  z.object({ pid: count, comm: z.string(), moved: z.partialRecord(z.enum(resourceKinds), count) });

/** Something that cannot be moved. */
export function obstacle() {
  return z.object({
    pid: count,
    comm: z.string(),
    kind: z.enum(resourceKinds),
    fd: z.optional(count),
    address: z.optional(z.string()),
    path: z.optional(reportedPath),
    reason: z.string(),
    transient: z.optional(z.boolean()),
  });
}

/** How a swap went. */
export function swapResult() {
  return z.object({
    processes: z.array(movedProcess()),
    left: z.array(obstacle()),
    stoppedMs: milliseconds,
    tasks: count,
    descriptions: count,
  });
}

const sides = () => ({
  source: absolutePath,
  target: absolutePath,
  processes: selection(),
  deadlineMs: swapDeadline(),
});

/** The parameters of `swap.plan`. */
export function swapPlanParams() {
  return z.strictObject(sides());
}

/** The result of `swap.plan`. */
export function swapPlanResult() {
  return z.object({ processes: z.array(movedProcess()), obstacles: z.array(obstacle()) });
}

/** The parameters of `swap.run`; its result is {@linkcode swapResult}. */
export function swapRunParams() {
  return z.strictObject({ ...sides(), leave: z._default(z.boolean(), false) });
}
