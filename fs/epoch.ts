/**
 * Which inode of the current backing each node is. With every change of the backing an epoch begins in which none of that is known yet: a
 * node is then found again by its name.
 *
 * @module
 */
import type { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { S_IFMT } from "../ffi/sys/constants.ts";
import { type Inode, inodeNumber, type Node } from "./node.ts";

/** The nodes of the current epoch by their inodes. Pure. */
export class Epoch {
  readonly #byInode = new Map<Inode, Node>();
  readonly #unfound = new Map<string, Node>(); // by parent and name: known in an earlier epoch, not found in this one yet
  #major = -1;
  #minor = -1;

  /** Begins an epoch. @param root the attributes of the backing's root @param nodes all that the kernel knows */
  begin(root: StatxBuffer, nodes: Iterable<Node>): void {
    this.#byInode.clear();
    this.#unfound.clear();
    for (const node of nodes) {
      node.inode = undefined;
      if (!node.pinned) this.#unfound.set(nameKey(node.parent, node.name), node);
    }
    this.#major = root.devMajor;
    this.#minor = root.devMinor;
  }

  /** The node of an inode, if it was found. */
  get(attributes: StatxBuffer): Node | undefined {
    return this.#byInode.get(this.#inodeOf(attributes));
  }

  /** A node is this inode. */
  set(node: Node, attributes: StatxBuffer): void {
    node.inode = this.#inodeOf(attributes);
    this.#byInode.set(node.inode, node);
  }

  /** The kernel has forgotten a node. */
  delete(node: Node): void {
    if (node.inode !== undefined && this.#byInode.get(node.inode) === node) this.#byInode.delete(node.inode);
    if (this.#unfound.size === 0) return;
    const key = nameKey(node.parent, node.name);
    if (this.#unfound.get(key) === node) this.#unfound.delete(key);
  }

  /** Whether an inode is this node's. The first one found under the name in this epoch is, when its type is the same. */
  recognise(node: Node, attributes: StatxBuffer): boolean {
    const inode = this.#inodeOf(attributes);
    if (node.inode !== undefined) return node.inode === inode;
    if ((attributes.mode & S_IFMT) !== node.type) return false;
    node.inode = inode;
    if (!this.#byInode.has(inode)) this.#byInode.set(inode, node);
    return true;
  }

  /** The node that had this name in the last epoch, when it has not been found since and is of this type. */
  takeNamed(parent: Node, name: Uint8Array, attributes: StatxBuffer): Node | undefined {
    if (this.#unfound.size === 0) return undefined;
    const key = nameKey(parent, name);
    const node = this.#unfound.get(key);
    if (node === undefined) return undefined;
    this.#unfound.delete(key);
    const same = node.inode === undefined && !node.pinned && hasName(node, parent, name);
    return same && node.type === (attributes.mode & S_IFMT) ? node : undefined;
  }

  #inodeOf(attributes: StatxBuffer): Inode {
    if (attributes.devMajor === this.#major && attributes.devMinor === this.#minor) {
      return inodeNumber(attributes);
    }
    return `${attributes.devMajor}:${attributes.devMinor}:${attributes.ino}`;
  }
}

/** Whether a node was last found under this name. */
export function hasName(node: Node, parent: Node, name: Uint8Array): boolean {
  if (node.parent !== parent || node.name.length !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (node.name[i] !== name[i]) return false;
  return true;
}

function nameKey(parent: Node, name: Uint8Array): string {
  return `${parent.nodeid}/${String.fromCharCode(...name)}`;
}
