/**
 * What is checked of a mountpoint before anything is mounted on it. Synchronous, and blocks as path resolution does: for ever, on a
 * path through a mount that does not answer. It runs on a namespace worker.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { Errno, SysError } from "../ffi/errno.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../ffi/sys/constants.ts";
import { readlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat, procFdPath } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { mountIdOf } from "./detached_mount.ts";
import { isDead, parseOwnerTag } from "./owner_tag.ts";

/**
 * Makes sure that a path is a directory on which a stub can be mounted, and tells its name without symlinks.
 *
 * @throws {SysError} ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG of open(2)
 * @throws {ControlError} kind `system`, EBUSY: a mount of spfs, living or dead, is there already; or it is the root directory
 */
export function checkMountpoint(mountpoint: Uint8Array): Uint8Array {
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  using directory = Fd.own(check(openat(AT_FDCWD, cstr(mountpoint), flags), "openat", mountpoint));
  const buffer = new Uint8Array(4096);
  const length = check(readlinkat(AT_FDCWD, procFdPath(directory.raw), buffer), "readlinkat", mountpoint);
  if (length === buffer.length) {
    throw new SysError("readlinkat", Errno.ENAMETOOLONG, { path: pathText(mountpoint) });
  }
  const path = buffer.slice(0, length);
  if (pathText(path) === "/") throw busy(path, "it is the root directory");
  const id = mountIdOf(directory.raw);
  const mount = readMountinfo().find((entry) => BigInt(entry.id) === id);
  const isHere = mount !== undefined && pathText(mount.mountpoint) === pathText(path);
  const owner = isHere && mount.fstype === "fuse.spfs" ? parseOwnerTag(pathText(mount.source)) : undefined;
  if (owner !== undefined) {
    const advice = "a mount of a dead spfs is there (`spfs check --repair` takes it away)";
    throw busy(path, isDead(owner) ? advice : `spfs (pid ${owner.pid}) has mounted it already`);
  }
  return path;
}

function busy(path: Uint8Array, why: string): ControlError {
  const name = pathText(path);
  return new ControlError("system", `cannot mount on ${name}: ${why}`, { errno: "EBUSY", path: name });
}
