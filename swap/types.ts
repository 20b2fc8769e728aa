/**
 * What a swap is asked for and what it answers: plain data that crosses threads and can be printed.
 *
 * @module
 */

/**
 * A mount whose users are to be moved, and where to. The same file system may be mounted in several places (bind mounts of directories
 * and of files, other mount namespaces): each is one of these.
 */
export interface SourceMount {
  /** The mount's id (statx(2) STATX_MNT_ID, fdinfo `mnt_id`). */
  readonly id: number;
  /** The device of its superblock, as `/proc/PID/maps` and fdinfo show it. */
  readonly major: number;
  /** See `major`. */
  readonly minor: number;
  /** Where it is mounted, as readlink(2) of `/proc/PID/fd/N` shows it to this process: the prefix of every path on it. */
  readonly mountpoint: Uint8Array;
  /** A descriptor of the root of the mount that takes its place. Stays the caller's. */
  readonly targetFd: number;
  /** Whether putting that in its place gives it to the tasks that have its root as their root directory (pivot_root(2)); they are not moved. */
  readonly takesRoots?: boolean;
}

/** Which processes are moved. */
export type Selection =
  /** Every process that refers to a source, found by looking at all of /proc. */
  | { readonly kind: "referring" }
  /** These processes, with all their descendants if `tree`. */
  | { readonly kind: "pids"; readonly pids: readonly number[]; readonly tree: boolean }
  /** The processes of a cgroup (v1 or v2) and of those below it; a directory of a cgroup file system. */
  | { readonly kind: "cgroup"; readonly path: string }
  /** The processes of a pid namespace and of those below it: the one that this process is in. */
  | { readonly kind: "pid-namespace"; readonly pid: number };

/** What of a process a swap is about. */
export type ResourceKind =
  | "fd"
  | "map"
  | "cwd"
  | "root"
  | "exe"
  | "lock"
  | "epoll"
  | "inotify"
  | "fifo"
  | "socket"
  | "process";

/** Something that cannot be moved. */
export interface Obstacle {
  /** The process; 0 when it is none's in particular. */
  readonly pid: number;
  /** Its command name. */
  readonly comm: string;
  /** What it is. */
  readonly kind: ResourceKind;
  /** The descriptor, for those that have one. */
  readonly fd?: number;
  /** The address range as in maps, for mappings. */
  readonly address?: string;
  /** The path on the source, as far as there is one. */
  readonly path?: Uint8Array;
  /** Why, in one sentence's end: "is sealed by mseal(2)". */
  readonly reason: string;
  /** Whether the same attempt may succeed a moment later. */
  readonly transient?: boolean;
}

/** What was (or, in a dry run, would be) moved of one process. */
export interface MovedProcess {
  /** The process. */
  readonly pid: number;
  /** Its command name. */
  readonly comm: string;
  /** How many of each kind. */
  readonly moved: Partial<Record<ResourceKind, number>>;
}

/** How a swap went. */
export interface SwapResult {
  /** The processes, in the order in which they were found. */
  readonly processes: readonly MovedProcess[];
  /** What stays on the source, when that was allowed. */
  readonly left: readonly Obstacle[];
  /** From the first stop of a task until the last one runs again, in milliseconds; 0 when none had to be stopped. */
  readonly stoppedMs: number;
  /** How many tasks (threads) were stopped. */
  readonly tasks: number;
  /** How many open file descriptions were made anew. */
  readonly descriptions: number;
}
