/**
 * Moving a mount from the placeholder to the real file system: every open handle is opened again there, and what exists only in the
 * placeholder, files that are open but have no name, is carried over. All of it or nothing: until every step has succeeded, the
 * placeholder stays what requests would be served from.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { makedev, mkdirat, mknodat, unlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import {
  closeFd,
  fchmodFd,
  fchownat,
  ftruncate,
  lseek,
  openat,
  pread,
  pwrite,
  reopen,
  statx,
  utimensat,
} from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import type { Context } from "./context.ts";
import { directoryStream, type Handle } from "./handles.ts";
import { unlinkedRemaps, unlinkRemap } from "./link_remaps.ts";
import { EMPTY_PATH, type Node } from "./nodes.ts";
import type { Origins } from "./placeholder.ts";
import { entriesOf, ResumedListing } from "./resumed_listing.ts";
import { splitPath, walk } from "./walk.ts";

/** Handles could not be opened again in the real file system. Nothing has changed. */
export class AdoptionError extends Error {
  /** `path` names the first, relative to the mount; `count` says how many there are. */
  constructor(readonly path: Uint8Array, readonly count: number, override readonly cause: SysError) {
    super(`${cause.message}${count > 1 ? ` (and ${count - 1} more open files)` : ""}`);
    this.name = "AdoptionError";
  }
}

/** What to do about an open file that the real file system does not have, or not so that it can be opened. */
export type MissingPolicy =
  /** Refuse to go on: the requests keep waiting. */
  | "refuse"
  /** Go on; what uses the file is answered ESTALE. */
  | "stale";

/** What an adoption leaves to be told of. */
export interface Adoption {
  /** Handles whose files are not there; none unless that was allowed. */
  readonly stale: readonly Handle[];
  /** Paths of CRIU's link-remaps that could not be unlinked. */
  readonly litter: readonly Uint8Array[];
}

const CHUNK = 1 << 20;

/**
 * Turns the context to the real file system. Blocks as the real file system does. Requires that no request is being served.
 *
 * A node that has lost its name in the placeholder is, when it was made to stand for a path (`origins`), the real file at that path;
 * else it was made by somebody in restore mode and is copied to an unnamed file of the real file system.
 *
 * @param root O_PATH descriptor of the real root; owned by the context on success, closed on failure.
 * @throws {AdoptionError} when a handle cannot be opened again. @throws {SysError} when an unnamed file cannot be copied.
 */
export function adopt(
  context: Context,
  root: Fd,
  origins: Origins,
  missing: MissingPolicy,
): Adoption {
  const { nodes, handles, caller } = context;
  caller.self();
  using undo = new DisposableStack();
  undo.use(root);
  const unnamed = new Map<Node, number>();
  undo.defer(() => unnamed.forEach((fd) => closeFd(fd)));
  const open = new Set([...handles.all()].map((handle) => handle.node));
  for (const node of nodes.all()) {
    if (!node.pinned || node.fd < 0 || node === nodes.root) continue;
    try {
      const fd = findUnnamed(node, root.raw, origins);
      if (fd >= 0) unnamed.set(node, fd);
    } catch (error) {
      // What nobody has open, a working directory that was removed, say, is no reason to refuse.
      if (open.has(node) || !(error instanceof SysError)) throw error;
    }
  }
  const opened = new Map<Handle, number>();
  undo.defer(() => opened.forEach((fd) => closeFd(fd)));
  const stale: Handle[] = [];
  let first: SysError | undefined;
  for (const handle of handles.all()) {
    const fd = openAgain(context, handle, root.raw, unnamed);
    if (fd >= 0) opened.set(handle, fd);
    else {
      stale.push(handle);
      first ??= new SysError("openat", -fd, { path: decoder.decode(nodes.path(handle.node)) });
    }
  }
  if (first !== undefined && missing === "refuse") {
    throw new AdoptionError(nodes.path(stale[0]!.node), stale.length, first);
  }
  // From here on nothing fails.
  undo.move();
  const unlinked = unlinkedRemaps(nodes.root.fd, origins);
  for (const handle of handles.all()) {
    const resumed = resume(handle);
    if (handle.fd >= 0) closeFd(handle.fd);
    handle.fd = opened.get(handle) ?? -1;
    if (handle.stream !== undefined) handle.stream = { ...directoryStream(), resumed };
  }
  nodes.rebase(root.release(), unnamed);
  return { stale, litter: unlinked.filter((path) => !unlinkRemap(nodes.root.fd, path)) };
}

const decoder = new TextDecoder();

/** What is left to be listed of an open directory that has been listed in part. */
function resume({ fd, stream }: Handle): ResumedListing | undefined {
  return stream === undefined || stream.offset === 0n ? undefined : new ResumedListing(entriesOf(fd));
}

/** An O_PATH descriptor of what a node without a name is on the real file system, or -errno when it is nothing there. */
function findUnnamed(node: Node, root: number, origins: Origins): number {
  const origin = typeof node.inode === "bigint" ? origins.get(node.inode) : undefined;
  if (origin !== undefined) return checkType(walk(splitPath(origin), root), node);
  return node.type === S_IFLNK ? -Errno.ENOENT : carry(node, root);
}

/** Opens a handle's file below the new root, never leaving it. Returns a descriptor or -errno. */
function openAgain(
  context: Context,
  handle: Handle,
  root: number,
  unnamed: ReadonlyMap<Node, number>,
): number {
  const { nodes, handles } = context;
  const { node } = handle;
  const known = node === nodes.root ? root : unnamed.get(node);
  if (known !== undefined) return handles.openAgain(handle, known);
  if (node.pinned) return -Errno.ENOENT;
  const path = checkType(walk(namesOf(node, nodes.root), root), node);
  if (path < 0) return path;
  const fd = handles.openAgain(handle, path);
  closeFd(path);
  return fd;
}

/** Hands an O_PATH descriptor through if it is of the node's type; else closes it: opening another type might block for ever. */
function checkType(fd: number, node: Node): number {
  if (fd < 0) return fd;
  const attributes = new StatxBuffer();
  const found = statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes);
  if (found >= 0 && (attributes.mode & S_IFMT) === node.type) return fd;
  closeFd(fd);
  return found < 0 ? found : -Errno.ESTALE;
}

/** The names that lead to a node from the root, NUL-terminated; a pinned parent has lost its own, so the walk fails at it. */
function namesOf(node: Node, root: Node): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let at = node; at !== root; at = at.parent) names.unshift(at.name);
  return names;
}

/** Makes an unnamed copy of an unnamed node in the real file system. Returns an O_PATH descriptor of it. */
function carry(node: Node, root: number): number {
  const attributes = new StatxBuffer();
  check(statx(node.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes), "statx", node.name);
  using copy = Fd.own(unnamedNode(attributes, root));
  if (node.type === S_IFREG) copyData(node, copy.raw, attributes.size);
  check(fchownat(copy.raw, EMPTY_PATH, attributes.uid, attributes.gid, AT_EMPTY_PATH), "fchownat", node.name);
  check(fchmodFd(copy.raw, attributes.mode & 0o7777), "fchmod", node.name);
  const times = new DataView(new ArrayBuffer(32)); // struct timespec[2]
  times.setBigInt64(0, attributes.atimeSec, true);
  times.setBigInt64(8, BigInt(attributes.atimeNsec), true);
  times.setBigInt64(16, attributes.mtimeSec, true);
  times.setBigInt64(24, BigInt(attributes.mtimeNsec), true);
  check(utimensat(copy.raw, EMPTY_PATH, new Uint8Array(times.buffer), AT_EMPTY_PATH), "utimensat", node.name);
  return check(reopen(copy.raw, O_PATH | O_CLOEXEC), "open", node.name);
}

let serial = 0;

/** A name that nothing else uses: a file on a server may be seen by others until it is unlinked. */
function temporaryName(): Uint8Array {
  return cstr(`.spfs-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}-${serial++}`);
}

/** A node without a name, of the same type as another. */
function unnamedNode(like: StatxBuffer, root: number): number {
  const type = like.mode & S_IFMT;
  if (type === S_IFDIR) return unnamedDirectory(root);
  return type === S_IFREG ? unnamedFile(root) : unnamedSpecial(root, type, like);
}

/** A FIFO, socket or device: the kernel keeps what goes through it, the node has its attributes. */
function unnamedSpecial(root: number, type: number, like: StatxBuffer): number {
  const name = temporaryName();
  const device = makedev(like.rdevMajor, like.rdevMinor);
  check(mknodat(root, name, type | 0o600, device), "mknodat", name);
  return unlinked(root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

/** Opens what was just made under a name, and takes the name away. */
function unlinked(root: number, name: Uint8Array, openFlags: number, unlinkFlags: number): number {
  const fd = openat(root, name, openFlags);
  const gone = unlinkat(root, name, unlinkFlags);
  if (gone < 0 && fd >= 0) closeFd(fd);
  check(gone, "unlinkat", name);
  return check(fd, "openat", name);
}

function unnamedFile(root: number): number {
  const fd = openat(root, cstr("."), O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
  if (fd !== -Errno.EOPNOTSUPP && fd !== -Errno.EISDIR) return check(fd, "openat", "O_TMPFILE");
  // NFS among others has no O_TMPFILE: a name that is gone again at once (silly-renamed there) does the same.
  const name = temporaryName();
  const made = check(openat(root, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600), "openat", name);
  const gone = unlinkat(root, name, 0);
  if (gone < 0) closeFd(made);
  check(gone, "unlinkat", name);
  return made;
}

function unnamedDirectory(root: number): number {
  const name = temporaryName();
  check(mkdirat(root, name, 0o700), "mkdirat", name);
  return unlinked(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, AT_REMOVEDIR);
}

/** Copies data and holes. */
function copyData(node: Node, to: number, size: bigint): void {
  using from = Fd.own(check(reopen(node.fd, O_RDONLY | O_CLOEXEC), "open", node.name));
  check(ftruncate(to, size), "ftruncate", node.name);
  const buffer = new Uint8Array(CHUNK);
  for (let at = 0n; at < size;) {
    const data = lseek(from.raw, at, SEEK_DATA);
    if (data === BigInt(-Errno.ENXIO)) return; // only a hole is left
    check(data, "lseek", node.name);
    const end = check(lseek(from.raw, data, SEEK_HOLE), "lseek", node.name);
    for (at = data; at < end;) {
      const rest = end - at;
      const length = check(
        pread(from.raw, buffer, rest < CHUNK ? Number(rest) : CHUNK, at),
        "pread",
        node.name,
      );
      if (length === 0) return;
      for (let done = 0; done < length;) {
        done += check(
          pwrite(to, buffer.subarray(done, length), length - done, at + BigInt(done)),
          "pwrite",
          node.name,
        );
      }
      at += BigInt(length);
    }
  }
}
