/**
 * Whether a process tree can be dumped: CRIU cannot stop a task that waits in a stand-in, and tries for as long as its timeout is.
 *
 * @module
 */

import { pathText } from "../ffi/sys/libc.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { Candidates, withDescendants } from "../swap/candidates.ts";
import { commOf } from "../swap/task_files.ts";
import { sourceOf } from "./swap_sources.ts";

/** A process with something on a stand-in that is in place. */
export interface StandInUser {
  /** The process. */
  readonly pid: number;
  /** Its name. */
  readonly comm: string;
  /** Where the stand-in is mounted. */
  readonly mountpoint: string;
}

/**
 * The first process of a tree that uses a stand-in; undefined when none does. Asks no file system.
 *
 * @throws {SysError} ESRCH when the tree's root is not there
 */
export function standInUser(root: number): StandInUser | undefined {
  for (const pid of withDescendants([root], true)) {
    const mounts = readMountinfo(pid).filter(({ fstype }) => fstype === "fuse.spfs");
    const used = mounts.find((mount) => {
      const sources = [sourceOf(mount, -1)];
      return new Candidates({ kind: "pids", pids: [pid], tree: false }, sources, []).refers(pid);
    });
    if (used !== undefined) return { pid, comm: commOf(pid), mountpoint: pathText(used.mountpoint) };
  }
  return undefined;
}
