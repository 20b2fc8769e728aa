/**
 * The kernel's answer structs, filled from statx(2) and getdents64(2) results in one buffer that every answer of a mount reuses.
 *
 * @module
 */
import * as kernel from "../ffi/fuse/kernel.ts";
import { AnswerBuffer, type Request } from "../ffi/fuse/request.ts";
import type { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import type { Handle } from "./handles.ts";
import type { Node } from "./node.ts";

/** A length of time as the kernel's answers have it. */
export interface Span {
  /** Whole seconds. */
  readonly seconds: bigint;
  /** What is left, below a second. */
  readonly nanoseconds: number;
}

/** How long the kernel may answer from its caches; 0: it asks each time. */
export interface CacheTimes {
  /** Names. */
  readonly entry: Span;
  /** Attributes. */
  readonly attributes: Span;
}

/** A length of time of so many milliseconds, 0 or more. */
export function spanOf(milliseconds: number): Span {
  const nanoseconds = BigInt(Math.round(milliseconds * 1e6));
  return { seconds: nanoseconds / SECOND, nanoseconds: Number(nanoseconds % SECOND) };
}

const SECOND = 1_000_000_000n;
const ENTRY_OUT = kernel.fuse_entry_out.size;
const MAX_DATA = 1 << 20;

/** Nothing is cached: what is told between the placeholder and the real file system. */
export const UNCACHED: CacheTimes = { entry: spanOf(0), attributes: spanOf(0) };

/** The device number as the kernel packs it into 32 bits (new_encode_dev, include/linux/kdev_t.h). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The inverse of {@linkcode encodeDevice}. */
export function decodeDevice(device: number): { major: number; minor: number } {
  return { major: (device >>> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
}

/** Builds and sends answers. One for each mount; single-threaded, since it has one buffer. */
export class Answers {
  /** The one buffer. */
  readonly buffer: AnswerBuffer = new AnswerBuffer(MAX_DATA + 4096);
  /** Its payload: data of READ and READDIR may be written straight into it. */
  readonly bytes: Uint8Array<ArrayBuffer> = this.buffer.bytes;
  /** A view of it. */
  readonly view: DataView<ArrayBuffer> = this.buffer.view;
  /** How long what is answered may be cached. */
  times: CacheTimes = UNCACHED;

  /** `struct fuse_entry_out`: a name was found or made. Returns 0 or -errno of the answer. */
  entry(request: Request, node: Node, attributes: StatxBuffer): number {
    this.entryAt(0, node, attributes);
    return request.reply(this.buffer, ENTRY_OUT);
  }

  /** `struct fuse_entry_out` and `struct fuse_open_out`: a file was made and opened. */
  created(request: Request, node: Node, attributes: StatxBuffer, handle: Handle): number {
    this.entryAt(0, node, attributes);
    this.#open(ENTRY_OUT, handle);
    return request.reply(this.buffer, ENTRY_OUT + kernel.fuse_open_out.size);
  }

  /** `struct fuse_open_out`: a file or directory was opened. */
  opened(request: Request, handle: Handle): number {
    this.#open(0, handle);
    return request.reply(this.buffer, kernel.fuse_open_out.size);
  }

  /** `struct fuse_attr_out`. */
  attributes(request: Request, attributes: StatxBuffer, times: CacheTimes = this.times): number {
    const { set } = kernel.fuse_attr_out;
    set.attr_valid(this.view, times.attributes.seconds);
    set.attr_valid_nsec(this.view, times.attributes.nanoseconds);
    set.dummy(this.view, 0);
    this.#attributes(16, attributes);
    return request.reply(this.buffer, kernel.fuse_attr_out.size);
  }

  /** `struct fuse_statx_out`: what GETATTR has no room for as well, such as the time of birth. */
  extended(request: Request, attributes: StatxBuffer, times: CacheTimes = this.times): number {
    const { size, set } = kernel.fuse_statx_out;
    this.bytes.fill(0, 0, size);
    set.attr_valid(this.view, times.attributes.seconds);
    set.attr_valid_nsec(this.view, times.attributes.nanoseconds);
    this.bytes.set(attributes.bytes.subarray(0, size - 32), 32); // struct fuse_statx begins as struct statx does
    return request.reply(this.buffer, size);
  }

  /** `struct fuse_write_out`: `size` bytes were taken. */
  written(request: Request, size: number): number {
    this.view.setUint32(0, size, true);
    this.view.setUint32(4, 0, true);
    return request.reply(this.buffer, kernel.fuse_write_out.size);
  }

  /** `struct fuse_getxattr_out`: how large the value or list is. */
  size(request: Request, size: number): number {
    return this.written(request, size); // the same two words
  }

  /** `struct fuse_poll_out`: the events that are ready. */
  events(request: Request, revents: number): number {
    return this.written(request, revents); // the same two words
  }

  /** The first `length` bytes of {@linkcode Answers.bytes}. */
  data(request: Request, length: number): number {
    return request.reply(this.buffer, length);
  }

  /** Writes a `struct fuse_entry_out` at an offset of the buffer. */
  entryAt(at: number, node: Node, attributes: StatxBuffer): void {
    const { set, setNumber } = kernel.fuse_entry_out;
    const { entry, attributes: valid } = this.times;
    setNumber.nodeid(this.view, node.nodeid, at);
    set.generation(this.view, 0n, at);
    set.entry_valid(this.view, entry.seconds, at);
    set.attr_valid(this.view, valid.seconds, at);
    set.entry_valid_nsec(this.view, entry.nanoseconds, at);
    set.attr_valid_nsec(this.view, valid.nanoseconds, at);
    this.#attributes(at + 40, attributes);
  }

  #open(at: number, { fh, backing, openFlags }: Handle): void {
    const { set, setNumber } = kernel.fuse_open_out;
    setNumber.fh(this.view, fh, at);
    set.open_flags(this.view, openFlags, at);
    set.backing_id(this.view, backing?.id ?? 0, at);
  }

  /** `struct fuse_attr` (88 bytes). */
  #attributes(at: number, from: StatxBuffer): void {
    const { set } = kernel.fuse_attr;
    const view = this.view;
    set.ino(view, from.ino, at);
    set.size(view, from.size, at);
    set.blocks(view, from.blocks, at);
    set.atime(view, BigInt.asUintN(64, from.atimeSec), at);
    set.mtime(view, BigInt.asUintN(64, from.mtimeSec), at);
    set.ctime(view, BigInt.asUintN(64, from.ctimeSec), at);
    set.atimensec(view, from.atimeNsec, at);
    set.mtimensec(view, from.mtimeNsec, at);
    set.ctimensec(view, from.ctimeNsec, at);
    set.mode(view, from.mode, at);
    set.nlink(view, from.nlink, at);
    set.uid(view, from.uid, at);
    set.gid(view, from.gid, at);
    set.rdev(view, encodeDevice(from.rdevMajor, from.rdevMinor), at);
    set.blksize(view, from.blksize, at);
    set.flags(view, 0, at);
  }
}
