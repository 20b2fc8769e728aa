/**
 * Taking FUSE mounts away whose server is gone or does not answer.
 *
 * Synchronous; runs on a namespace worker (a mountpoint may lie inside another mount that does not answer).
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import { AT_FDCWD, MNT_DETACH, O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat, procFdPath } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { umount2 } from "../ffi/sys/mount.ts";
import { type MountinfoEntry, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { mountIdOf } from "./detached_mount.ts";
import { FuseConnection } from "./fuse_connection.ts";

/** What became of a mount that was to be taken away. */
export interface Unmounted {
  /** Where it was. */
  readonly mountpoint: Uint8Array;
  /** What its source said: an owner tag. */
  readonly source: string;
  /** Why it is still there; absent when it is not. */
  readonly error?: string;
}

/**
 * Aborts the connection of a mount that mountinfo told of, and no other: device numbers are given away again as soon as a superblock is
 * gone, so the mount is held while its connection is named. False when it is not there any more, or cannot be reached by its path.
 *
 * @throws {SysError} as {@linkcode FuseConnection.open}
 */
export function abortConnectionOf(entry: MountinfoEntry): boolean {
  const opened = openat(AT_FDCWD, cstr(entry.mountpoint), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (opened < 0) return false;
  using held = Fd.own(opened);
  if (mountIdOf(held.raw) !== BigInt(entry.id)) return false;
  using connection = FuseConnection.open(entry.minor);
  return connection?.abort() ?? false;
}

/**
 * Takes every mount of a superblock of ours away, after aborting its connection.
 *
 * @param major the major device number
 * @param minor the minor device number
 * @param source the owner tag: what else has these numbers by now is left alone
 */
export function forceUnmount(major: number, minor: number, source: string): Unmounted[] {
  const isOurs = (entry: MountinfoEntry) =>
    entry.major === major && entry.minor === minor && entry.fstype === "fuse.spfs" &&
    pathText(entry.source) === source;
  readMountinfo().filter(isOurs).some(abortConnectionOf);
  return unmountAll(isOurs);
}

/** Takes all mounts away that a predicate accepts, the last mounted first, lazily where they are in use. */
export function unmountAll(accept: (entry: MountinfoEntry) => boolean): Unmounted[] {
  return readMountinfo().filter(accept).reverse().map((entry) => {
    const told = { mountpoint: entry.mountpoint, source: pathText(entry.source) };
    try {
      unmountEntry(entry);
      return told;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return { ...told, error: error.message };
    }
  });
}

/** Takes one mount away, and never another one that lies on it. */
function unmountEntry(entry: MountinfoEntry): void {
  const opened = openat(AT_FDCWD, cstr(entry.mountpoint), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  using top = Fd.own(check(opened, "openat", entry.mountpoint));
  if (mountIdOf(top.raw) === BigInt(entry.id)) {
    check(umount2(procFdPath(top.raw), MNT_DETACH), "umount2", entry.mountpoint);
  } else if (readMountinfo().some(({ id }) => id === entry.id)) {
    throw new SysError("umount2", Errno.EBUSY, { path: pathText(entry.mountpoint) });
  }
}
