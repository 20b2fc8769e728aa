/**
 * What is known of an inode that the kernel knows.
 *
 * @module
 */
import { STATX_BASIC_STATS, STATX_BTIME } from "../ffi/sys/constants.ts";
import { cstr } from "../ffi/sys/libc.ts";
import type { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import type { Backing } from "./passthrough.ts";

/** FUSE's key of an inode: what the kernel names in requests. */
export type NodeId = number & { readonly __nodeid: unique symbol };

/** The root's nodeid, FUSE_ROOT_ID. */
export const ROOT = 1 as NodeId;

/** The empty path, for calls on the descriptor itself. */
export const EMPTY_PATH: Uint8Array = cstr("");

/** What is asked of statx(2) for attributes. */
export const ATTRIBUTE_MASK: number = STATX_BASIC_STATS | STATX_BTIME;

/** An inode number: a bigint only when it takes one. */
export type InodeNumber = number | bigint;

/** What tells an inode of the backing from all others: its number, or "major:minor:ino" off the backing's own device. */
export type Inode = InodeNumber | string;

/** Whether an inode was found, and is on the backing itself and not on what may be mounted on it. */
export function isOfBacking(inode: Inode | undefined): inode is InodeNumber {
  return inode !== undefined && typeof inode !== "string";
}

/** The inode number of what statx(2) told. */
export function inodeNumber(attributes: StatxBuffer): InodeNumber {
  const rounded = attributes.inoNumber;
  return rounded <= Number.MAX_SAFE_INTEGER ? rounded : attributes.ino;
}

/** An open file of a node: its descriptor in the current epoch, or -1. */
export interface OpenNode {
  /** Not O_PATH. */
  readonly fd: number;
  /** Set when the kernel passes it through. */
  readonly backing: Backing | undefined;
}

/** One inode that the kernel knows. */
export interface Node {
  /** The kernel's key. */
  readonly nodeid: NodeId;
  /** The directory it was last found in; itself for the root. */
  parent: Node;
  /** Its name there, NUL-terminated. */
  name: Uint8Array;
  /** How often the kernel was told of it less how often it forgot it. */
  nlookup: number;
  /** O_PATH descriptor in the current epoch, or -1. */
  fd: number;
  /** Identity in the backing; undefined before it was found. */
  inode: Inode | undefined;
  /** The file type bits (S_IFMT) when last seen. */
  type: number;
  /** Its name is gone: only `fd` reaches it. */
  pinned: boolean;
  /** How many open handles, children and operations under way keep it although the kernel may have forgotten it. */
  users: number;
  /** Those of its users that have it open: its last resort when others have taken its name away. */
  handles: Set<OpenNode> | undefined;
  /** Registered for passing through, in the current epoch. */
  backing: Backing | undefined;
  /** Pages of it may be in the kernel's cache: it was read or written through us. */
  cached: boolean;
}

/** A descriptor of the node that somebody has open; undefined when there is none. */
export function openDescriptor(node: Node): number | undefined {
  if (node.handles === undefined) return undefined;
  for (const { fd } of node.handles) if (fd >= 0) return fd;
  return undefined;
}
