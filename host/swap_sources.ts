/**
 * From paths to the mounts of a swap.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { SysError } from "../ffi/errno.ts";
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { type MountinfoEntry, readMountinfo } from "../ffi/sys/mountinfo.ts";
import type { SourceMount } from "../swap/types.ts";
import { mountIdOf } from "./detached_mount.ts";

/** A mountpoint that was looked at. */
export interface Mounted {
  /** What mountinfo says of the mount on top. */
  readonly entry: MountinfoEntry;
  /** An O_PATH descriptor of its root. */
  readonly root: Fd;
}

/**
 * The mount at a path. Asks no file system but those on the way.
 *
 * @throws {ControlError} `invalid_params` when nothing is mounted exactly there, `system` when it cannot be looked at
 */
export function mountAt(path: Uint8Array): Mounted {
  try {
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const root = Fd.own(check(openat(AT_FDCWD, cstr(path), flags), "openat", path));
    try {
      const mountId = mountIdOf(root.raw);
      const entry = readMountinfo().find(({ id }) => BigInt(id) === mountId);
      if (entry === undefined || pathText(entry.mountpoint) !== pathText(trimmed(path))) {
        throw new ControlError("invalid_params", `${pathText(path)} is no mountpoint`, {
          path: pathText(path),
        });
      }
      return { entry, root };
    } catch (error) {
      root.close();
      throw error;
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const data = { errno: error.code, syscall: error.syscall, path: pathText(path) };
    throw new ControlError("system", error.message, data);
  }
}

function trimmed(path: Uint8Array): Uint8Array {
  let end = path.length;
  while (end > 1 && path[end - 1] === 0x2f) end--;
  return path.subarray(0, end);
}

/** A mount as the source of a swap whose target is another one. */
export function sourceOf({ id, major, minor, mountpoint }: MountinfoEntry, targetFd: number): SourceMount {
  return { id, major, minor, mountpoint, targetFd };
}
