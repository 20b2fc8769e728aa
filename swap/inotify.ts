/**
 * inotify instances: a new one that watches the files' counterparts under the same watch descriptors.
 *
 * A watch is on an inode. It pins neither file name nor mount, but it does not follow a file to another file system.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  IN_ALL_EVENTS,
  IN_CLOEXEC,
  IN_EXCL_UNLINK,
  IN_MASK_CREATE,
  IN_NONBLOCK,
  IN_ONESHOT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  STATX_MNT_ID,
} from "../ffi/sys/constants.ts";
import { readlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { closeFd, fstat, openat, pipe2, procFdPath, StatxBuffer } from "../ffi/sys/file.ts";
import { openByHandleAt } from "../ffi/sys/handles.ts";
import { inotifyAddWatch, inotifyInit1, inotifySetNextWatch } from "../ffi/sys/inotify.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { type MountinfoEntry, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { bytesQueued } from "../ffi/sys/pipe.ts";
import type { InotifyWatch } from "./procfs/fdinfo.ts";

/** How many bytes of events wait to be read. They belong to the old inodes and are lost with the old instance. @throws {SysError} */
export function pendingBytes(fd: number): number {
  return check(bytesQueued(fd), "ioctl FIONREAD");
}

/**
 * What inotify_add_watch(2) is to be given to get a watch with that mask in fdinfo.
 *
 * Of the flags only IN_EXCL_UNLINK and IN_ONESHOT outlive the call; fdinfo shows them since Linux 5.19, and before that a new watch comes
 * without them. A one-shot watch that is still there has not fired. IN_MASK_CREATE is added, so that two watches whose files have become
 * one are an error and not one watch; it also counts as asking for something where the mask is empty, which IN_ONLYDIR alone makes it.
 */
export function maskToAdd(mask: number): number {
  return (mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT) | IN_MASK_CREATE) >>> 0;
}

/**
 * Adds watches to an instance that has none, each with its own number. None has an event waiting afterwards.
 *
 * @param open gives an O_PATH descriptor of the file to watch, which is closed here, or a negated error number.
 * @throws {SysError} with the watch's number: of `open`; EEXIST when two files are the same one; ENOSPC for too many watches of the user
 * who made the instance; EACCES without the right to read the file; ENOTTY when the kernel cannot number watches.
 */
export function addWatches(
  instance: number,
  watches: readonly InotifyWatch[],
  open: (watch: InotifyWatch) => number,
): void {
  // Ascending, so that the next one that the process adds gets a higher number than any, as it would on the old instance.
  for (const watch of [...watches].sort((a, b) => a.wd - b.wd)) {
    const path = `watch ${watch.wd}`;
    check(inotifySetNextWatch(instance, watch.wd), "ioctl INOTIFY_IOC_SETNEXTWD", path);
    using file = Fd.own(check(open(watch), "open", path));
    const wd = check(
      inotifyAddWatch(instance, procFdPath(file.raw), maskToAdd(watch.mask)),
      "inotify_add_watch",
      path,
    );
    if (wd !== watch.wd) throw new SysError("inotify_add_watch", Errno.EEXIST, { path });
  }
}

/**
 * A new instance with the same watches.
 *
 * It counts among the instances of this process's user, of which there may be 128 (/proc/sys/fs/inotify/max_user_instances). One that was
 * made in the owner by inotify_init1(2) and taken here by pidfd_getfd(2) counts as before; `addWatches` does the rest then.
 *
 * @param open see `addWatches`.
 * @param flags the old instance's status flags, of which O_NONBLOCK counts.
 * @throws {SysError} EMFILE, and as `addWatches` does. Nothing is left open then.
 */
export function rebuildInotify(
  watches: readonly InotifyWatch[],
  open: (watch: InotifyWatch) => number,
  flags: number,
): Fd {
  const instance = Fd.own(check(inotifyInit1(flags & IN_NONBLOCK | IN_CLOEXEC), "inotify_init1"));
  try {
    addWatches(instance.raw, watches, open);
  } catch (error) {
    instance.close();
    throw error;
  }
  return instance;
}

/**
 * Makes the next watch of the new instance get the number that it would have got on the old one, so that none is used again of those that
 * were removed. Leaves events on the old one: only for when nobody reads it any more.
 *
 * @throws {SysError} EMFILE, ENOSPC and the like.
 */
export function carryNextWatch(old: number, next: number): void {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  using unwatched = Fd.own(ends[0]!);
  using _writer = Fd.own(ends[1]!);
  const wd = check(inotifyAddWatch(old, procFdPath(unwatched.raw), IN_ALL_EVENTS), "inotify_add_watch");
  check(inotifySetNextWatch(next, wd), "ioctl INOTIFY_IOC_SETNEXTWD");
}

const nameBuffer = new Uint8Array(new ArrayBuffer(8192));

/**
 * A name of the file that a handle is of, as readlink(2) of /proc/self/fd shows it: below the mount's place in this process's mount
 * namespace, with ` (deleted)` at the end when it has lost that name. Of several names it is one that is in use. Asks nothing of the file
 * system as long as the inode is in memory, as that of a watch is.
 *
 * @param mountFd any file of the mount, not O_PATH.
 * @param handle see `InotifyWatch`.
 * @returns the path, or a negated error number: ESTALE when there is no such file, EINVAL when there is no handle.
 */
export function pathOfHandle(mountFd: number, handleType: number, handle: Uint8Array): Uint8Array | number {
  const fd = openHandle(mountFd, handleType, handle);
  if (fd < 0) return fd;
  const length = readlinkat(AT_FDCWD, procFdPath(fd), nameBuffer);
  closeFd(fd);
  return length < 0 ? length : nameBuffer.slice(0, length);
}

function openHandle(mountFd: number, type: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return -Errno.EINVAL;
  return openByHandleAt(mountFd, { type, bytes }, O_PATH | O_CLOEXEC);
}

/**
 * Opens watched files that stay where they are, each by a mount of its device in the calling thread's mount namespace.
 *
 * The root of such a mount is opened for reading once, which somebody who watches that directory sees. It waits if the file system's
 * server does.
 */
export class WatchedFiles implements Disposable {
  readonly #roots = new Map<string, Fd | number>();
  #mounts: MountinfoEntry[] | undefined;

  /**
   * An O_PATH descriptor of the file, the caller's; or a negated error number: ENODEV when its file system is not mounted here, EINVAL when
   * it has no handles, ESTALE when the file is gone.
   */
  open(watch: InotifyWatch): number {
    const root = this.#root(watch.major, watch.minor);
    return typeof root === "number" ? root : openHandle(root.raw, watch.handleType, watch.handle);
  }

  /** Closes the roots. */
  [Symbol.dispose](): void {
    for (const root of this.#roots.values()) if (typeof root !== "number") root.close();
    this.#roots.clear();
  }

  #root(major: number, minor: number): Fd | number {
    const device = `${major}:${minor}`;
    let root = this.#roots.get(device);
    if (root === undefined) this.#roots.set(device, root = this.#openRoot(major, minor));
    return root;
  }

  #openRoot(major: number, minor: number): Fd | number {
    this.#mounts ??= readMountinfo();
    const out = new StatxBuffer();
    for (const mount of this.#mounts) {
      if (mount.major !== major || mount.minor !== minor) continue;
      // Something else may be mounted on top, or the path may lie outside of the root.
      using place = owned(openat(AT_FDCWD, cstr(mount.mountpoint), O_PATH | O_CLOEXEC));
      if (place === undefined || fstat(place.raw, STATX_MNT_ID, out, AT_STATX_DONT_SYNC) < 0) continue;
      if (Number(out.mntId) !== mount.id) continue;
      const root = openat(place.raw, cstr("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (root >= 0) return Fd.own(root);
    }
    return -Errno.ENODEV;
  }
}

function owned(raw: number): Fd | undefined {
  return raw < 0 ? undefined : Fd.own(raw);
}
