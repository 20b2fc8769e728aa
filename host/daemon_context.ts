/**
 * What the parts of the daemon's main thread share.
 *
 * @module
 */

import type { Emit } from "../control/events.ts";
import type { Log } from "./log.ts";
import type { RunJob } from "./namespace_jobs.ts";
import type { AreaPlace } from "./namespace_messages.ts";
import type { MountThread } from "./mount_thread.ts";
import type { RunSwap } from "./swap_messages.ts";

/** What the parts of the daemon's main thread share. */
export interface DaemonContext {
  /** The source of its mounts. */
  readonly ownerTag: string;
  /** The log. */
  readonly log: Log;
  /** Runs a job on a namespace worker. */
  readonly run: RunJob;
  /** Moves processes from one mount to another, by the tracer process. */
  readonly runSwap: RunSwap;
  /** A mount worker without a mount. */
  readonly takeMountThread: () => MountThread;
  /** Keeps such a worker for the next mount that is made. */
  readonly keepMountThread: (thread: MountThread) => void;
  /** Tells clients of an event. */
  readonly emit: Emit;
  /**
   * Where private areas may be made; makes the directory when it is first asked.
   *
   * @throws {ControlError} kind `system` when that cannot be
   */
  areas(): AreaPlace;
}
