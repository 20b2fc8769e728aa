/**
 * A libfuse low-level session over a mount of our own: receives requests, hands each to its handler, and makes sure that each is
 * answered exactly once.
 *
 * @module
 */
import { Errno, SysError } from "../errno.ts";
import { addressOf, check, cstr } from "../sys/libc.ts";
import { closeFd, read } from "../sys/file.ts";
import { eventfd } from "../sys/poll.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../sys/constants.ts";
import { fuse_args, fuse_buf, libfuse_version, lowlevelOps } from "./abi.ts";
import { type NegotiatedInit, negotiateInit, type WantedInit } from "./init.ts";
import * as kernel from "./kernel.ts";
import type { FuseLibrary } from "./library.ts";
import { invalidateAttributes } from "./notification.ts";
import { deviceChannel, libfuseChannel } from "./channel.ts";
import { type Served, type ServeEnd, ServeLoop, wake } from "./loop.ts";
import { IN_HEADER_SIZE, type ReplyChannel, Request } from "./request.ts";

/** Handles one kind of request: answers it or detaches it before returning. A thrown SysError is answered as its errno. */
export type Handler = (request: Request) => void;

/** Handlers by opcode (FUSE_LOOKUP and so on). An opcode without one is answered ENOSYS, which the kernel remembers. */
export type Handlers = ReadonlyMap<number, Handler>;

/** What a session tells its owner. `fault`, `woken` and `idle` may not throw. */
export interface SessionHooks {
  /** A handler failed with something that is no SysError, or left its request unanswered: a bug. The request was answered EIO. */
  fault?(request: Request, error: unknown): void;
  /** The kernel says that a signal woke the caller of a detached request. Answer it, or leave it waiting; a throw answers EINTR. */
  interrupt?(request: Request): void;
  /** {@linkcode Session.waker} was written to, by another thread that is done with something. */
  woken?(): void;
  /** A batch of requests has been handled and the session is about to wait. */
  idle?(): void;
}

/** How a session works. */
export interface SessionOptions {
  /** The opened library; must outlive the session. */
  readonly library: FuseLibrary;
  /** What to do for each opcode. */
  readonly handlers: Handlers;
  /** What to be told. */
  readonly hooks?: SessionHooks;
  /** What to ask of the kernel in FUSE_INIT. */
  readonly init?: WantedInit;
  /**
   * Whether requests go past libfuse's dispatch and are answered on the device itself, which makes each about 1.5 us cheaper. libfuse
   * still negotiates with the kernel, invalidates, and answers opcodes without a handler. No by default.
   */
  readonly direct?: boolean;
  /** What serves it, with other sessions of this thread perhaps; a loop of its own by default. */
  readonly loop?: ServeLoop;
}

const RECEIVE_SIZE = 256 * 4096 + 4096; // FUSE_MAX_MAX_PAGES pages and a header page

/**
 * One mounted file system being served. Belongs to the thread that made it: every method is called there, and handlers run there.
 *
 * Tear-down order on dispose: answer what is outstanding with EIO or what `stop` said, destroy the session (closes the device), close the callbacks.
 */
export class Session implements Disposable {
  readonly #library: FuseLibrary;
  readonly #handlers: readonly (Handler | undefined)[]; // by opcode
  readonly #hooks: SessionHooks;
  readonly #loop: ServeLoop;
  readonly #member: Served;
  readonly #session: Deno.PointerObject;
  readonly #callbacks: Deno.UnsafeCallback[] = [];
  // C holds the addresses of these for the session's life.
  readonly #pinned: ArrayBufferView[] = [];
  readonly #receive = new Uint8Array(RECEIVE_SIZE);
  readonly #receiveView = new DataView(this.#receive.buffer);
  readonly #fuseBuf = new Uint8Array(fuse_buf.size);
  readonly #fuseBufView = new DataView(this.#fuseBuf.buffer);
  readonly #outstanding = new Map<bigint, Request>();
  readonly #viaLibfuse: ReplyChannel;
  readonly #viaDevice: ReplyChannel;
  readonly #dispatched = new Set<number>(); // by libfuse
  #device = -1;
  #wake = -1;
  #stopping = false;
  #lastErrno: number = Errno.EIO;
  #serving = false;
  #disposed = false;
  #served = 0;
  readonly #notifying = new Set<Promise<number>>();
  #ended = false;

  /**
   * Makes the session over an already mounted `/dev/fuse` descriptor and answers the kernel's FUSE_INIT, so that the mount is usable
   * when this returns. Blocks until the kernel has sent FUSE_INIT, which it does as soon as the superblock exists.
   *
   * @param device a `/dev/fuse` descriptor opened O_NONBLOCK, whose mount has been made; the session owns it from here on, also when
   * this throws.
   * @throws {SysError} naming the step that failed.
   */
  constructor(device: number, options: SessionOptions) {
    this.#library = options.library;
    const byOpcode: (Handler | undefined)[] = Array(Math.max(0, ...options.handlers.keys()) + 1).fill(
      undefined,
    );
    for (const [opcode, handler] of options.handlers) byOpcode[opcode] = handler;
    this.#handlers = byOpcode;
    this.#hooks = options.hooks ?? {};
    this.#loop = options.loop ?? new ServeLoop();
    this.#viaLibfuse = libfuseChannel(options.library.symbols);
    this.#viaDevice = deviceChannel(() => this.#device);
    using undo = new DisposableStack();
    undo.defer(() => {
      // Later the session has it, under another number.
      if (this.#device < 0) closeFd(device);
    });
    const session = this.#create(options.handlers);
    if (options.direct) this.#dispatched.clear();
    undo.defer(() => {
      this.#library.symbols.fuse_session_destroy(session);
      for (const callback of this.#callbacks) callback.close();
    });
    this.#session = session;
    const view = this.#fuseBufView;
    fuse_buf.set.size(view, BigInt(RECEIVE_SIZE));
    fuse_buf.set.mem(view, addressOf(this.#receive));
    fuse_buf.set.mem_size(view, BigInt(RECEIVE_SIZE));
    const { init, descriptor } = negotiateInit(
      device,
      this.#receive,
      options.init ?? {},
      (fd) => this.#library.symbols.fuse_session_mount(session, cstr(`/dev/fd/${fd}`)),
      (length) => this.#process(length),
    );
    this.init = init;
    this.#device = descriptor;
    this.#wake = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
    const [stopped, waker] = [() => this.#stopping && this.#notifying.size === 0, () => this.#wake];
    this.#member = {
      device: this.#device,
      // Asked each time: once the session is disposed of, the number may be another file's.
      get waker() {
        return waker();
      },
      get stopped() {
        return stopped();
      },
      receive: () => this.#receiveNext(),
      awake: () => this.#awake(),
      idle: () => this.#hooks.idle?.(),
    };
    undo.move();
  }

  /** What the kernel and we agreed on. */
  readonly init: NegotiatedInit;

  /** The `/dev/fuse` descriptor: for ioctls. Owned by the session. */
  get device(): number {
    return this.#device;
  }

  /** An eventfd(2) that wakes the session wherever it waits. Owned by the session: who is to write to it takes a duplicate. */
  get waker(): number {
    return this.#wake;
  }

  /** Requests handled so far. */
  get served(): number {
    return this.#served;
  }

  /** The requests that wait for a later answer, oldest first. */
  get outstanding(): ReadonlyMap<bigint, Request> {
    return this.#outstanding;
  }

  /**
   * Serves until the file system is unmounted, its connection is aborted, or {@linkcode Session.stop}. Returns only when no
   * invalidation is under way any more, so that the session can be disposed. Call it once.
   */
  async serve(): Promise<ServeEnd> {
    if (this.#serving) throw new TypeError("a session serves once");
    this.#serving = true;
    try {
      return await this.#loop.serve(this.#member);
    } finally {
      this.#ended = true;
      await Promise.allSettled(this.#notifying);
    }
  }

  /**
   * Makes {@linkcode Session.serve} return "stopped". The mount stays. From now on no handler is called: requests that the kernel has
   * queued, and those that come until an invalidation under way has come back, are answered with an errno.
   *
   * @param errno what they, and later requests that are still outstanding on dispose, are answered with.
   */
  stop(errno: number = Errno.EIO): void {
    this.#stopping = true;
    this.#lastErrno = errno;
    wake(this.#member);
  }

  #awake(): void {
    read(this.#wake, new Uint8Array(8), 8);
    this.#hooks.woken?.();
  }

  /**
   * Drops cached attributes and, from `offset` on for `length` bytes (0: to the end; a negative offset: none), cached pages of an
   * inode; dirty pages are written first. Runs on a pool thread, because it waits for pages that our own answers unlock.
   *
   * @returns 0 or -errno; -ENOENT: the kernel does not know the inode; -ENODEV: serving has ended.
   */
  invalidateInode(nodeid: bigint, offset: bigint, length: bigint): Promise<number> {
    return this.#notify(() =>
      this.#library.symbols.notify_inval_inode(this.#session, nodeid, offset, length)
    );
  }

  /**
   * Drops cached attributes of an inode without pages, on this thread: a small part of what it costs on another one. For an inode that may
   * have pages there is {@linkcode Session.invalidateInode}, since the kernel may be waiting for our answers to let go of them.
   *
   * @returns 0 or -errno; -ENOENT: the kernel does not know the inode; -ENODEV: serving has ended.
   */
  invalidateAttributes(nodeid: bigint): number {
    return this.#ended ? -Errno.ENODEV : invalidateAttributes(this.#device, nodeid);
  }

  async #notify(call: () => Promise<number>): Promise<number> {
    if (this.#ended) return -Errno.ENODEV;
    const underWay = call();
    this.#notifying.add(underWay);
    try {
      return await underWay;
    } finally {
      this.#notifying.delete(underWay);
      if (this.#stopping) wake(this.#member);
    }
  }

  /** Answers what is outstanding with EIO, or what `stop` said, destroys the session and closes its device. Never unmounts: that is the mount's owner's. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    if (this.#notifying.size > 0) throw new TypeError("session disposed while a notification is under way");
    this.#disposed = true;
    for (const request of [...this.#outstanding.values()]) {
      this.#hooks.fault?.(request, new Error("the session ended before the request was answered"));
      request.replyError(this.#lastErrno);
    }
    this.#library.symbols.fuse_session_destroy(this.#session); // closes the device
    for (const callback of this.#callbacks) callback.close();
    if (this.#wake >= 0) closeFd(this.#wake);
    this.#device = this.#wake = -1;
  }

  #create(handlers: Handlers): Deno.PointerObject {
    const { symbols, abi } = this.#library;
    const ops = new BigUint64Array(abi.opSize / 8);
    const handle = new Deno.UnsafeCallback(
      { parameters: ["usize"], result: "void" },
      (request) => this.#dispatch(request as bigint),
    );
    this.#callbacks.push(handle as unknown as Deno.UnsafeCallback);
    const address = BigInt(Deno.UnsafePointer.value(handle.pointer));
    for (const [opcode, index] of lowlevelOps(abi.opSize)) {
      if (!handlers.has(opcode)) continue;
      ops[index] = address;
      this.#dispatched.add(opcode);
    }
    const name = cstr("fuse");
    const argv = new BigUint64Array([addressOf(name), 0n]);
    const args = new Uint8Array(fuse_args.size);
    fuse_args.set.argc(new DataView(args.buffer), 1);
    fuse_args.set.argv(new DataView(args.buffer), addressOf(new Uint8Array(argv.buffer)));
    const opsBytes = new Uint8Array(ops.buffer);
    const version = new Uint8Array(libfuse_version.size);
    libfuse_version.set.major(new DataView(version.buffer), 3);
    libfuse_version.set.minor(new DataView(version.buffer), 17); // the interface that we were written for
    this.#pinned.push(opsBytes, name, argv, args, version);
    const size = BigInt(abi.opSize);
    const session = abi.sessionNew === "fuse_session_new_versioned"
      ? symbols.fuse_session_new_versioned!(args, opsBytes, size, version, null)
      : symbols.fuse_session_new!(args, opsBytes, size, null);
    if (session === null) {
      handle.close();
      throw new SysError("fuse_session_new", Errno.EINVAL, { path: this.#library.name });
    }
    return session;
  }

  /** Whether there was a request, which has been handled, or why there will be no more. */
  #receiveNext(): boolean | ServeEnd {
    const symbols = this.#library.symbols;
    let length = symbols.fuse_session_receive_buf(this.#session, this.#fuseBuf);
    if (length > 0) {
      this.#receiveOne(length);
      return true;
    }
    // Also what a read gets that was under way when the file system was unmounted (fuse_dev_do_read); the next one tells which it was.
    if (length === -Errno.ECONNABORTED) {
      length = symbols.fuse_session_receive_buf(this.#session, this.#fuseBuf);
    }
    if (length === 0) return "unmounted";
    if (length === -Errno.ECONNABORTED || length === -Errno.ENOTCONN || length === -Errno.EBADF) {
      return "aborted";
    }
    if (length === -Errno.EAGAIN || length === -Errno.EINTR) return false;
    throw new SysError("fuse_session_receive_buf", -length, { path: "/dev/fuse" });
  }

  #receiveOne(length: number): void {
    this.#served++;
    const opcode = this.#receiveView.getUint32(4, true);
    if (opcode === kernel.FUSE_INTERRUPT) this.#interrupted();
    else if (this.#dispatched.has(opcode) || this.#handlers[opcode] === undefined) this.#process(length);
    else {this.#run(
        new Request(this.#receive, this.#receiveView, length, 0n, this.#viaDevice, this.#outstanding),
      );}
  }

  #process(length: number): void {
    fuse_buf.set.size(this.#fuseBufView, BigInt(length));
    this.#library.symbols.fuse_session_process_buf(this.#session, this.#fuseBuf);
    fuse_buf.set.size(this.#fuseBufView, BigInt(RECEIVE_SIZE));
  }

  /** libfuse calls back here from within process_buf. Nothing may be thrown into C. */
  #dispatch(address: bigint): void {
    const length = this.#receiveView.getUint32(0, true);
    this.#run(
      new Request(this.#receive, this.#receiveView, length, address, this.#viaLibfuse, this.#outstanding),
    );
  }

  #run(request: Request): void {
    let error: unknown;
    try {
      if (this.#stopping) return refuse(request, this.#lastErrno);
      this.#handlers[request.opcode]!(request);
      if (request.state !== "current") return;
      error = new Error("the handler neither answered nor detached the request");
    } catch (caught) {
      error = caught;
    }
    if (error instanceof SysError) {
      if (request.state !== "answered") refuse(request, error.errno);
      return;
    }
    this.#hooks.fault?.(request, error);
    if (request.state !== "answered") refuse(request, Errno.EIO);
  }

  /**
   * FUSE_INTERRUPT names a request by its id. It takes no answer when the request is known or already answered. libfuse never sees it:
   * its own bookkeeping would call back under its locks.
   */
  #interrupted(): void {
    const target = this.#receiveView.getBigUint64(IN_HEADER_SIZE, true);
    const request = this.#outstanding.get(target);
    if (request === undefined) return;
    try {
      this.#hooks.interrupt?.(request);
    } catch (error) {
      this.#hooks.fault?.(request, error);
      if (request.state !== "answered") request.replyError(Errno.EINTR);
    }
  }
}

/** Answers with an errno; what takes no answer is let go. */
function refuse(request: Request, errno: number): void {
  if (request.opcode === kernel.FUSE_FORGET || request.opcode === kernel.FUSE_BATCH_FORGET) {
    request.replyNone();
  } else request.replyError(errno);
}
