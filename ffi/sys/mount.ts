/**
 * Mounting: the mount API of Linux 5.2 (fsopen, fsconfig, fsmount, move_mount, open_tree; mount_setattr of 5.12) and mount(2). One
 * function for each system call; see its man page for the errors. All act on the mount namespace of the calling thread and block as the
 * call does: `fsconfigCreate` and `mount` wait for a server for as long as the file system does. Each returns 0 or more, or a negated
 * error number; ENOSYS where the kernel does not have the call.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { NR } from "./arch.ts";
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_CREATE_EXCL,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
} from "./constants.ts";
import { read } from "./file.ts";
import { type CString, errno, symbol } from "./libc.ts";

const libc = {
  fsopen: symbol("syscall", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
  fspick: symbol("syscall", { parameters: ["i32", "i32", "buffer", "u32"], result: "i32" }),
  fsconfig: symbol("syscall", {
    parameters: ["i32", "i32", "u32", "buffer", "buffer", "i32"],
    result: "i32",
  }),
  fsmount: symbol("syscall", { parameters: ["i32", "i32", "u32", "u32"], result: "i32" }),
  openTree: symbol("syscall", { parameters: ["i32", "i32", "buffer", "u32"], result: "i32" }),
  moveMount: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "i32", "buffer", "u32"],
    result: "i32",
  }),
  mountSetattr: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "u32", "buffer", "usize"],
    result: "i32",
  }),
  mount: symbol("mount", { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" }),
  umount2: symbol("umount2", { parameters: ["buffer", "i32"], result: "i32" }),
};

type Bytes = Uint8Array<ArrayBuffer>;

/** fsopen(2). Returns a descriptor of a configuration for a new superblock. ENODEV when the kernel does not know the type. */
export function fsopen(type: CString, flags: number): number {
  const r = libc.fsopen.call(NR.fsopen, type as Bytes, flags);
  return r < 0 ? -errno[0] : r;
}

/** fspick(2). Returns a descriptor of a configuration for the superblock at a path. */
export function fspick(dirfd: number, path: CString, flags: number): number {
  const r = libc.fspick.call(NR.fspick, dirfd, path as Bytes, flags);
  return r < 0 ? -errno[0] : r;
}

function fsconfig(
  fd: number,
  command: number,
  key: CString | null,
  value: CString | null,
  aux: number,
): number {
  const r = libc.fsconfig.call(NR.fsconfig, fd, command, key as Bytes | null, value as Bytes | null, aux);
  return r < 0 ? -errno[0] : r;
}

/** fsconfig(2): sets an option that has a value; `source` is one. At most 255 bytes. What was wrong is in `readFsLog`. */
export function fsconfigString(fd: number, key: CString, value: CString): number {
  return fsconfig(fd, FSCONFIG_SET_STRING, key, value, 0);
}

/** fsconfig(2): sets an option that has no value. */
export function fsconfigFlag(fd: number, key: CString): number {
  return fsconfig(fd, FSCONFIG_SET_FLAG, key, null, 0);
}

/** fsconfig(2): sets an option whose value is a descriptor. Few options take one (`fd` of FUSE takes a string as well). */
export function fsconfigFd(fd: number, key: CString, value: number): number {
  return fsconfig(fd, FSCONFIG_SET_FD, key, null, value);
}

/** fsconfig(2): creates the superblock, or takes one that fits the options. Blocks as mount(2) does. */
export function fsconfigCreate(fd: number): number {
  return fsconfig(fd, FSCONFIG_CMD_CREATE, null, null, 0);
}

/** fsconfig(2): creates a superblock, EBUSY rather than to share one; EOPNOTSUPP or EINVAL before Linux 6.6. */
export function fsconfigCreateExclusive(fd: number): number {
  return fsconfig(fd, FSCONFIG_CMD_CREATE_EXCL, null, null, 0);
}

/** fsconfig(2): applies the options to a superblock that was picked or just mounted. */
export function fsconfigReconfigure(fd: number): number {
  return fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, null, null, 0);
}

/** fsmount(2). Returns a descriptor of a detached mount; closing it before it is attached unmounts it. `attributes` are MOUNT_ATTR_*. */
export function fsmount(fd: number, flags: number, attributes: number): number {
  const r = libc.fsmount.call(NR.fsmount, fd, flags, attributes);
  return r < 0 ? -errno[0] : r;
}

/**
 * The messages that the kernel has for a configuration, oldest first, and takes them off it. Each starts with its level: "e " error,
 * "w " warning, "i " information. The kernel keeps eight.
 */
export function readFsLog(fsfd: number): string[] {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(8192);
  const messages: string[] = [];
  for (;;) {
    const length = read(fsfd, buffer);
    if (length === -Errno.EMSGSIZE) continue; // too long a message: the kernel drops it
    if (length <= 0) return messages; // ENODATA: there is no more
    messages.push(decoder.decode(buffer.subarray(0, length)).trimEnd());
  }
}

/**
 * open_tree(2). Returns an O_PATH descriptor of what a path or, with AT_EMPTY_PATH, a descriptor is of, for half of what opening it by /proc
 * takes; with OPEN_TREE_CLONE of a detached copy of the mount (AT_RECURSIVE: with those below).
 */
export function openTree(dirfd: number, path: CString, flags: number): number {
  const r = libc.openTree.call(NR.open_tree, dirfd, path as Bytes, flags);
  return r < 0 ? -errno[0] : r;
}

/**
 * move_mount(2): attaches a detached mount or moves an attached one. `flags` are MOVE_MOUNT_*: F_EMPTY_PATH with an empty source path for
 * a descriptor of fsmount or open_tree. EINVAL for MOVE_MOUNT_BENEATH before Linux 6.5.
 */
export function moveMount(fromFd: number, from: CString, toFd: number, to: CString, flags: number): number {
  const r = libc.moveMount.call(NR.move_mount, fromFd, from as Bytes, toFd, to as Bytes, flags);
  return r < 0 ? -errno[0] : r;
}

/** What mount_setattr(2) is to change: its `struct mount_attr`. */
export interface MountAttr {
  /** MOUNT_ATTR_* to set. */
  readonly set?: number;
  /** MOUNT_ATTR_* to clear, before the others are set. */
  readonly clear?: number;
  /** MS_PRIVATE, MS_SHARED, MS_SLAVE or MS_UNBINDABLE; 0 leaves it. */
  readonly propagation?: number;
  /** With MOUNT_ATTR_IDMAP: the user namespace's descriptor. */
  readonly usernsFd?: number;
}

/** mount_setattr(2), Linux 5.12. `flags` are AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT. */
export function mountSetattr(dirfd: number, path: CString, flags: number, attr: MountAttr): number {
  const fields = [attr.set, attr.clear, attr.propagation, attr.usernsFd];
  const bytes = new BigUint64Array(fields.map((field) => BigInt(field ?? 0)));
  const r = libc.mountSetattr.call(NR.mount_setattr, dirfd, path as Bytes, flags, bytes, 32n);
  return r < 0 ? -errno[0] : r;
}

/**
 * mount(2). `flags` are MS_*.
 *
 * @param source null where the file system or the flags need none.
 * @param data the file system's own options, comma separated, less than a page.
 */
export function mount(
  source: CString | null,
  target: CString,
  type: CString | null,
  flags: bigint,
  data: CString | null,
): number {
  const r = libc.mount.call(
    source as Bytes | null,
    target as Bytes,
    type as Bytes | null,
    flags,
    data as Bytes | null,
  );
  return r < 0 ? -errno[0] : r;
}

/** umount2(2). `flags` are MNT_* and UMOUNT_NOFOLLOW. EBUSY while it is in use, EINVAL when nothing is mounted there. */
export function umount2(target: CString, flags: number): number {
  const r = libc.umount2.call(target as Bytes, flags);
  return r < 0 ? -errno[0] : r;
}
