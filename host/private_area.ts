/**
 * A private area: a small tmpfs below the runtime directory, in which mounts can be made and kept for a moment without anyone else
 * seeing them come and go: the directory is 0700, and no mount in it propagates to another mount namespace.
 *
 * Synchronous; runs on a namespace worker. Its mount carries the owner tag, so that one left behind by a dead daemon is found.
 *
 * @module
 */

import { Errno } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  MNT_DETACH,
  MS_NODEV,
  MS_NOSUID,
  MS_PRIVATE,
  UMOUNT_NOFOLLOW,
} from "../ffi/sys/constants.ts";
import { mkdirat, unlinkat } from "../ffi/sys/dir.ts";
import { gettid } from "../ffi/sys/identity.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { mount, umount2 } from "../ffi/sys/mount.ts";

/** What private areas are called in the runtime directory: this, the thread that made it, and a number. */
export const AREA_PREFIX = "area-";

let made = 0;

/** A private area. Disposing of it takes it and every mount in it away, lazily where they are in use. */
export interface PrivateArea extends Disposable {
  /** Its root directory. */
  readonly path: string;
  /** A directory in it, for a mount. */
  readonly target: string;
}

/**
 * Makes a private area.
 *
 * @param runtimeDirectory a directory of mode 0700
 * @param ownerTag the source of its mount
 * @throws {SysError} of mkdir(2) or mount(2); nothing is left then
 */
export function openArea(runtimeDirectory: string, ownerTag: string): PrivateArea {
  const path = `${runtimeDirectory}/${AREA_PREFIX}${gettid()}-${made++}`;
  const target = `${path}/mount`;
  const area = { path, target, [Symbol.dispose]: () => closeArea(path) };
  check(mkdirat(AT_FDCWD, cstr(path), 0o700), "mkdir", path);
  try {
    const flags = BigInt(MS_NOSUID | MS_NODEV);
    check(mount(cstr(ownerTag), cstr(path), cstr("tmpfs"), flags, cstr("size=64k,mode=0700")), "mount", path);
    // A mount below a shared one is born shared.
    check(mount(null, cstr(path), null, BigInt(MS_PRIVATE), null), "mount", path);
    check(mkdirat(AT_FDCWD, cstr(target), 0o700), "mkdir", target);
  } catch (error) {
    closeArea(path);
    throw error;
  }
  return area;
}

/**
 * Takes an area away by its path, whatever is left of it.
 *
 * @throws {SysError} of umount2(2) or rmdir(2)
 */
export function closeArea(path: string): void {
  const unmounted = umount2(cstr(path), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (unmounted !== -Errno.EINVAL && unmounted !== -Errno.ENOENT) check(unmounted, "umount2", path);
  const removed = unlinkat(AT_FDCWD, cstr(path), AT_REMOVEDIR);
  if (removed !== -Errno.ENOENT) check(removed, "rmdir", path);
}
