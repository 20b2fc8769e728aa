/**
 * Mounting a FUSE file system ourselves: by the new mount API (Linux 5.2), which can mount detached and into another mount namespace,
 * or by mount(2) where that API is missing.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { check, cstr, type CString } from "../sys/libc.ts";
import { Fd } from "../sys/fd.ts";
import { openat, statx } from "../sys/file.ts";
import { StatxBuffer } from "../sys/statx_buffer.ts";
import * as sys from "../sys/mount.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  S_IFDIR,
  STATX_MNT_ID,
} from "../sys/constants.ts";

/** How a FUSE file system is mounted. */
export interface FuseMountOptions {
  /** What the first column of /proc/self/mounts says. */
  readonly source: string;
  /** The type becomes `fuse.SUBTYPE`. */
  readonly subtype: string;
  /** Users other than the mounting one may look inside. */
  readonly allowOther?: boolean;
  /** The kernel checks permissions by mode, owner and group before it asks. */
  readonly defaultPermissions?: boolean;
  /** Device nodes work. Off by default. */
  readonly dev?: boolean;
  /** Set-user-ID bits work. Off by default. */
  readonly suid?: boolean;
  /** Files can be executed. On by default. */
  readonly exec?: boolean;
  /** Nothing can be written. */
  readonly readOnly?: boolean;
  /** The largest READ in bytes; the kernel's own limit by default. */
  readonly maxRead?: number;
}

/** Where an attached mount is to be found in /proc/self/mountinfo and below /sys/fs/fuse/connections. */
export interface MountIdentity {
  /** The id of the mount, unique while it exists (statx(2) STATX_MNT_ID, Linux 5.8). */
  readonly mountId: bigint;
  /** Major number of the superblock's device. */
  readonly major: number;
  /** Minor number of the superblock's device: the connection's name below /sys/fs/fuse/connections. */
  readonly minor: number;
}

/** A FUSE superblock whose FUSE_INIT waits to be answered. Disposed of without `attach` having succeeded, it is mounted nowhere. */
export interface PreparedFuseMount extends Disposable {
  /** `/dev/fuse`, opened O_RDWR|O_CLOEXEC|O_NONBLOCK. Release it into a `Session` before {@linkcode PreparedFuseMount.attach}. */
  readonly device: Fd;
  /**
   * Puts the mount on its mountpoint, in the mount namespace of the calling thread. When a session answers FUSE_INIT first, nobody
   * ever meets a mount that cannot answer. No-op where mount(2) has attached it already. Call it once.
   *
   * @throws {SysError} of move_mount(2): ENOENT, EINVAL (no directory), EACCES, ELOOP, EPERM (no CAP_SYS_ADMIN).
   */
  attach(): MountIdentity;
}

/** Which interface mounts: the new mount API where the kernel has it, or one of the two by force. */
export type MountApi = "auto" | "fsopen" | "mount";

/**
 * Makes a FUSE superblock for `target`. Blocks only as path resolution does.
 *
 * @param target an existing directory.
 * @throws {SysError} of fsopen/fsconfig/fsmount or mount(2): EPERM, ENODEV (no fuse in the kernel), EINVAL.
 */
export function prepareFuseMount(
  target: CString,
  options: FuseMountOptions,
  api: MountApi = "auto",
): PreparedFuseMount {
  const device = Fd.own(
    check(openat(AT_FDCWD, cstr("/dev/fuse"), O_RDWR | O_CLOEXEC | O_NONBLOCK, 0), "openat", "/dev/fuse"),
  );
  try {
    if (api !== "mount") {
      const context = sys.fsopen(cstr("fuse"), FSOPEN_CLOEXEC);
      if (context !== -Errno.ENOSYS || api === "fsopen") {
        using owned = Fd.own(check(context, "fsopen", "fuse"));
        return detached(target, device, configure(owned.raw, device.raw, options));
      }
    }
    return attached(target, device, options);
  } catch (error) {
    device.close();
    throw error;
  }
}

function fuseOptions(device: number, options: FuseMountOptions): [string, string | undefined][] {
  const list: [string, string | undefined][] = [
    ["fd", String(device)],
    ["rootmode", S_IFDIR.toString(8)],
    ["user_id", "0"],
    ["group_id", "0"],
  ];
  if (options.allowOther ?? true) list.push(["allow_other", undefined]);
  if (options.defaultPermissions ?? true) list.push(["default_permissions", undefined]);
  if (options.maxRead !== undefined) list.push(["max_read", String(options.maxRead)]);
  return list;
}

function configure(context: number, device: number, options: FuseMountOptions): Fd {
  const settings: [string, string | undefined][] = [
    ["source", options.source],
    ["subtype", options.subtype],
    ...fuseOptions(device, options),
  ];
  for (const [key, value] of settings) {
    const result = value === undefined
      ? sys.fsconfigFlag(context, cstr(key))
      : sys.fsconfigString(context, cstr(key), cstr(value));
    check(result, "fsconfig", key);
  }
  check(sys.fsconfigCreate(context), "fsconfig", "fuse");
  const attributes = (options.readOnly ? MOUNT_ATTR_RDONLY : 0) | (options.dev ? 0 : MOUNT_ATTR_NODEV) |
    (options.suid ? 0 : MOUNT_ATTR_NOSUID) | (options.exec === false ? MOUNT_ATTR_NOEXEC : 0);
  return Fd.own(check(sys.fsmount(context, FSMOUNT_CLOEXEC, attributes), "fsmount", "fuse"));
}

function detached(target: CString, device: Fd, mount: Fd): PreparedFuseMount {
  return {
    device,
    attach() {
      using _once = mount; // an open descriptor of it would keep it from being unmounted
      const flags = MOVE_MOUNT_F_EMPTY_PATH;
      const identity = identify(mount.raw, cstr("")); // first, so that nothing can fail once it is attached
      check(sys.moveMount(mount.raw, cstr(""), AT_FDCWD, target, flags), "move_mount", target);
      return identity;
    },
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      mount[Symbol.dispose]();
    },
  };
}

function attached(target: CString, device: Fd, options: FuseMountOptions): PreparedFuseMount {
  const flags = (options.readOnly ? MS_RDONLY : 0) | (options.dev ? 0 : MS_NODEV) |
    (options.suid ? 0 : MS_NOSUID) |
    (options.exec === false ? MS_NOEXEC : 0);
  const data = fuseOptions(device.raw, options).map(([key, value]) =>
    value === undefined ? key : `${key}=${value}`
  );
  const type = cstr(`fuse.${options.subtype}`);
  check(sys.mount(cstr(options.source), target, type, BigInt(flags), cstr(data.join(","))), "mount", target);
  let identity: MountIdentity;
  try {
    identity = identify(AT_FDCWD, target);
  } catch (error) {
    sys.umount2(target, MNT_DETACH);
    throw error;
  }
  let kept = false;
  return {
    device,
    attach() {
      kept = true;
      return identity;
    },
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      if (!kept) takeOff(target, identity.mountId);
    },
  };
}

/** Unmounts a mount unless another one lies on it by now. */
function takeOff(target: CString, mountId: bigint): void {
  const top = new StatxBuffer();
  const result = statx(AT_FDCWD, target, AT_STATX_DONT_SYNC, STATX_MNT_ID, top);
  if (result >= 0 && top.mntId === mountId) sys.umount2(target, MNT_DETACH);
}

/** Never asks the file system: FUSE_INIT may be unanswered, and the caller may be the one who is to answer it. */
function identify(directory: number, path: CString): MountIdentity {
  const out = new StatxBuffer();
  check(statx(directory, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, out), "statx", path);
  return { mountId: out.mntId, major: out.devMajor, minor: out.devMinor };
}
