/**
 * The node table: which inode of the backing each nodeid stands for, and by which name it is found again when the backing changes.
 *
 * A node is known by its (parent, name). An O_PATH descriptor is opened when an operation needs one and kept up to a budget; a node
 * whose name is gone (unlinked, or its last known name was) is *pinned*: its descriptor is all that is left of it and stays until the
 * kernel forgets it. Invariants: a node's descriptor belongs to the current epoch or is -1; the epoch knows only nodes of the current
 * epoch; the root is never forgotten.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { Slabs } from "../ffi/slabs.ts";
import { closeFd, statx } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { call, type Steps } from "./calls.ts";
import type { Caller } from "./caller.ts";
import { Epoch, hasName } from "./epoch.ts";
import type { Holds } from "./holds.ts";
import {
  ATTRIBUTE_MASK,
  EMPTY_PATH,
  type Node,
  type NodeId,
  openDescriptor,
  type OpenNode,
  ROOT,
} from "./node.ts";
import type { Passthrough } from "./passthrough.ts";

/** The nodes of one mount. Single-threaded; its calls block as the backing does. */
export class NodeTable {
  readonly #byId = new Map<number, Node>();
  readonly #epoch = new Epoch();
  readonly #open = new Set<Node>(); // unpinned nodes with a descriptor, longest unused first
  readonly #budget: number;
  readonly #caller: Caller;
  readonly #passthrough: Passthrough;
  readonly #holds: Holds;
  readonly #scratch = new StatxBuffer();
  #last: Node | undefined; // that was used
  #next = 2;
  readonly #names = new Slabs();

  /** The root's node. */
  readonly root: Node;

  /** `budget` is how many O_PATH descriptors are kept beside pinned ones. Nodes are reached as `caller` is, or else as root. */
  constructor(budget: number, caller: Caller, passthrough: Passthrough, holds: Holds) {
    this.#holds = holds;
    this.#budget = budget;
    this.#caller = caller;
    this.#passthrough = passthrough;
    const root = {
      nodeid: ROOT,
      name: EMPTY_PATH,
      nlookup: 1,
      fd: -1,
      inode: undefined,
      type: S_IFDIR,
      pinned: true,
      users: 0,
      handles: undefined,
      backing: undefined,
      cached: false,
    } as unknown as Node;
    root.parent = root;
    this.root = root;
    this.#byId.set(ROOT, root);
  }

  /** How many nodes there are, the root included. */
  get size(): number {
    return this.#byId.size;
  }

  /** All nodes. */
  all(): IterableIterator<Node> {
    return this.#byId.values();
  }

  /** The node of a nodeid, or undefined: the kernel named one that it has forgotten. */
  get(nodeid: number): Node | undefined {
    return this.#byId.get(nodeid);
  }

  /**
   * Turns to another backing: every descriptor but the carried ones is closed, identities are unlearnt, and nodes are found again by
   * name when they are needed.
   *
   * @param root an O_PATH descriptor of the new backing's root; owned by the table.
   * @param carried new descriptors of pinned nodes; a pinned node without one has nothing behind it any more.
   */
  rebase(root: number, carried: ReadonlyMap<Node, number>): void {
    for (const node of this.#byId.values()) {
      if (node.fd >= 0) closeFd(node.fd);
      node.fd = carried.get(node) ?? -1;
    }
    this.#open.clear();
    this.root.fd = root;
    statx(root, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, this.#scratch);
    this.#epoch.begin(this.#scratch, this.#byId.values());
    this.#identify(this.root);
    for (const node of this.#byId.values()) if (node !== this.root) this.#identify(node);
  }

  /** Closes every descriptor. */
  close(): void {
    for (const node of this.#byId.values()) {
      if (node.fd >= 0) closeFd(node.fd);
      node.fd = -1;
    }
    this.#open.clear();
  }

  /**
   * A descriptor of the node, O_PATH or of one of its open files, or -errno: ENOENT or ESTALE when it is not there any more. It outlives
   * one later call for another node, not more, unless the node is pinned.
   */
  *fd(node: Node): Steps<number> {
    const opened = this.opened(node);
    if (opened >= 0) return opened;
    const fd = node.pinned ? -Errno.ESTALE : yield* this.#openNode(node);
    return fd < 0 ? this.#holds.descriptor(openDescriptor(node) ?? fd) : fd;
  }

  /** The O_PATH descriptor that the node has, as {@linkcode NodeTable.fd} gives it; -1 when it has none. */
  opened(node: Node): number {
    if (node.fd >= 0 && node !== this.#last) {
      if (this.#open.delete(node)) this.#open.add(node); // used last, evicted last
      this.#last = node;
    }
    return this.#holds.descriptor(node.fd);
  }

  /** Keeps a node for the operation at hand, although the kernel may forget it. */
  keep(node: Node): void {
    if (this.#holds.current === undefined) return;
    this.#holds.current.nodes.push(node);
    node.users++;
  }

  /** Ends {@linkcode NodeTable.keep}, once. */
  letGo(node: Node): void {
    node.users--;
    this.#drop(node);
  }

  *#openNode(node: Node): Steps<number> {
    const parent = yield* this.fd(node.parent);
    if (parent < 0) return parent;
    const fd = yield* this.#openPath(parent, node.name);
    if (fd < 0) return fd;
    const found = yield call("statx", fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, this.#scratch);
    if (found < 0 || !this.#epoch.recognise(node, this.#scratch)) {
      closeFd(fd);
      return found < 0 ? found : -Errno.ESTALE;
    }
    if (node.fd >= 0) { // by another operation, meanwhile
      closeFd(fd);
      return this.opened(node);
    }
    this.give(node, this.#holds.descriptor(fd));
    return fd;
  }

  /** Attributes of a node into `out`. Returns 0 or -errno; ESTALE when its name leads elsewhere now, and nobody has it open. */
  *attributes(node: Node, out: StatxBuffer): Steps<number> {
    const fd = this.opened(node);
    if (fd >= 0) return yield call("statx", fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, out);
    const found = node.pinned ? -Errno.ESTALE : yield* this.#inspectNode(node, out);
    const open = found < 0 ? openDescriptor(node) : undefined;
    return open === undefined
      ? found
      : yield call("statx", this.#holds.descriptor(open), EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, out);
  }

  *#inspectNode(node: Node, out: StatxBuffer): Steps<number> {
    let parent = this.opened(node.parent);
    if (parent < 0) parent = yield* this.fd(node.parent);
    if (parent < 0) return parent;
    const found = yield* this.#inspect(parent, node.name, ATTRIBUTE_MASK, out);
    if (found < 0) return found;
    return this.#epoch.recognise(node, out) ? 0 : -Errno.ESTALE;
  }

  /**
   * The node that `name` in `parent` leads to, with its attributes in `out`; one more lookup of the kernel is counted. A hard link
   * gives the node that is known already.
   *
   * @param name NUL-terminated; kept only as a copy.
   * @returns the node, or -errno.
   */
  *lookup(parent: Node, name: Uint8Array, out: StatxBuffer): Steps<Node | number> {
    let directory = this.opened(parent);
    if (directory < 0) directory = yield* this.fd(parent);
    if (directory < 0) return directory;
    const found = yield call("statx", directory, name, AT_SYMLINK_NOFOLLOW, ATTRIBUTE_MASK, out);
    if (found < 0) return found;
    return this.learn(parent, name, out);
  }

  /** The same for an inode whose attributes are known already, from readdirplus or after creating it. */
  learn(parent: Node, name: Uint8Array, attributes: StatxBuffer): Node {
    const known = this.#epoch.get(attributes);
    let node = known;
    // Another type under a known number: the old inode is gone, and its number was given away again.
    if (node !== undefined && node.type !== (attributes.mode & S_IFMT)) node = undefined;
    node ??= this.#epoch.takeNamed(parent, name, attributes);
    if (node === undefined) node = this.#add(parent, name, attributes);
    else this.#rename(node, parent, name);
    if (node !== known) this.#epoch.set(node, attributes);
    node.nlookup++;
    return node;
  }

  /** The node of a new inode that has no name (O_TMPFILE), reached by an O_PATH descriptor, which the table takes over. */
  adopt(parent: Node, fd: number, attributes: StatxBuffer): Node {
    const node = this.#add(parent, EMPTY_PATH, attributes);
    this.#epoch.set(node, attributes);
    node.fd = fd;
    node.pinned = true;
    node.nlookup++;
    return node;
  }

  /** The node behind an inode's attributes, when the kernel knows it. */
  known(attributes: StatxBuffer): Node | undefined {
    return this.#epoch.get(attributes);
  }

  /** Those of some paths below a directory, the empty one being itself, that the kernel knows. */
  knownOf(directory: number, paths: readonly Uint8Array[]): Node[] {
    const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
    const found = paths.map((path) =>
      statx(directory, cstr(path), flags, STATX_BASIC_STATS, this.#scratch) < 0
        ? undefined
        : this.known(this.#scratch)
    );
    return found.filter((node) => node !== undefined);
  }

  /** The node that `name` in `parent` leads to, when the kernel knows it: before the name is taken away. */
  *knownAt(parent: Node, name: Uint8Array): Steps<Node | undefined> {
    const directory = yield* this.fd(parent);
    if (directory < 0) return undefined;
    const found = yield* this.#inspect(directory, name, STATX_BASIC_STATS, this.#scratch);
    return found < 0 ? undefined : this.known(this.#scratch);
  }

  /** Pins a node whose name is about to go, so that it stays reachable. */
  *pin(node: Node): Steps<void> {
    this.keep(node);
    if (node.pinned || (yield* this.fd(node)) < 0) return;
    node.pinned = true;
    this.#open.delete(node);
  }

  /** A node has this name now, or has it still after all: it is found by it again. */
  renamed(node: Node, parent: Node, name: Uint8Array): void {
    this.#rename(node, parent, name);
  }

  /** The kernel forgot a node `count` times. */
  forget(nodeid: number, count: number): void {
    const node = this.#byId.get(nodeid);
    if (node === undefined || node === this.root) return;
    node.nlookup -= count;
    this.#drop(node);
  }

  /** Keeps a node for a handle although the kernel may forget it. */
  use(node: Node, handle: OpenNode): void {
    node.users++;
    (node.handles ??= new Set()).add(handle);
  }

  /** Ends {@linkcode NodeTable.use}. */
  unuse(node: Node, handle: OpenNode): void {
    node.handles!.delete(handle);
    node.users--;
    this.#drop(node);
  }

  /** The path of a node as bytes, for messages; relative to the root, "/" for the root itself. */
  path(node: Node): Uint8Array {
    const parts: number[][] = [];
    for (let at = node; at !== this.root; at = at.parent) parts.unshift([0x2f, ...at.name.subarray(0, -1)]);
    return parts.length === 0 ? new Uint8Array([0x2f]) : Uint8Array.from(parts.flat());
  }

  #add(parent: Node, name: Uint8Array, attributes: StatxBuffer): Node {
    const node: Node = {
      nodeid: this.#next++ as NodeId,
      parent,
      name: this.#names.keep(name),
      nlookup: 0,
      fd: -1,
      inode: undefined,
      type: attributes.mode & S_IFMT,
      pinned: false,
      users: 0,
      handles: undefined,
      backing: undefined,
      cached: false,
    };
    parent.users++;
    this.#byId.set(node.nodeid, node);
    return node;
  }

  #drop(node: Node): void {
    if (node.nlookup > 0 || node.users > 0 || node === this.root || !this.#byId.has(node.nodeid)) return;
    this.#byId.delete(node.nodeid);
    this.#passthrough.forget(node);
    this.#epoch.delete(node);
    this.#open.delete(node);
    if (node.fd >= 0) this.#close(node);
    node.parent.users--;
    this.#drop(node.parent);
  }

  #rename(node: Node, parent: Node, name: Uint8Array): void {
    if (node === this.root) return;
    if (node.parent !== parent) {
      const before = node.parent;
      parent.users++;
      node.parent = parent;
      before.users--;
      this.#drop(before);
    }
    if (!hasName(node, parent, name)) node.name = this.#names.keep(name);
    if (!node.pinned) return;
    node.pinned = false;
    if (node.fd >= 0) this.give(node, node.fd);
  }

  /** Attributes of a name, as {@linkcode NodeTable.#openPath} reaches it. */
  *#inspect(directory: number, name: Uint8Array, mask: number, out: StatxBuffer): Steps<number> {
    const found = yield call("statx", directory, name, AT_SYMLINK_NOFOLLOW, mask, out);
    if (found !== -Errno.EACCES) return found;
    this.#caller.self();
    return yield call("statx", directory, name, AT_SYMLINK_NOFOLLOW, mask, out);
  }

  /**
   * Opens a name of a node that the kernel knows. Who asks may lack the right to go there by name: it has the node open, or as its working
   * directory, or got it from another process. Root goes second, because a server may refuse root and let the caller through.
   */
  *#openPath(fd: number, name: Uint8Array): Steps<number> {
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    let opened = yield call("openat", fd, name, flags, 0);
    if (opened === -Errno.EACCES) {
      this.#caller.self();
      opened = yield call("openat", fd, name, flags, 0);
    }
    if (opened !== -Errno.EMFILE) return opened;
    // All but the two used last: the directory, and what the operation at hand took before it.
    for (const node of this.#open) {
      if (this.#open.size <= 2) break;
      this.#evict(node);
    }
    return yield call("openat", fd, name, flags, 0);
  }

  /** Gives a node that has none an O_PATH descriptor, which it keeps as long as the budget allows; nothing if opening it failed. */
  give(node: Node, fd: number): void {
    if (fd < 0) return;
    node.fd = fd;
    if (node.pinned) return;
    this.#open.add(node);
    this.#last = node;
    if (this.#open.size > this.#budget) this.#evict(this.#open.values().next().value!);
  }

  #evict(node: Node): void {
    this.#open.delete(node);
    this.#close(node);
  }

  /** Closing an O_PATH descriptor asks no server. */
  #close(node: Node): void {
    if (this.#holds.mayClose(node.fd)) closeFd(node.fd);
    node.fd = -1;
  }

  /** Learns the identity of a node that has a descriptor, so that a name which leads to it, and no other, gives this node. */
  #identify(node: Node): void {
    const fd = node.fd >= 0 ? node.fd : openDescriptor(node);
    if (fd === undefined) return;
    if (statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, this.#scratch) < 0) return;
    this.#epoch.set(node, this.#scratch);
  }
}
