/**
 * The protocol as clients see it: every method, event and value in the form that goes over the wire. Types only; that they say the
 * same as the schemas is checked by the compiler (tests/control/wire_types_test.ts).
 *
 * @module
 */

import type { ErrorData } from "./errors.ts";
import type { WireInt64, WireMode, WirePath } from "./values.ts";
import type { WireEntry } from "./wire_entries.ts";
import type {
  ReplaceParams,
  ReplaceResult,
  ReplacesResult,
  SelectorWaitParams,
  WireReplaceStatus,
} from "./wire_replace.ts";
import type {
  RestoreBlockParams,
  RestoreCheckParams,
  RestorePrepareParams,
  RestorePrepareResult,
  RestoreReleaseParams,
  RestoreStageResult,
} from "./wire_restore.ts";
import type { SwapPlanParams, SwapPlanResult, SwapRunParams, WireSwapResult } from "./wire_swap.ts";

export type * from "./wire_entries.ts";
export type * from "./wire_replace.ts";
export type * from "./wire_restore.ts";
export type * from "./wire_swap.ts";

/** A mount's mode: serve the placeholder, park every request, or pass on to the real file system. */
export type MountMode = "restore" | "stub" | "proxy";

/** The first line a client gets, before it sends anything. */
export interface Hello {
  /** The protocol spoken. Minor versions only add. */
  protocol: { major: number; minor: number };
  /** The program. */
  program: { name: string; version: string };
  /** What this machine was found to support. */
  capabilities: Record<string, boolean | string | number>;
  /** What the program accepts. */
  limits: { maxLineBytes: number; maxEntriesPerCall: number; maxInFlight: number };
}

/** `initialize`: must come first. */
export interface InitializeParams {
  /** What the client calls itself. */
  client: { name: string; version?: string | undefined };
  /** The protocol the client speaks; another major than the program's is refused. */
  protocol: { major: number; minor?: number | undefined };
  /** What follows when the client's input ends: finish what was ordered, or abort every mount. */
  onEof?: "linger" | "abort" | undefined;
  /** The events to send; none when absent. */
  events?: "all" | EventName[] | undefined;
}

/** What `initialize` answers. */
export interface InitializeResult {
  /** The protocol spoken from now on. */
  protocol: { major: number; minor: number };
  /** The events that will be sent. */
  events: string[];
}

/** `mount.create`: mounts a stand-in. */
export interface MountCreateParams {
  /** The name that later calls use: 1 to 64 of A-Z a-z 0-9 . _ : -, not "all". */
  id: string;
  /** Where: an existing directory, absolute. */
  mountpoint: WirePath;
  /** The mode to begin in; "restore" when absent. */
  mode?: "restore" | "stub" | undefined;
  /** The root directory's attributes; when absent those of the images, else 0755 0:0. */
  root?: { mode?: WireMode | undefined; uid?: number | undefined; gid?: number | undefined } | undefined;
  /** The most bytes of the placeholder. */
  size?: WireInt64 | undefined;
  /** How long the kernel may keep attributes and names in proxy mode, in milliseconds; 1000 when absent, 0 asks every time. */
  attrTimeoutMs?: number | undefined;
  /**
   * Which pending signals end a request's wait with EINTR: "any" that is not blocked or ignored (when absent), as FUSE does it, or only
   * "fatal" ones, as a hard NFS mount does it.
   */
  interrupts?: "any" | "fatal" | undefined;
  /** What is allowed on the mount: everything when absent, but `readOnly` false. */
  options?: {
    dev?: boolean | undefined;
    suid?: boolean | undefined;
    exec?: boolean | undefined;
    readOnly?: boolean | undefined;
  } | undefined;
  /** Images of CRIU, whose files on the mount are made before it can be seen. */
  images?: WireImages | undefined;
}

/** Images of CRIU, and which of their mounts is meant: the one of `key`, of `mountId`, or else at `mountpoint`. */
export interface WireImages {
  /** Their directory, an absolute path. */
  directory: WirePath;
  /** Where the mount was when the tree was dumped, as its processes saw it; the stand-in's own mountpoint when absent. */
  mountpoint?: WirePath | undefined;
  /** In which mount namespace, by CRIU's number; 0 is CRIU's own. Where there is only one that it can be, it need not be said. */
  namespace?: number | undefined;
  /** The mount's id in mountinfo, when the tree was dumped. */
  mountId?: number | undefined;
  /** The key of CRIU's `--external mnt[PATH]:KEY`. */
  key?: string | undefined;
}

/** What `mount.create` answers. */
export interface MountCreateResult {
  /** The mount's name. */
  id: string;
  /** Where it is. */
  mountpoint: WirePath;
  /** Its mode. */
  mode: MountMode;
  /** Its id in mountinfo. */
  mountId: WireInt64;
  /** Its device, "major:minor". */
  device: string;
  /** False when the same mount was there from an earlier, equal call. */
  createdNow: boolean;
  /** With images: how many nodes were made of them, and whether what images lack had been noted beside them. */
  images?: { nodes: number; noted: boolean } | undefined;
}

/** `file.create`: makes nodes in a mount's placeholder, all or none. */
export interface FileCreateParams {
  /** The mount. */
  mount: string;
  /** What to make, in order. */
  entries: WireEntry[];
  /** Whether missing parent directories are made (0755 0:0); true when absent. */
  parents?: boolean | undefined;
}

/** What `file.create` answers. */
export interface FileCreateResult {
  /** Nodes made. */
  created: number;
  /** Equal nodes that were there. */
  existing: number;
}

/** `mount.setMode`: changes what a mount does with requests. */
export interface SetModeParams {
  /** A mount's name, or "all". */
  mount: string;
  /** The mode to go to; "proxy" only where the real file system is there. */
  mode: MountMode;
}

/** What `mount.setMode` answers. */
export interface SetModeResult {
  /** Each mount's new and previous mode, and how many parked requests were let go. */
  mounts: { id: string; mode: MountMode; previous: MountMode; waited: number }[];
}

/** `mount.abort`: answers what is parked with an error and takes the mount away. */
export interface AbortParams {
  /** A mount's name, or "all". */
  mount: string;
  /** The errno's name; "EIO" when absent. */
  errno?: string | undefined;
}

/** What `mount.abort` answers. */
export interface AbortResult {
  /** Each mount and how many requests were answered. */
  mounts: { id: string; answered: number }[];
}

/** `status`. */
export interface StatusParams {
  /** The mount to tell of; all when absent. */
  mount?: string | undefined;
  /** How many parked requests to list for each mount; 0 when absent. */
  requests?: number | undefined;
}

/** A request that waits. */
export interface WireParkedRequest {
  /** The kernel's number of the request. */
  unique: WireInt64;
  /** The FUSE operation: LOOKUP, READ, ... */
  op: string;
  /** Who waits. */
  pid: number;
  /** The waiting thread's name. */
  comm: string;
  /** The node it is about. */
  nodeid: WireInt64;
  /** Its path below the mount, as last known. */
  path: WirePath;
  /** How long it has waited, in milliseconds. */
  ageMs: number;
  /** Whether a signal came in the meantime. */
  interrupted: boolean;
}

/** How a mount is. */
export interface WireMountStatus {
  /** Its name. */
  id: string;
  /** Where it is. */
  mountpoint: WirePath;
  /** Its mode. */
  mode: MountMode;
  /** Its device, "major:minor". */
  device: string;
  /** Since when it has been in this mode, on the clock of `uptimeMs`. */
  since: number;
  /** What waits: how many, the oldest one's age in milliseconds, and how many by operation. */
  parked: { count: number; oldestMs: number; byOp: Record<string, number> };
  /** The oldest waiting requests, where `requests` asked for them. */
  requests?: WireParkedRequest[] | undefined;
  /** Nodes that the kernel knows of. */
  nodes: number;
  /** Open files and directories. */
  handles: number;
  /** The replacement, where one was ordered. */
  replace?: WireReplaceStatus | undefined;
  /** Requests answered so far. */
  served: { count: number };
}

/** What `status` answers. */
export interface StatusResult {
  /** The program. */
  program: { name: string; version: string };
  /** Its process id. */
  pid: number;
  /** How long it has run, in milliseconds. */
  uptimeMs: number;
  /** Its memory. */
  memory: { rssBytes: number };
  /** The mounts, in the order they were made. */
  mounts: WireMountStatus[];
}

/** `cancel`. */
export interface CancelParams {
  /** The id of a request of this connection that has not been answered. */
  request: string | number;
}

/** What `cancel` answers. */
export interface CancelResult {
  /** Whether the request was told to end before its point of no return; its own reply says how it ended. */
  cancelled: boolean;
}

/** `quit`. */
export interface QuitParams {
  /** Whether to end although mounts exist. */
  force?: boolean | undefined;
  /** What parked requests are answered with, by errno name. */
  errno?: string | undefined;
}

/** Every method's parameters and result. */
export interface WireMethods {
  /** Begins the conversation. */
  "initialize": { params: InitializeParams; result: InitializeResult };
  /** Mounts a stand-in. */
  "mount.create": { params: MountCreateParams; result: MountCreateResult };
  /** Makes nodes in the placeholder. */
  "file.create": { params: FileCreateParams; result: FileCreateResult };
  /** Changes a mount's mode. */
  "mount.setMode": { params: SetModeParams; result: SetModeResult };
  /** Puts the real file system in the stand-in's place. */
  "mount.replace": { params: ReplaceParams; result: ReplaceResult };
  /** Lets a held replacement begin. */
  "mount.release": { params: SelectorWaitParams; result: ReplacesResult };
  /** Attempts a replacement again, now. */
  "mount.retry": { params: SelectorWaitParams; result: ReplacesResult };
  /** Answers what is parked with an error and takes the mount away. */
  "mount.abort": { params: AbortParams; result: AbortResult };
  /** Makes the stand-ins of a restore and orders what is to replace them. */
  "restore.prepare": { params: RestorePrepareParams; result: RestorePrepareResult };
  /** Tells whether what has been restored can go on. */
  "restore.check": { params: RestoreCheckParams; result: RestoreStageResult };
  /** Lets nobody see the placeholder any more. */
  "restore.block": { params: RestoreBlockParams; result: RestoreStageResult };
  /** Lets the held replacements begin. */
  "restore.release": { params: RestoreReleaseParams; result: RestoreStageResult };
  /** Tells what moving processes from one mount to another would move, and what stands in the way. */
  "swap.plan": { params: SwapPlanParams; result: SwapPlanResult };
  /** Moves processes from one mount to another. */
  "swap.run": { params: SwapRunParams; result: WireSwapResult };
  /** Tells how everything is. */
  "status": { params: StatusParams; result: StatusResult };
  /** Ends a request that is in flight. */
  "cancel": { params: CancelParams; result: CancelResult };
  /** Ends the program. */
  "quit": { params: QuitParams; result: Record<string, never> };
}

/** The name of a method. */
export type MethodName = keyof WireMethods;

/** What went wrong with an attempt or a replacement. */
export interface EventError {
  /** The error's kind. */
  kind: string;
  /** What happened. */
  message: string;
  /** The errno's name, when a system call failed. */
  errno?: ErrorData["errno"] | undefined;
}

/** Every event's parameters, without `seq` and `monotonicMs`. */
export interface WireEvents {
  /** A mount can be seen at its mountpoint and serves requests. */
  "mount.ready": { mount: string; mountpoint: WirePath; mode: MountMode };
  /** A mount's mode changed; `waited` parked requests were let go. */
  "mode.changed": { mount: string; mode: MountMode; previous: MountMode; waited: number };
  /** How many requests of a mount are parked now. */
  "request.parked": { mount: string; count: number; byOp: Record<string, number> };
  /** An attempt to mount ended: with `error` it failed, with `nextRetryMs` another follows. */
  "mount.attempt": {
    mount: string;
    attempt: number;
    error?: EventError | undefined;
    nextRetryMs?: number | undefined;
  };
  /** A replacement reached a step. */
  "replace.progress": { mount: string; step: string };
  /** A replacement ended; with `swap` running processes were moved to the real file system. */
  "replace.done": {
    mount: string;
    ok: boolean;
    error?: EventError | undefined;
    swap?: WireSwapResult | undefined;
  };
  /** A `swap.run` or `swap.plan` reached a step. */
  "swap.progress": {
    source: WirePath;
    target: WirePath;
    step: string;
    processes?: number | undefined;
    tasks?: number | undefined;
  };
  /** A mount broke. */
  "mount.lost": { mount: string; reason: string };
  /** A mount ended as ordered, and its name is free. */
  "mount.gone": { mount: string };
}

/** The name of an event. */
export type EventName = keyof WireEvents;

/** What the connection adds to every event. */
export interface EventStamp {
  /** Counts the events of this connection from 1; a gap means that events were left out because they were not read in time. */
  seq: number;
  /** When it happened, in milliseconds on the clock of `uptimeMs`. */
  monotonicMs: number;
}

/** An event as a client gets it. */
export type WireEvent = {
  [E in EventName]: { event: E; params: WireEvents[E] & EventStamp };
}[EventName];
