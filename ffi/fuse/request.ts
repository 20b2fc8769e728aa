/**
 * One FUSE request, answered exactly once.
 *
 * A request is *current* while its handler runs: its message then lies in the session's receive buffer, which the next request
 * overwrites. A handler that wants to answer later calls {@linkcode Request.detach}, which copies the message and makes the session
 * remember the request until it is answered. What a handler neither answers nor detaches is answered EIO by the session.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { readNumber } from "../layout.ts";
import { Slabs } from "../slabs.ts";

/** Where answers go: libfuse for the requests it dispatches, /dev/fuse itself for the others. */
export interface ReplyChannel {
  /** Sends a success answer with `length` bytes of `payload`. Returns 0 or -errno (ENOENT: the request was interrupted or aborted). */
  data(request: Request, payload: Uint8Array | AnswerBuffer, length: number): number;
  /** Sends a bare answer: 0 for success without payload, or a positive errno. Returns 0 or -errno. */
  error(request: Request, errno: number): number;
  /** Ends a request that takes no answer (FORGET, BATCH_FORGET). */
  none(request: Request): void;
}

/** A request's life: its handler runs, it waits for a later answer, or it has been answered. */
export type RequestState = "current" | "detached" | "answered";

const HEADER = 40; // sizeof(struct fuse_in_header), linux/fuse.h
const OUT_HEADER = 16; // sizeof(struct fuse_out_header): u32 len, i32 error, u64 unique

/** A payload with room for the answer's header before it: it goes to the kernel from where it is, in one piece. May be used again and again. */
export class AnswerBuffer {
  /** Header and payload. */
  readonly message: Uint8Array<ArrayBuffer>;
  /** The payload: what is answered is written here. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A view of the payload. */
  readonly view: DataView<ArrayBuffer>;
  readonly #header: DataView;

  /** Room for a payload of `size` bytes. */
  constructor(size: number) {
    this.message = new Uint8Array(new ArrayBuffer(OUT_HEADER + size));
    this.bytes = this.message.subarray(OUT_HEADER);
    this.view = new DataView(this.message.buffer, OUT_HEADER);
    this.#header = new DataView(this.message.buffer, 0, OUT_HEADER);
  }

  /** Writes the header of an answer to `request`: `error` is 0 or a negated errno. Returns how long the message is with its payload. */
  head(request: Request, error: number, length: number): number {
    this.#header.setUint32(0, OUT_HEADER + length, true);
    this.#header.setInt32(4, error, true);
    this.#header.setBigUint64(8, request.unique, true);
    return OUT_HEADER + length;
  }
}

/**
 * One request of the kernel, consumed exactly once by one of the `reply` methods. Belongs to the thread of its session; nothing here
 * blocks.
 */
export class Request {
  /** The whole message: `struct fuse_in_header`, the operation's arguments, names and data. Valid until answered. */
  message: Uint8Array;
  /** FUSE_LOOKUP and so on, see `kernel.ts`. */
  readonly opcode: number;
  /** The kernel's id of this request; what FUSE_INTERRUPT names. */
  readonly unique: bigint;
  /** The inode the operation is about: what an earlier answer gave the kernel, or FUSE_ROOT_ID (1). */
  readonly nodeid: bigint;
  /** Length of the message in bytes. */
  readonly length: number;
  /** Address of libfuse's `struct fuse_req`; 0 for a request that libfuse did not dispatch. For the reply channel only. */
  readonly address: bigint;
  #view: DataView | undefined;
  #state: RequestState = "current";
  #contended = false;
  readonly #channel: ReplyChannel;
  readonly #outstanding: Map<bigint, Request>;

  /** Made by the session only. `outstanding` is the session's detached requests by their id. */
  constructor(
    message: Uint8Array,
    view: DataView,
    length: number,
    address: bigint,
    channel: ReplyChannel,
    outstanding: Map<bigint, Request>,
  ) {
    this.address = address;
    this.message = message;
    this.#view = view;
    this.length = length;
    this.opcode = view.getUint32(4, true);
    this.unique = view.getBigUint64(8, true);
    this.nodeid = view.getBigUint64(16, true);
    this.#channel = channel;
    this.#outstanding = outstanding;
  }

  /** A view of {@linkcode Request.message}; offsets count from the header's first byte. */
  get view(): DataView {
    // A request that waits does without: thousands of them may.
    return this.#view ??= new DataView(this.message.buffer, this.message.byteOffset, this.message.length);
  }

  /** The nodeid as a number, rounded from 2^53 on. Valid as the message is. */
  get nodeNumber(): number {
    return readNumber(this.view, 16);
  }

  /** Where the request stands. */
  get state(): RequestState {
    return this.#state;
  }

  /** The caller's file system uid, in the user namespace of the mount. */
  get uid(): number {
    return this.view.getUint32(24, true);
  }

  /** The caller's file system gid, in the user namespace of the mount. */
  get gid(): number {
    return this.view.getUint32(28, true);
  }

  /** The caller's thread id in the pid namespace of the mount; 0 for the kernel itself and for tasks that namespace cannot see. */
  get pid(): number {
    return this.view.getUint32(32, true);
  }

  /**
   * The NUL-terminated name that starts at byte `offset` of the message, without its NUL, as a view of the message.
   *
   * @throws {RangeError} when the message ends before the NUL.
   */
  name(offset: number): Uint8Array {
    const end = this.message.indexOf(0, offset);
    if (end < 0 || end >= this.length) {
      throw new RangeError(`request ${this.unique}: name at ${offset} has no end`);
    }
    return this.message.subarray(offset, end);
  }

  /** The same as {@linkcode Request.name} with its NUL: ready to be passed to a system call. */
  cname(offset: number): Uint8Array {
    const end = this.message.indexOf(0, offset);
    if (end < 0 || end >= this.length) {
      throw new RangeError(`request ${this.unique}: name at ${offset} has no end`);
    }
    return this.message.subarray(offset, end + 1);
  }

  /** Copies the message out of the receive buffer and keeps the request for a later answer. Idempotent until answered. */
  detach(): this {
    if (this.#state === "answered") throw new TypeError(`request ${this.unique}: detached after its answer`);
    if (this.#state === "current") {
      this.message = messages.keep(this.message.subarray(0, this.length));
      this.#view = undefined;
      this.#state = "detached";
      this.#outstanding.set(this.unique, this);
    }
    return this;
  }

  /** From now on whoever is first answers: later answers are dropped, and return -ENOENT. */
  contend(): void {
    this.#contended = true;
  }

  /** Answers with a payload. Returns 0 or -errno; -ENOENT says that nobody waits any more (then undo what the answer promised). */
  replyData(payload: Uint8Array, length: number = payload.length): number {
    return this.#consume() ? this.#channel.data(this, payload, length) : -Errno.ENOENT;
  }

  /** The same with the first `length` bytes of an answer's payload, which are not copied. */
  reply(answer: AnswerBuffer, length: number): number {
    return this.#consume() ? this.#channel.data(this, answer, length) : -Errno.ENOENT;
  }

  /** Answers success without a payload. Returns 0 or -errno as {@linkcode Request.replyData}. */
  replyOk(): number {
    return this.#consume() ? this.#channel.error(this, 0) : -Errno.ENOENT;
  }

  /** Answers with an errno, positive. Returns 0 or -errno as {@linkcode Request.replyData}. */
  replyError(errno: number): number {
    return this.#consume() ? this.#channel.error(this, errno > 0 ? errno : Errno.EIO) : -Errno.ENOENT;
  }

  /** Ends a request that takes no answer: FORGET and BATCH_FORGET. */
  replyNone(): void {
    if (this.#consume()) this.#channel.none(this);
  }

  #consume(): boolean {
    if (this.#state === "answered") {
      if (this.#contended) return false;
      throw new TypeError(`request ${this.unique}: answered twice`);
    }
    // The order matters: libfuse frees its request in the reply call, so the id must be forgotten first.
    if (this.#state === "detached") this.#outstanding.delete(this.unique);
    this.#state = "answered";
    return true;
  }
}

/** Messages of waiting requests: a buffer of its own would cost a waiting LOOKUP four times its message. */
const messages = new Slabs();

/** Length of `struct fuse_in_header` in bytes: the operation's own arguments start here. */
export const IN_HEADER_SIZE: number = HEADER;
