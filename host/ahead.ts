/**
 * A mount worker that is there before a mount is: it is started before anyone asks for it, and loads on another core while the rest of the
 * program does.
 *
 * @module
 */

import { MountThread } from "./mount_thread.ts";
import { startMountWorker } from "./workers.ts";

const spare: MountThread[] = [];

/** Starts a mount worker ahead, unless there is one. */
export function startAhead(): void {
  if (spare.length > 0) return;
  const thread = new MountThread(startMountWorker());
  thread.rehearse();
  spare.push(thread);
}

/** Where a daemon has its mount workers from. */
export interface MountThreads {
  /** A mount worker without a mount: a spare one, or a new one. */
  readonly take: () => MountThread;
  /** Keeps such a worker for the next mount that is made. */
  readonly keep: (thread: MountThread) => void;
}

/** Those of this program. The daemon is given them, and does not import them: it is compiled with copies of its own of what it imports. */
export const mountThreads: MountThreads = {
  take: () => spare.shift() ?? new MountThread(startMountWorker()),
  keep: (thread) => void spare.push(thread),
};
