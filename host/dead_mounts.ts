/**
 * The mounts of daemons that died without ending them: everyone who touches one gets ENOTCONN. Nothing of a daemon that lives, or that
 * cannot be looked up because it is of another PID namespace, is touched.
 *
 * @module
 */

import { pathText } from "../ffi/sys/libc.ts";
import { type MountinfoEntry, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { abortConnectionOf, unmountAll } from "./forced_unmount.ts";
import { isDead, ownPidNamespace, parseOwnerTag } from "./owner_tag.ts";

/** Something that was left, and what became of it. */
export interface Repair {
  /** A mount, or a directory or socket in the runtime directory. */
  readonly kind: "mount" | "directory" | "socket";
  /** Where it was. */
  readonly path: string;
  /** Why it is still there; absent when it is not. */
  readonly error?: string;
}

/** Whether a mount is one of spfs whose owner is dead. Reads /proc for each owner that the mounts name; does not block. */
function deadMount(pidNamespace: bigint): (entry: MountinfoEntry) => boolean {
  return (entry) => {
    if (entry.fstype !== "fuse.spfs" && entry.fstype !== "tmpfs") return false;
    const owner = parseOwnerTag(pathText(entry.source));
    return owner !== undefined && isDead(owner, pidNamespace);
  };
}

/** Whether there are dead mounts. Reads /proc; does not block. */
export function hasDeadMounts(): boolean {
  return readMountinfo().some(deadMount(ownPidNamespace()));
}

/**
 * Takes dead mounts away, after aborting their connections: threads of a dying daemon may be stuck in system calls that only that ends.
 * Synchronous, for a namespace worker: it may block where a mountpoint lies inside another mount.
 */
export function unmountDead(): Repair[] {
  const isDeadMount = deadMount(ownPidNamespace());
  for (const entry of readMountinfo().filter(isDeadMount)) {
    if (entry.fstype === "fuse.spfs") abortConnectionOf(entry);
  }
  return unmountAll(isDeadMount).map(({ mountpoint, error }) => {
    return { kind: "mount", path: pathText(mountpoint), ...(error !== undefined && { error }) };
  });
}
