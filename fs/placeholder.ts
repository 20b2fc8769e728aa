/**
 * The placeholder: a private tmpfs that is mounted nowhere and holds what restore must find. It gives full POSIX semantics for what CRIU
 * does on top (ghosts, links, FIFOs, sockets) and sparse files of the exact size.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { linkat, makedev, mkdirat, mknodat, readlinkat, symlinkat, unlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { fchmodat, fchownat, ftruncate, openat, pread, pwrite, statx, utimensat } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { fsconfigCreate, fsconfigString, fsmount, fsopen } from "../ffi/sys/mount.ts";
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  STATX_BASIC_STATS,
  UTIME_NOW,
} from "../ffi/sys/constants.ts";
import { getxattr, setxattr } from "../ffi/sys/xattr.ts";
import { type InodeNumber, inodeNumber } from "./node.ts";

/** What the root directory looks like. */
export interface RootDirectory {
  /** Permission bits of the root. */
  readonly mode: number;
  /** Owner of the root. */
  readonly uid: number;
  /** Group of the root. */
  readonly gid: number;
}

/** The same, and how much fits in. */
export interface PlaceholderOptions extends RootDirectory {
  /** Most bytes of data, a whole number of pages; half of the memory by default. */
  readonly size?: bigint;
}

/** A moment, as utimensat(2) takes it. */
export interface Moment {
  /** Seconds since 1970. */
  readonly sec: bigint;
  /** Nanoseconds below one second. */
  readonly nsec: number;
}

interface Owned {
  readonly path: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  readonly mtime?: Moment | undefined;
  readonly xattrs?: Readonly<Record<string, Uint8Array>> | undefined;
}

/** A node to be made; paths are relative to the root, without leading or trailing slash, `.` or `..`. */
export type PlaceholderEntry =
  | Owned & {
    readonly type: "file";
    readonly mode: number;
    readonly size?: bigint | undefined;
    readonly data?: Uint8Array | undefined;
  }
  | Owned & { readonly type: "directory" | "fifo" | "socket"; readonly mode: number }
  | Owned & { readonly type: "symlink"; readonly target: Uint8Array }
  | Owned & {
    readonly type: "char" | "block";
    readonly mode: number;
    readonly rdev: { readonly major: number; readonly minor: number };
  }
  | { readonly type: "link"; readonly path: Uint8Array; readonly target: Uint8Array };

/** Which node of the placeholder stands for which path of the real file system: paths by inode number of the placeholder. */
export type Origins = Map<InodeNumber, Uint8Array>;

/** What populating did. */
export interface Populated {
  /** Nodes that this call made, missing parents not counted. */
  readonly created: number;
  /** Nodes that were there already and are as asked. */
  readonly existing: number;
}

/** An entry could not be made; what the call had made before is gone again. */
export class PopulateError extends Error {
  /** `index` is the entry's place in the call; `conflict` tells a node that is there and differs from a failed system call. */
  constructor(
    message: string,
    readonly index: number,
    readonly path: Uint8Array,
    readonly conflict: boolean,
    override readonly cause?: SysError,
  ) {
    super(message);
    this.name = "PopulateError";
  }
}

const TYPES = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  char: S_IFCHR,
  block: S_IFBLK,
} as const;

/** Makes an empty placeholder. Returns an O_PATH descriptor of its root, the only reference to it. @throws {SysError} EPERM, ENOMEM. */
export function createPlaceholder(options: PlaceholderOptions): Fd {
  using context = Fd.own(check(fsopen(cstr("tmpfs"), FSOPEN_CLOEXEC), "fsopen", "tmpfs"));
  const settings = {
    source: "spfs",
    mode: options.mode.toString(8),
    uid: String(options.uid),
    gid: String(options.gid),
  };
  for (const [key, value] of Object.entries(settings)) {
    check(fsconfigString(context.raw, cstr(key), cstr(value)), "fsconfig", key);
  }
  if (options.size !== undefined) {
    check(fsconfigString(context.raw, cstr("size"), cstr(String(options.size))), "fsconfig", "size");
  }
  check(fsconfigCreate(context.raw), "fsconfig", "tmpfs");
  return Fd.own(check(fsmount(context.raw, FSMOUNT_CLOEXEC, 0), "fsmount", "tmpfs"));
}

/** Changes what the root directory of a placeholder looks like. Runs as root. @throws {SysError} */
export function setRoot(placeholder: Fd, { mode, uid, gid }: RootDirectory): void {
  const here = cstr(".");
  check(fchownat(placeholder.raw, here, uid, gid, 0), "fchownat");
  check(fchmodat(placeholder.raw, here, mode), "fchmodat"); // after the owner, whose change takes bits away
}

/**
 * Makes nodes below `root`, all of them or none. A node that is there already and is as asked counts as existing. Blocks as memory
 * allocation does; runs as root with umask 0.
 *
 * @param parents whether missing parent directories are made, 0755 and owned by root.
 * @param origins is told of files and directories that were made.
 * @throws {PopulateError} naming the first entry that could not be made: ENOSPC (the placeholder is full), ENOENT, ENOTDIR, ...
 */
export function populate(
  root: number,
  entries: readonly PlaceholderEntry[],
  parents: boolean,
  origins: Origins,
): Populated {
  const made: { path: Uint8Array; directory: boolean }[] = [];
  let created = 0;
  for (const [index, entry] of entries.entries()) {
    try {
      prepareParents(root, entry.path, parents, made);
      if (entry.type === "link") prepareParents(root, entry.target, false, made);
      if (make(root, entry, made)) created++;
    } catch (error) {
      for (const { path, directory } of made.reverse()) {
        unlinkat(root, cstr(path), directory ? AT_REMOVEDIR : 0);
      }
      if (error instanceof SysError) {
        throw new PopulateError(`entry ${index}: ${error.message}`, index, entry.path, false, error);
      }
      if (error instanceof Difference) {
        const what = `entry ${index}: ${pathText(entry.path)} exists with another ${error.message}`;
        throw new PopulateError(what, index, entry.path, true);
      }
      throw error;
    }
  }
  for (const { path } of made) remember(root, path, origins);
  return { created, existing: entries.length - created };
}

/** What entries change besides what they make: the directories that they are in, and files that get another name. Paths, each once. */
export function changedBy(entries: readonly PlaceholderEntry[]): Uint8Array[] {
  const paths = new Map<string, Uint8Array>();
  const add = (path: Uint8Array) => paths.set(path.join(), path);
  for (const entry of entries) {
    if (entry.type === "link") add(entry.target);
    const { path } = entry;
    for (let end = path.lastIndexOf(0x2f); end > 0; end = path.lastIndexOf(0x2f, end - 1)) {
      add(path.subarray(0, end));
    }
  }
  return [new Uint8Array(0), ...paths.values()];
}

/** A node keeps the first path that it was made by, whatever becomes of its names later. */
function remember(root: number, path: Uint8Array, origins: Origins): void {
  const attributes = new StatxBuffer();
  check(statx(root, cstr(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, attributes), "statx", path);
  const type = attributes.mode & S_IFMT;
  if ((type === S_IFREG || type === S_IFDIR) && !origins.has(inodeNumber(attributes))) {
    origins.set(inodeNumber(attributes), path);
  }
}

/** What is there differs from what was asked; the message says in what. */
class Difference extends Error {}

/**
 * Makes sure that what leads to `path` are directories, and makes those that are missing where that is asked. A symbolic link, which may
 * have been made through the mount by anybody, leads out of the placeholder and is refused with ENOTDIR.
 */
function prepareParents(
  root: number,
  path: Uint8Array,
  parents: boolean,
  made: { path: Uint8Array; directory: boolean }[],
): void {
  const there = new StatxBuffer();
  for (let at = path.indexOf(0x2f); at > 0; at = path.indexOf(0x2f, at + 1)) {
    const parent = path.subarray(0, at);
    const name = cstr(parent);
    const result = parents ? mkdirat(root, name, 0o755) : -Errno.EEXIST;
    if (result >= 0) {
      made.push({ path: parent, directory: true });
      continue;
    }
    if (result !== -Errno.EEXIST) check(result, "mkdirat", parent);
    check(statx(root, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, there), "statx", parent);
    if ((there.mode & S_IFMT) !== S_IFDIR) {
      throw new SysError("openat", Errno.ENOTDIR, { path: pathText(parent) });
    }
  }
}

/** Makes one node; false when an identical one is there. Registers it in `made` before anything else can fail. */
function make(
  root: number,
  entry: PlaceholderEntry,
  made: { path: Uint8Array; directory: boolean }[],
): boolean {
  const path = cstr(entry.path);
  const result = makeNode(root, entry, path);
  if (result === -Errno.EEXIST) {
    compare(root, entry, path);
    return false;
  }
  check(result, "mknodat", entry.path);
  made.push({ path: entry.path, directory: entry.type === "directory" });
  if (entry.type === "link") return true;
  if (entry.type === "file") fillFile(root, entry, path);
  if (entry.xattrs !== undefined) setXattrs(root, entry, path, entry.xattrs);
  if (entry.uid !== 0 || entry.gid !== 0) {
    check(fchownat(root, path, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW), "fchownat", entry.path);
  }
  // After chown, which clears set-id bits.
  if (entry.type !== "symlink") check(fchmodat(root, path, entry.mode), "fchmodat", entry.path);
  if (entry.mtime !== undefined) {
    check(utimensat(root, path, timesOf(entry.mtime), AT_SYMLINK_NOFOLLOW), "utimensat", entry.path);
  }
  return true;
}

function makeNode(root: number, entry: PlaceholderEntry, path: Uint8Array): number {
  switch (entry.type) {
    case "directory":
      return mkdirat(root, path, 0o700);
    case "symlink":
      return symlinkat(cstr(entry.target), root, path);
    case "link":
      return linkat(root, cstr(entry.target), root, path, 0);
    case "char":
    case "block":
      return mknodat(root, path, TYPES[entry.type] | 0o600, makedev(entry.rdev.major, entry.rdev.minor));
    default:
      return mknodat(root, path, TYPES[entry.type] | 0o600, 0n);
  }
}

function fillFile(root: number, entry: PlaceholderEntry & { type: "file" }, path: Uint8Array): void {
  if (entry.data === undefined && entry.size === undefined) return;
  using file = Fd.own(check(openat(root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0), "openat", entry.path));
  const data = entry.data ?? new Uint8Array(0);
  for (let at = 0; at < data.length;) {
    at += check(pwrite(file.raw, data.subarray(at), data.length - at, BigInt(at)), "pwrite", entry.path);
  }
  check(ftruncate(file.raw, entry.size ?? BigInt(data.length)), "ftruncate", entry.path);
}

function setXattrs(
  root: number,
  entry: PlaceholderEntry,
  path: Uint8Array,
  xattrs: Readonly<Record<string, Uint8Array>>,
): void {
  using node = Fd.own(check(openat(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0), "openat", entry.path));
  const self = cstr(`/proc/self/fd/${node.raw}`);
  for (const [name, value] of Object.entries(xattrs)) {
    check(setxattr(self, cstr(name), value, 0), `setxattr ${name}`, entry.path);
  }
}

/** Throws a Difference unless the node at `path` is as `entry` asks. */
function compare(root: number, entry: PlaceholderEntry, path: Uint8Array): void {
  const there = new StatxBuffer();
  check(statx(root, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, there), "statx", entry.path);
  if (entry.type === "link") {
    const target = new StatxBuffer();
    check(
      statx(root, cstr(entry.target), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, target),
      "statx",
      entry.target,
    );
    if (target.ino !== there.ino) throw new Difference("inode");
    return;
  }
  if ((there.mode & S_IFMT) !== TYPES[entry.type]) throw new Difference("type");
  if (entry.type !== "symlink" && (there.mode & 0o7777) !== entry.mode) throw new Difference("mode");
  if (there.uid !== entry.uid || there.gid !== entry.gid) throw new Difference("owner");
  if (entry.type === "symlink") {
    const target = new Uint8Array(4096);
    const length = check(readlinkat(root, path, target), "readlinkat", entry.path);
    if (!equal(target.subarray(0, length), entry.target)) throw new Difference("target");
  }
  if (entry.type === "char" || entry.type === "block") {
    const { major, minor } = entry.rdev;
    if (there.rdevMajor !== major || there.rdevMinor !== minor) throw new Difference("device");
  }
  if (entry.type === "file") compareFile(root, entry, path, there);
  const { mtime } = entry;
  if (mtime !== undefined && (there.mtimeSec !== mtime.sec || there.mtimeNsec !== mtime.nsec)) {
    throw new Difference("mtime");
  }
  if (entry.xattrs !== undefined) compareXattrs(root, path, entry.xattrs);
}

function compareFile(
  root: number,
  entry: PlaceholderEntry & { type: "file" },
  path: Uint8Array,
  there: StatxBuffer,
): void {
  const data = entry.data ?? new Uint8Array(0);
  if (there.size !== (entry.size ?? BigInt(data.length))) throw new Difference("size");
  if (data.length === 0) return;
  using file = Fd.own(check(openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0), "openat", entry.path));
  const bytes = new Uint8Array(data.length);
  const length = check(pread(file.raw, bytes, bytes.length, 0n), "pread", entry.path);
  if (!equal(bytes.subarray(0, length), data)) throw new Difference("data");
}

function compareXattrs(root: number, path: Uint8Array, xattrs: Readonly<Record<string, Uint8Array>>): void {
  using node = Fd.own(check(openat(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0), "openat", path));
  for (const [name, value] of Object.entries(xattrs)) {
    const bytes = new Uint8Array(value.length + 1);
    const length = getxattr(cstr(`/proc/self/fd/${node.raw}`), cstr(name), bytes);
    if (length < 0 || !equal(bytes.subarray(0, length), value)) throw new Difference(`xattr ${name}`);
  }
}

function timesOf(mtime: Moment): Uint8Array {
  const out = new DataView(new ArrayBuffer(32)); // struct timespec[2]
  out.setBigInt64(8, BigInt(UTIME_NOW), true);
  out.setBigInt64(16, mtime.sec, true);
  out.setBigInt64(24, BigInt(mtime.nsec), true);
  return new Uint8Array(out.buffer);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
