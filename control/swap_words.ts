/**
 * The words of the swap, for schemas, types and the command line. No dependency, so that the client has them too.
 *
 * @module
 */

/** What of a process a swap is about. */
export const resourceKinds = [
  "fd",
  "map",
  "cwd",
  "root",
  "exe",
  "lock",
  "epoll",
  "inotify",
  "fifo",
  "socket",
  "process",
] as const;

/** What of a process a swap is about. */
export type ResourceKind = (typeof resourceKinds)[number];

/**
 * What a replacement does about running processes: moves them as far as it can ("auto"), puts nothing in place unless all of them can be
 * moved ("require"), or leaves them where they are ("none").
 */
export const swapModes = ["auto", "none", "require"] as const;

/** What a replacement does about running processes. */
export type SwapMode = (typeof swapModes)[number];

/** How long stopping the tasks may take when the client does not say, in milliseconds. */
export const defaultSwapDeadlineMs = 5000;

/** The most obstacles that an error lists. */
export const maxListedObstacles = 100;
