/**
 * The control protocol: every method's parameters and result as zod schemas, the one source of validation, of the types the
 * host works with and of the JSON Schema. Parameters are strict (an unknown key is an error, found before any side effect);
 * results are open, so that a client survives a newer minor version.
 *
 * @module
 */

import * as z from "zod/mini";
import {
  absolutePath,
  count,
  errnoName,
  id32,
  milliseconds,
  mode,
  mountId,
  mountSelector,
  reportedPath,
  size,
  text,
  uint64,
} from "./codecs.ts";
import { fileEntry } from "./entries.ts";
import { errorKinds } from "./errors.ts";
import { eventNames } from "./events.ts";
import { lazily } from "./lazily.ts";
import { limits } from "./limits.ts";
import {
  blockParams,
  checkParams,
  prepareParams,
  prepareResult,
  releaseParams,
  stageResult,
} from "./restore.ts";
import {
  obstacle,
  selection,
  swapDeadline,
  swapPlanParams,
  swapPlanResult,
  swapResult,
  swapRunParams,
} from "./swap.ts";
import { swapModes } from "./swap_words.ts";

/** What a mount does with requests: serve the placeholder, park everything, or pass on to the real file system. */
export const mountMode = z.enum(["restore", "stub", "proxy"]);

/** Where a `mount.replace` stands. `failed` waits for mount.retry or mount.abort; `committing` cannot be cancelled. */
export const replaceState = z.enum(["held", "mounting", "waiting", "failed", "committing", "done"]);

const mountFlag = z.enum([
  "ro",
  "nosuid",
  "nodev",
  "noexec",
  "noatime",
  "nodiratime",
  "relatime",
  "strictatime",
]);

const version = z.object({ major: count, minor: count });
const device = z.string().check(z.regex(/^\d+:\d+$/));

const positiveMilliseconds = z.number().check(z.minimum(1), z.maximum(86_400_000));

/** How attempts to mount the real file system are repeated: exponentially, from initialMs to maxMs, until deadlineMs. */
const retryPolicy = () =>
  z.strictObject({
    initialMs: z._default(positiveMilliseconds, 100),
    maxMs: z._default(positiveMilliseconds, 10_000),
    factor: z._default(z.number().check(z.minimum(1), z.maximum(100)), 2),
    deadlineMs: z.optional(milliseconds),
    errnos: z.optional(z.array(errnoName)),
  }).check(z.refine((retry) => retry.initialMs <= retry.maxMs, {
    path: ["initialMs"],
    error: "is more than maxMs",
  }));

const resume = lazily({
  params: () => z.strictObject({ mount: mountSelector, wait: z._default(z.boolean(), false) }),
  result: () =>
    z.object({ mounts: z.array(z.object({ id: mountId, state: replaceState, attempts: count })) }),
});

const initialize = lazily({
  params: () =>
    z.strictObject({
      client: z.strictObject({
        name: z.string().check(z.maxLength(128)),
        version: z.optional(z.string().check(z.maxLength(128))),
      }),
      protocol: z.strictObject({ major: count, minor: z.optional(count) }),
      onEof: z.optional(z.enum(["linger", "abort"])),
      events: z._default(z.union([z.literal("all"), z.array(z.enum(eventNames))]), []),
    }),
  result: () => z.object({ protocol: version, events: z.array(z.string()) }),
});

const images = () =>
  z.strictObject({
    directory: absolutePath,
    mountpoint: z.optional(absolutePath),
    namespace: z.optional(count),
    mountId: z.optional(count),
    key: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
  }).check(
    z.refine(
      ({ mountpoint, mountId, key }) =>
        [mountpoint, mountId, key].filter((choice) => choice !== undefined).length <= 1,
      { error: "has more than one of mountpoint, mountId and key" },
    ),
    z.refine(
      ({ namespace, mountId, key }) =>
        namespace === undefined || (mountId === undefined && key === undefined),
      { path: ["namespace"], error: "goes with mountpoint only" },
    ),
  );

const mountCreate = lazily({
  params: () =>
    z.strictObject({
      id: mountId,
      mountpoint: absolutePath,
      mode: z._default(z.enum(["restore", "stub"]), "restore"),
      root: z.optional(z.strictObject({
        mode: z.prefault(mode, "0755"),
        uid: z._default(id32, 0),
        gid: z._default(id32, 0),
      })),
      size: z.optional(size),
      attrTimeoutMs: z._default(milliseconds, 1000),
      interrupts: z._default(z.enum(["any", "fatal"]), "any"),
      options: z.prefault(
        z.strictObject({
          dev: z._default(z.boolean(), true),
          suid: z._default(z.boolean(), true),
          exec: z._default(z.boolean(), true),
          readOnly: z._default(z.boolean(), false),
        }),
        {},
      ),
      images: z.optional(images()),
    }),
  result: () =>
    z.object({
      id: mountId,
      mountpoint: reportedPath,
      mode: mountMode,
      mountId: uint64,
      device,
      createdNow: z.boolean(),
      images: z.optional(z.object({ nodes: count, noted: z.boolean() })),
    }),
});

const fileCreate = lazily({
  params: () =>
    z.strictObject({
      mount: mountId,
      entries: z.array(fileEntry()).check(z.maxLength(limits.maxEntriesPerCall)),
      parents: z._default(z.boolean(), true),
    }),
  result: () => z.object({ created: count, existing: count }),
});

const mountSetMode = lazily({
  params: () => z.strictObject({ mount: mountSelector, mode: mountMode }),
  result: () =>
    z.object({
      mounts: z.array(z.object({ id: mountId, mode: mountMode, previous: mountMode, waited: count })),
    }),
});

const mountReplace = lazily({
  params: () =>
    z.strictObject({
      mount: mountId,
      source: text,
      type: z.string().check(
        z.regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'expected a file system type or "bind"' }),
      ),
      flags: z._default(z.array(mountFlag), []),
      options: z.optional(z.string().check(z.maxLength(65_536))),
      hold: z._default(z.boolean(), false),
      wait: z._default(z.boolean(), false),
      retry: z.prefault(retryPolicy(), {}),
      helper: z._default(z.enum(["auto", "never", "always"]), "auto"),
      network: z.optional(z.union([z.literal("tree"), absolutePath])),
      missing: z._default(z.enum(["refuse", "stale"]), "refuse"),
      swap: z._default(z.enum(swapModes), "auto"),
      swapProcesses: selection(),
      swapDeadlineMs: swapDeadline(),
    }),
  result: () =>
    z.object({
      mount: mountId,
      state: z.enum(["held", "running", "done"]),
      attempts: count,
      swap: z.optional(swapResult()),
    }),
});

const mountAbort = lazily({
  params: () => z.strictObject({ mount: mountSelector, errno: z._default(errnoName, "EIO") }),
  result: () => z.object({ mounts: z.array(z.object({ id: mountId, answered: count })) }),
});

const parkedRequest = () =>
  z.object({
    unique: uint64,
    op: z.string(),
    pid: count,
    comm: z.string(),
    nodeid: uint64,
    path: reportedPath,
    ageMs: milliseconds,
    interrupted: z.boolean(),
  });

const replaceStatus = () =>
  z.object({
    state: replaceState,
    source: reportedPath,
    type: z.string(),
    attempts: count,
    lastError: z.optional(z.object({ errno: z.optional(errnoName), message: z.string() })),
    nextRetryMs: z.optional(milliseconds),
    swap: z.optional(swapResult()),
  });

const mountStatus = () =>
  z.object({
    id: mountId,
    mountpoint: reportedPath,
    mode: mountMode,
    device,
    since: milliseconds,
    parked: z.object({ count, oldestMs: milliseconds, byOp: z.record(z.string(), count) }),
    requests: z.optional(z.array(parkedRequest())),
    nodes: count,
    handles: count,
    replace: z.optional(replaceStatus()),
    served: z.object({ count }),
  });

const status = lazily({
  params: () =>
    z.strictObject({
      mount: z.optional(mountId),
      requests: z._default(count.check(z.maximum(100_000)), 0),
    }),
  result: () =>
    z.object({
      program: z.object({ name: z.string(), version: z.string() }),
      pid: count,
      uptimeMs: milliseconds,
      memory: z.object({ rssBytes: count }),
      mounts: z.array(mountStatus()),
    }),
});

/** A request id: a string, or an integer that a double holds exactly. */
export const requestId = z.union([z.string().check(z.maxLength(128)), z.int()], {
  error: "expected a string of at most 128 characters or an integer",
});

/** What no method is about. */
export const others = lazily({
  /** The parameters of `hello`. */
  hello: () =>
    z.object({
      protocol: version,
      program: z.object({ name: z.string(), version: z.string() }),
      capabilities: z.record(z.string(), z.union([z.boolean(), z.string(), z.number()])),
      limits: z.object({ maxLineBytes: count, maxEntriesPerCall: count, maxInFlight: count }),
    }),
  /** The error of a response. */
  errorObject: () =>
    z.object({
      code: z.int(),
      message: z.string(),
      data: z.object({
        kind: z.enum(errorKinds),
        errno: z.optional(errnoName),
        syscall: z.optional(z.string()),
        mount: z.optional(z.string()),
        path: z.optional(reportedPath),
        mode: z.optional(mountMode),
        index: z.optional(count),
        offset: z.optional(count),
        rolledBack: z.optional(z.boolean()),
        detail: z.optional(z.string()),
        obstacles: z.optional(z.array(obstacle())),
        obstacleCount: z.optional(count),
      }),
    }),
});

const cancel = lazily({
  params: () => z.strictObject({ request: requestId }),
  result: () => z.object({ cancelled: z.boolean() }),
});

const quit = lazily({
  params: () => z.strictObject({ force: z._default(z.boolean(), false), errno: z.optional(errnoName) }),
  result: () => z.object({}),
});

const restorePrepare = lazily({ params: prepareParams, result: prepareResult });
const restoreCheck = lazily({ params: checkParams, result: stageResult });
const restoreBlock = lazily({ params: blockParams, result: stageResult });
const restoreRelease = lazily({ params: releaseParams, result: stageResult });

const swapPlan = lazily({ params: swapPlanParams, result: swapPlanResult });
const swapRun = lazily({ params: swapRunParams, result: swapResult });

/** Every method's parameters and result. */
export const methods = {
  "initialize": initialize,
  "mount.create": mountCreate,
  "file.create": fileCreate,
  "mount.setMode": mountSetMode,
  "mount.replace": mountReplace,
  "mount.release": resume,
  "mount.retry": resume,
  "mount.abort": mountAbort,
  "restore.prepare": restorePrepare,
  "restore.check": restoreCheck,
  "restore.block": restoreBlock,
  "restore.release": restoreRelease,
  "swap.plan": swapPlan,
  "swap.run": swapRun,
  "status": status,
  "cancel": cancel,
  "quit": quit,
};

/** The name of a method. */
export type MethodName = keyof typeof methods;

/** A method's parameters as the host gets them: validated, decoded (bytes, bigint, numbers), defaults filled in. */
export type Params<M extends MethodName> = z.output<(typeof methods)[M]["params"]>;

/** A method's result as the host gives it, before encoding. */
export type Result<M extends MethodName> = z.output<(typeof methods)[M]["result"]>;

/** What `status` says about one mount. */
export type MountStatus = z.output<ReturnType<typeof mountStatus>>;

/** One parked request, as `status` lists it. */
export type ParkedRequest = z.output<ReturnType<typeof parkedRequest>>;

/** What `status` says about a mount's replacement. */
export type ReplaceStatus = z.output<ReturnType<typeof replaceStatus>>;

/** How attempts to mount are repeated, with defaults filled in. */
export type RetryPolicy = z.output<ReturnType<typeof retryPolicy>>;

/** A mount's mode. */
export type MountMode = z.output<typeof mountMode>;

/** Where a replacement stands. */
export type ReplaceState = z.output<typeof replaceState>;
