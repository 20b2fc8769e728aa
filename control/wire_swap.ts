/**
 * The swap as clients see it: which processes, what of them was moved and what was not. Types only.
 *
 * @module
 */

import type { ResourceKind, SwapMode } from "./swap_words.ts";
import type { WirePath } from "./values.ts";

export type { ResourceKind, SwapMode };

/** Which processes are moved. */
export type WireSelection =
  /** Every process that refers to the mount. */
  | { kind: "referring" }
  /** These processes, with all their descendants if `tree` (false when absent). */
  | { kind: "pids"; pids: number[]; tree?: boolean | undefined }
  /** Those of a cgroup and of the cgroups below it; `path` is its directory in a cgroup file system, absolute. */
  | { kind: "cgroup"; path: string }
  /** Those of the pid namespace that a process is in, and of the namespaces below it. */
  | { kind: "pid-namespace"; pid: number };

/** What was, or would be, moved of one process. */
export interface WireMovedProcess {
  /** The process. */
  pid: number;
  /** Its command name. */
  comm: string;
  /** How many of each kind. */
  moved: Partial<Record<ResourceKind, number>>;
}

/** Something that cannot be moved. */
export interface WireObstacle {
  /** The process; 0 when it is none's in particular. */
  pid: number;
  /** Its command name. */
  comm: string;
  /** What it is. */
  kind: ResourceKind;
  /** The descriptor, where it has one. */
  fd?: number | undefined;
  /** The address range of a mapping, as in /proc/PID/maps. */
  address?: string | undefined;
  /** The path, as far as there is one. */
  path?: WirePath | undefined;
  /** Why, as the end of a sentence: "is sealed by mseal(2)". */
  reason: string;
  /** Whether the same attempt may succeed a moment later. */
  transient?: boolean | undefined;
}

/** How a swap went. */
export interface WireSwapResult {
  /** The processes, in the order in which they were found. */
  processes: WireMovedProcess[];
  /** What stays on the source. */
  left: WireObstacle[];
  /** From the first stop of a task until the last one ran again, in milliseconds; 0 when none had to be stopped. */
  stoppedMs: number;
  /** How many tasks (threads) were stopped. */
  tasks: number;
  /** How many open file descriptions were made anew. */
  descriptions: number;
}

/** `swap.plan`: tells what `swap.run` would do. Changes nothing. */
export interface SwapPlanParams {
  /** The mountpoint of the mount whose users are moved, absolute. */
  source: WirePath;
  /** The mountpoint of the mount that they are moved to, absolute. */
  target: WirePath;
  /** Which processes; every one that refers to the source when absent. */
  processes?: WireSelection | undefined;
  /** How long stopping the tasks may take, in milliseconds; 5000 when absent. */
  deadlineMs?: number | undefined;
}

/** `swap.run`: moves processes from one mount to another. */
export interface SwapRunParams extends SwapPlanParams {
  /** Whether what cannot be moved is left on the source; when absent or false nothing is moved when anything cannot be. */
  leave?: boolean | undefined;
}

/** What `swap.plan` answers. */
export interface SwapPlanResult {
  /** What would be moved. */
  processes: WireMovedProcess[];
  /** What stands in the way. */
  obstacles: WireObstacle[];
}
