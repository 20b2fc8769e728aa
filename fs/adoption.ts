/**
 * Moving a mount from the placeholder to the real file system: every open handle is opened again there, and what exists only in the
 * placeholder, files that are open but have no name, is carried over. All of it or nothing: until every step has succeeded, the
 * placeholder stays what requests would be served from.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import type { Fd } from "../ffi/sys/fd.ts";
import { closeFd, statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_EMPTY_PATH, S_IFLNK, S_IFMT, STATX_BASIC_STATS } from "../ffi/sys/constants.ts";
import { directly, useUmask } from "./calls.ts";
import { type Caller, type Identity, ROOT_IDENTITY } from "./caller.ts";
import { carry } from "./carry.ts";
import type { Context } from "./context.ts";
import { directoryStream, type Handle } from "./handles.ts";
import { isRemap, toldRemap, unlinkedRemaps, unlinkRemap } from "./link_remaps.ts";
import { EMPTY_PATH, isOfBacking, type Node } from "./node.ts";
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

/**
 * Turns the context to the real file system. Blocks as the real file system does. Requires that no request is being served.
 *
 * A node that has lost its name in the placeholder is the real file at the path that its attribute tells, or that it was made to stand for
 * (`origins`); else it was made by somebody in restore mode and is copied to an unnamed file of the real file system.
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
  useUmask(0);
  using undo = new DisposableStack();
  undo.use(root);
  const unnamed = new Map<Node, number>();
  const told: Uint8Array[] = [];
  undo.defer(() => unnamed.forEach((fd) => closeFd(fd)));
  const open = new Set([...handles.all()].map((handle) => handle.node));
  for (const node of nodes.all()) {
    if (!node.pinned || node.fd < 0 || node === nodes.root) continue;
    try {
      const remap = toldRemap(node.fd);
      if (remap !== undefined) told.push(remap);
      const fd = findUnnamed(context, node, root.raw, remap ?? originOf(node, origins));
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
  const unlinked = [...unlinkedRemaps(nodes.root.fd, origins), ...told.filter(isRemap)];
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
  return stream === undefined || stream.offset === 0n
    ? undefined
    : new ResumedListing(directly(entriesOf(fd)));
}

function originOf({ inode }: Node, origins: Origins): Uint8Array | undefined {
  return isOfBacking(inode) ? origins.get(inode) : undefined;
}

/**
 * An O_PATH descriptor of what a node without a name is on the real file system, or -errno when it is nothing there.
 *
 * @param origin the path of what it stands for; undefined when it was made by somebody in restore mode
 */
function findUnnamed(context: Context, node: Node, root: number, origin: Uint8Array | undefined): number {
  const { caller, nodes } = context;
  const identities = [ROOT_IDENTITY, ...ownerOf(node)];
  if (origin !== undefined) return checkType(locate(caller, splitPath(origin), root, identities), node);
  if (node.type === S_IFLNK) return -Errno.ENOENT;
  const directory = locate(caller, namesOf(node.parent, nodes.root), root, identities);
  try {
    return carry(caller, node, directory >= 0 ? [directory, root] : [root]);
  } finally {
    if (directory >= 0 && directory !== root) closeFd(directory);
  }
}

/** Whom a pinned node belongs to. */
function ownerOf(node: Node): Identity[] {
  const attributes = new StatxBuffer();
  const found = statx(node.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes);
  return found < 0 ? [] : [{ uid: attributes.uid, gid: attributes.gid }];
}

/** An O_PATH descriptor of where names lead below `root`, for the first of `identities` that is let there; or -errno. */
function locate(
  caller: Caller,
  names: readonly Uint8Array[],
  root: number,
  identities: readonly Identity[],
): number {
  let fd = -Errno.EACCES;
  for (const identity of identities) {
    caller.becomeIdentity(identity);
    fd = walk(names, root);
    if (fd !== -Errno.EACCES && fd !== -Errno.EPERM) break;
  }
  caller.self();
  return fd;
}

/** Opens a handle's file below the new root, never leaving it. Returns a descriptor or -errno. */
function openAgain(
  context: Context,
  handle: Handle,
  root: number,
  unnamed: ReadonlyMap<Node, number>,
): number {
  const { nodes, handles, caller } = context;
  const { node } = handle;
  const known = node === nodes.root ? root : unnamed.get(node);
  if (known !== undefined) return handles.openAgain(handle, known);
  if (node.pinned) return -Errno.ENOENT;
  // A server may refuse root: whoever opened it, or owned it, is let there if anybody is.
  const owner = new StatxBuffer();
  const ownerIfKnown = directly(nodes.attributes(node, owner)) >= 0
    ? [{ uid: owner.uid, gid: owner.gid }]
    : [];
  const identities = [ROOT_IDENTITY, handle.opener, ...ownerIfKnown];
  const path = checkType(locate(caller, namesOf(node, nodes.root), root, identities), node);
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

/** The names that lead to a node from the root, NUL-terminated. */
function namesOf(node: Node, root: Node): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let at = node; at !== root; at = at.parent) names.unshift(at.name);
  return names;
}
