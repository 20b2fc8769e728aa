/**
 * Mounting a file system without attaching it anywhere: by fsopen(2), or as a copy of a directory that can be seen already.
 *
 * Everything here is synchronous and blocks as the kernel does: minutes, when a server does not answer. It runs on a namespace worker.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { Errno, errnoName, errnoText, SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_STATX_DONT_SYNC,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFDIR,
  S_IFMT,
  STATX_MNT_ID,
  STATX_TYPE,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { fstat, StatxBuffer } from "../ffi/sys/file.ts";
import { check, cstr, type CString, pathText } from "../ffi/sys/libc.ts";
import {
  fsconfigCreate,
  fsconfigFlag,
  fsconfigString,
  fsmount,
  fsopen,
  mountSetattr,
  openTree,
  readFsLog,
} from "../ffi/sys/mount.ts";
import type { FsParameter } from "./mount_options.ts";

/** What to mount. */
export interface FileSystemSpec {
  /** The file system's type as the kernel knows it, or "bind" for a directory, "rbind" for one with the mounts below it. */
  readonly type: string;
  /** The source in the type's own terms; for the bind types an absolute path. */
  readonly source: Uint8Array;
  /** MOUNT_ATTR_* bits. */
  readonly attributes: number;
  /** What the file system is told; the bind types take none. */
  readonly parameters: readonly FsParameter[];
}

/**
 * Mounts a file system, attached nowhere. Closing the descriptor unmounts it again.
 *
 * @throws {ControlError} kind `system` with errno, syscall, and the kernel's own messages as detail
 */
export function mountDetached(spec: FileSystemSpec): Fd {
  return spec.type === "bind" || spec.type === "rbind" ? copyOfDirectory(spec) : newMount(spec);
}

function newMount(spec: FileSystemSpec): Fd {
  const opened = fsopen(cstr(spec.type), FSOPEN_CLOEXEC);
  if (opened === -Errno.ENODEV) {
    const message = `the kernel has no file system of type ${spec.type}`;
    throw new ControlError("system", message, { errno: "ENODEV", syscall: "fsopen" });
  }
  using context = Fd.own(check(opened, "fsopen", spec.type));
  const told: [string, string | Uint8Array | undefined][] = [["source", spec.source]];
  for (const [key, value] of spec.parameters) told.push([key, value]);
  for (const [key, value] of told) {
    const result = value === undefined
      ? fsconfigFlag(context.raw, cstr(key))
      : fsconfigString(context.raw, cstr(key), cstr(value));
    if (result < 0) throw contextError(context.raw, "fsconfig", -result, `${spec.type}: option ${key}`);
  }
  const created = fsconfigCreate(context.raw);
  if (created < 0) throw contextError(context.raw, "fsconfig", -created, `cannot mount ${spec.type}`);
  const mounted = fsmount(context.raw, FSMOUNT_CLOEXEC, spec.attributes);
  if (mounted < 0) throw contextError(context.raw, "fsmount", -mounted, `cannot mount ${spec.type}`);
  return Fd.own(mounted);
}

/** An error with what the kernel wrote into the context's log; the first complaint belongs into the sentence. */
function contextError(context: number, syscall: string, errno: number, what: string): ControlError {
  const messages = readFsLog(context);
  const complaint = messages.find((line) => line.startsWith("e "))?.slice(2) ?? errnoText(errno);
  const name = errnoName(errno);
  return new ControlError("system", `${what}: ${name} (${complaint})`, {
    errno: name,
    syscall,
    ...(messages.length > 0 && { detail: messages.join("\n") }),
  });
}

function copyOfDirectory(spec: FileSystemSpec): Fd {
  const unknown = spec.parameters.find(([key]) => key !== "ro" && key !== "rw");
  if (unknown !== undefined) {
    const message = `a bind mount has no option ${unknown[0]}`;
    throw new ControlError("system", message, { errno: "EINVAL", syscall: "mount_setattr" });
  }
  const depth = spec.type === "rbind" ? AT_RECURSIVE : 0;
  const copy = copyMount(cstr(spec.source), depth);
  try {
    if (spec.attributes !== 0) {
      const atime = spec.attributes & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME);
      const attributes = { set: spec.attributes, clear: atime === 0 ? 0 : MOUNT_ATTR__ATIME };
      check(
        mountSetattr(copy.raw, cstr(""), AT_EMPTY_PATH | depth, attributes),
        "mount_setattr",
        spec.source,
      );
    }
    return copy;
  } catch (error) {
    copy.close();
    throw error;
  }
}

/**
 * Takes a copy of what a mount helper mounted on a directory of a private area.
 *
 * @throws {ControlError} kind `system`, errno EIO: nothing is mounted there
 * @throws {SysError} of open_tree(2)
 */
export function copyFromArea(area: string, target: string): Fd {
  if (mountIdAt(area) === mountIdAt(target)) {
    const message =
      "the mount helper reported success, but mounted nothing (does it mount in the background?)";
    throw new ControlError("system", message, { errno: "EIO" });
  }
  return copyMount(cstr(target), AT_RECURSIVE);
}

function mountIdAt(path: string): bigint {
  using root = Fd.own(check(openTree(AT_FDCWD, cstr(path), OPEN_TREE_CLOEXEC), "open_tree", path));
  return mountIdOf(root.raw);
}

function copyMount(path: CString, depth: number): Fd {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth;
  const copy = Fd.own(check(openTree(AT_FDCWD, path, flags), "open_tree", path));
  try {
    const stat = new StatxBuffer();
    check(fstat(copy.raw, STATX_TYPE, stat, AT_STATX_DONT_SYNC), "statx", path);
    if ((stat.mode & S_IFMT) !== S_IFDIR) {
      throw new SysError("open_tree", Errno.ENOTDIR, { path: pathText(path) });
    }
    // The copy shares nothing with its original: mounts that come and go there are no business of who sees the copy. Before Linux
    // 5.12 there is no call that could say so for a detached mount; it then stays in its original's peer group.
    const result = mountSetattr(copy.raw, cstr(""), AT_EMPTY_PATH | depth, { propagation: MS_PRIVATE });
    if (result !== -Errno.ENOSYS) check(result, "mount_setattr", path);
    return copy;
  } catch (error) {
    copy.close();
    throw error;
  }
}

/** The id of the mount that a descriptor is on (statx STATX_MNT_ID). Asks the kernel alone, never the file system. */
export function mountIdOf(fd: number): bigint {
  const stat = new StatxBuffer();
  check(fstat(fd, STATX_MNT_ID, stat, AT_STATX_DONT_SYNC), "statx");
  return stat.mntId;
}
