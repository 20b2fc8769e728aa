/**
 * Open files and directories of the mount, each with its descriptor in the backing of the current epoch.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { FOPEN_NOFLUSH, FOPEN_PASSTHROUGH } from "../ffi/fuse/kernel.ts";
import { DirentReader } from "../ffi/sys/dir.ts";
import { reopen, statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_TMPFILE,
  O_TRUNC,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { call, type Steps } from "./calls.ts";
import type { Caller, Identity } from "./caller.ts";
import type { Holds } from "./holds.ts";
import { EMPTY_PATH, type Node } from "./node.ts";
import type { NodeTable } from "./nodes.ts";
import type { Backing, Passthrough } from "./passthrough.ts";
import type { ResumedListing } from "./resumed_listing.ts";

/** What the kernel calls an open file by: `fh` of FUSE_OPEN and FUSE_OPENDIR. */
export type FileHandle = number & { readonly __fh: unique symbol };

/** How far an open directory has been read. */
export interface DirectoryStream {
  /** Raw `struct linux_dirent64` records. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Walks them. */
  reader: DirentReader;
  /** A request is reading it. */
  reading: boolean;
  /** Whether the reader's current record has not been delivered yet. */
  pending: boolean;
  /** The offset (cookie) that the pending record follows; without one, where the descriptor stands. */
  offset: bigint;
  /** Set when it had been read in part before its backing changed, until it is rewound. */
  resumed: ResumedListing | undefined;
}

const STREAM_SIZE = 32 * 1024;

/** A stream over a directory that was just opened. */
export function directoryStream(): DirectoryStream {
  const buffer = new Uint8Array(new ArrayBuffer(STREAM_SIZE));
  return {
    buffer,
    reader: new DirentReader(buffer, 0),
    reading: false,
    pending: false,
    offset: 0n,
    resumed: undefined,
  };
}

/** One open file description of the mount. */
export interface Handle {
  /** The kernel's key. */
  readonly fh: FileHandle;
  /** What was opened. */
  readonly node: Node;
  /** Open flags for opening it again: what acts at open only once (O_CREAT, O_EXCL, O_TRUNC) is not in them. */
  flags: number;
  /** Who opened it. */
  readonly opener: Identity;
  /** Descriptor in the current backing; -1 when it could not be opened again there. */
  fd: number;
  /** For directories only. */
  stream: DirectoryStream | undefined;
  /** Set when the kernel passes it through. */
  backing: Backing | undefined;
  /** FOPEN_*: what the kernel is told of it. */
  openFlags: number;
  /** To multiples of how many bytes the backing reads and writes it with O_DIRECT; undefined before anybody did. */
  alignment: bigint | undefined;
}

/** What is known of what was opened. */
export interface KnownOfHandle {
  /** A directory's. */
  readonly stream?: DirectoryStream;
  /** Its attributes, as they are now. */
  readonly attributes?: StatxBuffer;
}

// O_TMPFILE contains O_DIRECTORY: its own bit alone is meant. O_DIRECT would demand that our buffers be aligned as the caller's are.
const ONCE = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | O_NOFOLLOW | O_DIRECT;

/** Flags to open the backing file with: as the caller asked, less what only concerns the caller's own descriptor. */
export function backingFlags(flags: number): number {
  return (flags & ~(O_NOFOLLOW | O_NOCTTY | O_DIRECT)) | O_CLOEXEC;
}

/** Flags to open it again with, which must change nothing: a second O_TRUNC would lose data, a second O_EXCL would fail. */
export function reopenFlags(flags: number): number {
  return (flags & ~ONCE & ~((flags & O_TMPFILE) === O_TMPFILE ? O_TMPFILE : 0)) | O_CLOEXEC;
}

/** The open handles of one mount. */
export class HandleTable {
  readonly #byFh = new Map<number, Handle>();
  readonly #nodes: NodeTable;
  readonly #caller: Caller;
  readonly #passthrough: Passthrough;
  readonly #holds: Holds;
  #next = 1;

  /** Shares the mount's nodes and identity switch. */
  constructor(nodes: NodeTable, caller: Caller, passthrough: Passthrough, holds: Holds) {
    this.#holds = holds;
    this.#nodes = nodes;
    this.#caller = caller;
    this.#passthrough = passthrough;
  }

  /** How many there are. */
  get size(): number {
    return this.#byFh.size;
  }

  /** All handles. */
  all(): IterableIterator<Handle> {
    return this.#byFh.values();
  }

  /** The handle of an `fh`, or undefined: a kernel bug, or a forged request. */
  get(fh: number): Handle | undefined {
    return this.#byFh.get(fh);
  }

  /** Takes over an open descriptor. `flags` are those of the caller's open(2). */
  add(node: Node, fd: number, flags: number, opener: Identity, known: KnownOfHandle = {}): Handle {
    const handle: Handle = {
      fh: this.#next++ as FileHandle,
      node,
      flags: reopenFlags(flags),
      opener,
      fd,
      stream: known.stream,
      backing: undefined,
      openFlags: 0,
      alignment: undefined,
    };
    this.#nodes.use(node, handle);
    this.#passthrough.join(handle, flags, known.attributes);
    handle.openFlags = (handle.backing === undefined ? 0 : FOPEN_PASSTHROUGH) |
      (this.#passthrough.needsNoFlush(handle) ? FOPEN_NOFLUSH : 0);
    this.#byFh.set(handle.fh, handle);
    return handle;
  }

  /** Closes a handle, if there is one. */
  *remove(fh: number): Steps<void> {
    const handle = this.#byFh.get(fh);
    if (handle === undefined) return;
    this.#byFh.delete(fh);
    this.#passthrough.leave(handle);
    this.#nodes.unuse(handle.node, handle);
    if (handle.fd >= 0 && this.#holds.mayClose(handle.fd)) yield call("close", handle.fd);
  }

  /**
   * Opens a node again as `handle` has it open, as the one who opened it or, where that is refused, as the file's owner: CRIU opens
   * files as root for others, and a server that squashes root refuses it. Returns the descriptor or -errno.
   */
  openAgain(handle: Handle, path: number): number {
    this.#caller.becomeIdentity(handle.opener);
    let fd = reopen(path, handle.flags);
    if (fd === -Errno.EACCES || fd === -Errno.EPERM) {
      this.#caller.self();
      const attributes = new StatxBuffer();
      if (statx(path, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, attributes) >= 0) {
        this.#caller.becomeIdentity(attributes);
        fd = reopen(path, handle.flags);
      }
    }
    this.#caller.self();
    return fd;
  }

  /** Forgets every handle. Returns their descriptors, which are to be closed. */
  clear(): number[] {
    const descriptors = [...this.#byFh.values()].map(({ fd }) => fd).filter((fd) => fd >= 0);
    this.#byFh.clear();
    return descriptors;
  }
}
