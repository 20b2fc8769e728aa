/**
 * Replacements as clients see them: what is ordered and how it stands. Types only.
 *
 * @module
 */

import type { WirePath } from "./values.ts";
import type { SwapMode, WireSelection, WireSwapResult } from "./wire_swap.ts";

/** Where a replacement stands. `failed` waits for mount.retry or mount.abort; `committing` cannot be cancelled. */
export type ReplaceState = "held" | "mounting" | "waiting" | "failed" | "committing" | "done";

/** A flag of the real mount. */
export type MountFlag =
  | "ro"
  | "nosuid"
  | "nodev"
  | "noexec"
  | "noatime"
  | "nodiratime"
  | "relatime"
  | "strictatime";

/** How attempts to mount are repeated. */
export interface RetryParams {
  /** The first pause in milliseconds; 100 when absent. */
  initialMs?: number | undefined;
  /** The longest pause in milliseconds; 10000 when absent. */
  maxMs?: number | undefined;
  /** What each pause is multiplied by; 2 when absent. */
  factor?: number | undefined;
  /** Give up this many milliseconds after the first attempt; never when absent. */
  deadlineMs?: number | undefined;
  /** The errors worth another attempt, by errno name; those of a network or server that is away when absent. */
  errnos?: string[] | undefined;
}

/** `mount.replace`: mounts the real file system and puts it in the stand-in's place. */
export interface ReplaceParams {
  /** The mount. */
  mount: string;
  /** The device, export or, for "bind", directory. */
  source: WirePath;
  /** The file system's type, or "bind". */
  type: string;
  /** Flags of the real mount. */
  flags?: MountFlag[] | undefined;
  /** The file system's own options, separated by commas. */
  options?: string | undefined;
  /** Whether to wait for `mount.release` before the first attempt. */
  hold?: boolean | undefined;
  /** Whether to reply when the replacement is done or has failed, not when it has begun. */
  wait?: boolean | undefined;
  /** How attempts are repeated. */
  retry?: RetryParams | undefined;
  /** Whether to use mount(8) helpers such as mount.nfs: where the type has one ("auto", when absent), never or always. */
  helper?: "auto" | "never" | "always" | undefined;
  /**
   * The network namespace that the real file system is mounted in, as a path: /proc/PID/ns/net; "tree" for that of the restored tree, which
   * `restore.check` tells; that of spfs when absent.
   */
  network?: "tree" | WirePath | undefined;
  /**
   * What to do about an open file that the real file system does not have: "refuse" the replacement (when absent), the requests keep
   * waiting; or go on and answer what uses the file ESTALE ("stale").
   */
  missing?: "refuse" | "stale" | undefined;
  /** Whether running processes are moved to the real file system; "auto" when absent. */
  swap?: SwapMode | undefined;
  /** Which processes; every one that refers to the mount when absent. */
  swapProcesses?: WireSelection | undefined;
  /** How long stopping their tasks may take, in milliseconds; 5000 when absent. */
  swapDeadlineMs?: number | undefined;
}

/** What `mount.replace` answers. */
export interface ReplaceResult {
  /** The mount. */
  mount: string;
  /** Whether the replacement is held, under way or done. */
  state: "held" | "running" | "done";
  /** Attempts to mount so far. */
  attempts: number;
  /** What was moved and what was left, where it is done and processes were to be moved. */
  swap?: WireSwapResult | undefined;
}

/** `mount.release` and `mount.retry`. */
export interface SelectorWaitParams {
  /** A mount's name, or "all". */
  mount: string;
  /** Whether to reply when the replacement is done or has failed, not when it has begun. */
  wait?: boolean | undefined;
}

/** What `mount.release` and `mount.retry` answer. */
export interface ReplacesResult {
  /** Each mount's replacement. */
  mounts: { id: string; state: ReplaceState; attempts: number }[];
}

/** How a replacement stands. */
export interface WireReplaceStatus {
  /** Its state. */
  state: ReplaceState;
  /** What is to be mounted. */
  source: WirePath;
  /** Its file system type. */
  type: string;
  /** Attempts so far. */
  attempts: number;
  /** Why the last attempt failed. */
  lastError?: { errno?: string | undefined; message: string } | undefined;
  /** Milliseconds to the next attempt. */
  nextRetryMs?: number | undefined;
  /** What was moved to the real file system and what was left, where it is done and processes were to be moved. */
  swap?: WireSwapResult | undefined;
}
