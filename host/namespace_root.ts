/**
 * Replacing the mount that is the root of a mount namespace, as a container has it. The kernel refuses MOVE_MOUNT_BENEATH there. But
 * pivot_root(2) makes a mount that lies in front of the root the root, in one step for all tasks that have the old one, capable of chroot(2) or
 * not; what is mounted on the old root is moved before.
 *
 * All of it is synchronous and acts on the namespace that the thread is in.
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import {
  MNT_DETACH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { moveMount, umount2 } from "../ffi/sys/mount.ts";
import type { MountinfoEntry } from "../ffi/sys/mountinfo.ts";
import { fchdir, pivotRoot } from "../ffi/sys/root.ts";
import { mountIdOf } from "./detached_mount.ts";

const HERE = cstr(".");

/** What is mounted on the root, and where it is mounted on what takes the root's place. */
interface Carried {
  readonly id: number;
  readonly path: Uint8Array;
  readonly fd: Fd;
  readonly target: Fd;
}

/** The root of a mount namespace that is going to be replaced. */
export class NamespaceRoot implements Disposable {
  readonly #id: number;
  readonly #carried: readonly Carried[];
  readonly #owned: DisposableStack;

  private constructor(id: number, carried: readonly Carried[], owned: DisposableStack) {
    this.#id = id;
    this.#carried = carried;
    this.#owned = owned;
  }

  /**
   * Opens what is mounted on the root, which asks its file system and that of `copy`. Changes nothing.
   *
   * @param root a descriptor of the root
   * @param id the id of its mount
   * @param copy what is to take its place, attached nowhere
   * @param mounts those of the namespace
   * @throws {SysError} ENOENT when `copy` lacks a directory or file to mount on; EBUSY when mounts lie on each other
   */
  static prepare(root: number, id: number, copy: number, mounts: readonly MountinfoEntry[]): NamespaceRoot {
    using owned = new DisposableStack();
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const carried: Carried[] = [];
    for (const { id: child, mountpoint } of childrenOf(id, mounts)) {
      const path = mountpoint.subarray(1);
      const open = (from: number) =>
        owned.use(Fd.own(check(openat(from, cstr(path), flags), "openat", mountpoint)));
      // First: FUSE finds out that a directory is not there any more by being looked at, and the kernel then takes off what is mounted on it.
      const target = open(copy);
      const fd = open(root);
      if (mountIdOf(fd.raw) !== BigInt(child)) {
        throw new SysError("openat", Errno.EBUSY, { path: pathText(mountpoint) });
      }
      carried.push({ id: child, path, fd, target });
    }
    return new NamespaceRoot(id, carried, owned.move());
  }

  /**
   * Makes `copy` the root, with all that is mounted on the old one, which is taken off. The tasks of the namespace should stand still: for a
   * moment nothing is mounted on their root.
   *
   * @param mounts those of the namespace, now
   * @throws {SysError} when it cannot be; everything is as it was then
   */
  replace(root: number, copy: number, mounts: readonly MountinfoEntry[]): void {
    const known = new Set(this.#carried.map(({ id }) => id));
    const added = childrenOf(this.#id, mounts).find(({ id }) => !known.has(id));
    if (added !== undefined) {
      throw new SysError("move_mount", Errno.EBUSY, { path: pathText(added.mountpoint) });
    }
    const empty = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // In front of the root, where no path leads: those that begin there go on below.
    check(moveMount(copy, cstr(""), root, cstr(""), empty), "move_mount", "/");
    const moved: Carried[] = [];
    try {
      check(fchdir(copy), "fchdir", "/");
      for (const one of this.#carried) {
        check(moveMount(one.fd.raw, cstr(""), one.target.raw, cstr(""), empty), "move_mount", one.path);
        moved.push(one);
      }
      check(pivotRoot(HERE, HERE), "pivot_root", "/");
    } catch (error) {
      for (const { fd, path } of moved.reverse()) {
        moveMount(fd.raw, cstr(""), root, cstr(path), MOVE_MOUNT_F_EMPTY_PATH);
      }
      umount2(HERE, MNT_DETACH);
      throw error;
    }
    // The old root lies in front of the new one now.
    check(umount2(HERE, MNT_DETACH), "umount2", "/");
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}

function childrenOf(id: number, mounts: readonly MountinfoEntry[]): MountinfoEntry[] {
  return mounts.filter((mount) => mount.parent === id && mount.id !== id);
}
