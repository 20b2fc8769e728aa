/**
 * Having the kernel let go of every page of a file, also of those that private mappings have copied. An invalidation leaves these, in locked
 * memory as well. A file that gets smaller loses them (fuse_change_attributes in fs/fuse/inode.c; truncate_pagecache in mm/truncate.c unmaps
 * `even_cows`), and it gets smaller by what we answer: truncate(2) would be refused for a program that runs, and our file has to keep its size.
 *
 * @module
 */
import { S_IFMT, S_IFREG } from "../ffi/sys/constants.ts";
import type { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import type { NodeId } from "./node.ts";

/** One process's way to zap files: it asks for a file's attributes twice. Single-threaded, on the mount's worker. */
export class Zap {
  readonly #by: number;
  readonly #told = new Set<NodeId>();

  /** `by`: the process, as requests name it. */
  constructor(by: number) {
    this.#by = by;
  }

  /**
   * Looks at attributes that are about to be told: the process that zaps is told at its first question that a regular file is empty, and how
   * large it is from then on; others are told the truth. Returns whether it changed them.
   */
  tell(pid: number, nodeid: NodeId, attributes: StatxBuffer): boolean {
    if (pid !== this.#by || this.#told.has(nodeid) || (attributes.mode & S_IFMT) !== S_IFREG) return false;
    this.#told.add(nodeid);
    attributes.size = 0n;
    return true;
  }
}
