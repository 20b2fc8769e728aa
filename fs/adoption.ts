/**
 * Moving a mount from the placeholder to the real file system: every open handle is opened again there, and what exists only in the
 * placeholder, files that are open but have no name, is carried over. All of it or nothing: until every step has succeeded, the
 * placeholder stays what requests would be served from.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { mkdirat, unlinkat } from "../ffi/sys/dir.ts";
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
  S_IFMT,
  S_IFREG,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import type { Context } from "./context.ts";
import { directoryStream, type Handle } from "./handles.ts";
import { EMPTY_PATH, type Node } from "./nodes.ts";

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

const CHUNK = 1 << 20;

/**
 * Turns the context to the real file system. Blocks as the real file system does. Requires that no request is being served.
 *
 * @param root O_PATH descriptor of the real root; owned by the context on success, closed on failure.
 * @returns the handles that are stale, none unless `missing` allows them.
 * @throws {AdoptionError} when a handle cannot be opened again. @throws {SysError} when an unnamed file cannot be carried over.
 */
export function adopt(context: Context, root: Fd, missing: MissingPolicy): readonly Handle[] {
  const { nodes, handles, caller } = context;
  caller.self();
  using undo = new DisposableStack();
  undo.use(root);
  const carried = new Map<Node, number>();
  undo.defer(() => carried.forEach((fd) => closeFd(fd)));
  for (const node of unnamedInUse(context)) carried.set(node, carry(node, root.raw));
  const opened = new Map<Handle, number>();
  undo.defer(() => opened.forEach((fd) => closeFd(fd)));
  const stale: Handle[] = [];
  let first: SysError | undefined;
  for (const handle of handles.all()) {
    const fd = openAgain(context, handle, root.raw, carried);
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
  for (const handle of handles.all()) {
    if (handle.fd >= 0) closeFd(handle.fd);
    handle.fd = opened.get(handle) ?? -1;
    if (handle.stream !== undefined) handle.stream = directoryStream();
  }
  nodes.rebase(root.release(), carried);
  return stale;
}

const decoder = new TextDecoder();

/** Nodes without a name that somebody still has open: only the placeholder has them. */
function unnamedInUse({ handles, nodes }: Context): Set<Node> {
  const found = new Set<Node>();
  for (const { node } of handles.all()) if (node.pinned && node !== nodes.root) found.add(node);
  return found;
}

/** Opens a handle's file below the new root by its path, never leaving it. Returns a descriptor or -errno. */
function openAgain(
  context: Context,
  handle: Handle,
  root: number,
  carried: ReadonlyMap<Node, number>,
): number {
  const { nodes, handles } = context;
  const unnamed = carried.get(handle.node);
  if (unnamed !== undefined) return handles.openAgain(handle, unnamed);
  if (handle.node === nodes.root) return handles.openAgain(handle, root);
  const path = walk(handle.node, nodes.root, root);
  if (path < 0) return path;
  const attributes = new StatxBuffer();
  const found = statx(path, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes);
  let fd: number;
  if (found < 0) fd = found;
  else if ((attributes.mode & S_IFMT) !== handle.node.type) fd = -Errno.ESTALE; // another type of file: opening it may block for ever
  else fd = handles.openAgain(handle, path);
  closeFd(path);
  return fd;
}

/** An O_PATH descriptor of the file that a node's names lead to below `fd`, following no symbolic link. */
function walk(node: Node, top: Node, fd: number): number {
  const names: Uint8Array[] = [];
  for (let at = node; at !== top; at = at.parent) {
    if (at.pinned) return -Errno.ENOENT;
    names.push(at.name);
  }
  let at = fd;
  for (const name of names.reverse()) {
    const next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (at !== fd) closeFd(at);
    if (next < 0) return next;
    at = next;
  }
  return at;
}

/** Makes an unnamed copy of an unnamed node in the real file system. Returns an O_PATH descriptor of it. */
function carry(node: Node, root: number): number {
  const attributes = new StatxBuffer();
  check(statx(node.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes), "statx", node.name);
  const type = attributes.mode & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) {
    throw new SysError("carry", Errno.EOPNOTSUPP, { path: decoder.decode(node.name) });
  }
  using copy = Fd.own(type === S_IFDIR ? unnamedDirectory(root) : unnamedFile(root));
  if (type === S_IFREG) copyData(node, copy.raw, attributes.size);
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
  const fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const gone = unlinkat(root, name, AT_REMOVEDIR);
  if (gone < 0 && fd >= 0) closeFd(fd);
  check(gone, "unlinkat", name);
  return check(fd, "openat", name);
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
