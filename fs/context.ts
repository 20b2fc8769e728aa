/**
 * What the operations of one mount share, and the steps that most of them begin with.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import { AnswerBuffer, IN_HEADER_SIZE, type Request } from "../ffi/fuse/request.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { Answers } from "./answers.ts";
import type { Steps } from "./calls.ts";
import { Caller } from "./caller.ts";
import { type Handle, HandleTable } from "./handles.ts";
import { Holds } from "./holds.ts";
import type { Node } from "./node.ts";
import { NodeTable } from "./nodes.ts";
import { Passthrough } from "./passthrough.ts";
import type { Zap } from "./zap.ts";

/** Serves one kind of request: answers it, at once or in steps. A SysError that it throws is its answer. */
export type Operation = (request: Request) => Steps<void> | void;

/** Operations by opcode. */
export type Operations = readonly (readonly [opcode: number, operation: Operation])[];

/**
 * What the backing decides by capabilities that the kernel has not looked at before it asks us. For all else a root without some of them
 * is as good as any, and looking for them in /proc would cost every new process of root's as much as its request.
 */
const CAPABILITY_COUNTS: ReadonlySet<number> = new Set([
  kernel.FUSE_SETATTR,
  kernel.FUSE_WRITE,
  kernel.FUSE_FALLOCATE,
  kernel.FUSE_COPY_FILE_RANGE,
  kernel.FUSE_IOCTL,
  kernel.FUSE_SETXATTR,
  kernel.FUSE_REMOVEXATTR,
  kernel.FUSE_LISTXATTR,
]);

/** Where a request's own arguments start in its message. */
export const ARGS = IN_HEADER_SIZE;

/** The state of one mount's pass-through file system. Single-threaded, on the mount's worker. */
export class Context {
  /** What the kernel knows. */
  readonly nodes: NodeTable;
  /** What is open. */
  readonly handles: HandleTable;
  /** Whom we act as. */
  readonly caller = new Caller();
  /** What the kernel reads and writes without us. */
  readonly passthrough: Passthrough = new Passthrough(this.caller);
  /** What operations under way hold. */
  readonly holds = new Holds();
  /** How we answer. */
  readonly answers = new Answers();
  /** Attributes of the operation at hand; nothing keeps it. */
  readonly attributes = new StatxBuffer();
  /** Who may have the kernel let go of files' pages, if anybody may. */
  zap: Zap | undefined;

  /**
   * Several operations are under way at a time, each of which waits on another thread: what one has in {@linkcode Context.attributes} or
   * {@linkcode Answers.bytes} stays there only until it yields its next call.
   */
  concurrent = false;

  /** `budget`: how many O_PATH descriptors the node table keeps. */
  constructor(budget: number) {
    this.nodes = new NodeTable(budget, this.caller, this.passthrough, this.holds);
    this.handles = new HandleTable(this.nodes, this.caller, this.passthrough, this.holds);
  }

  /**
   * The node that a request is about; acts as its caller from here on. @throws {SysError} ESTALE when the kernel names one that it has
   * forgotten.
   */
  node(request: Request, nodeid: number = request.nodeNumber): Node {
    this.actAs(request);
    const node = this.nodes.get(nodeid);
    if (node === undefined) throw new SysError("lookup", Errno.ESTALE);
    this.nodes.keep(node);
    return node;
  }

  /**
   * An O_PATH descriptor of a node, reached as root where the caller may not: act as the caller anew after it.
   *
   * @throws {SysError} ESTALE when it is not there any more, upon which the kernel looks its name up again; EMFILE and what the backing
   * says.
   */
  *fd(node: Node): Steps<number> {
    const opened = this.nodes.opened(node);
    if (opened >= 0) return opened;
    const fd = yield* this.nodes.fd(node);
    if (fd < 0) throw new SysError("openat", fd === -Errno.ENOENT ? Errno.ESTALE : -fd);
    return fd;
  }

  /** Room for an answer with data that a call brings, at least `size` bytes. */
  answer(size: number): AnswerBuffer {
    return this.concurrent ? new AnswerBuffer(size) : this.answers.buffer;
  }

  /** The open handle `fh`. @throws {SysError} EBADF when there is none, ESTALE when the real file system lacks its file. */
  handle(fh: number): Handle {
    const handle = this.handles.get(fh);
    if (handle === undefined) throw new SysError("handle", Errno.EBADF);
    if (handle.fd < 0) throw new SysError("handle", Errno.ESTALE);
    this.holds.descriptor(handle.fd);
    return handle;
  }

  /** Takes on the identity of a request's caller. */
  actAs(request: Request): void {
    if (request.uid === 0 && !CAPABILITY_COUNTS.has(request.opcode)) this.caller.becomeIdentity(request);
    else this.caller.become(request.uid, request.gid, request.pid);
  }
}

/** Answers success or the errno of a result in the kernel's convention. */
export function conclude(request: Request, result: number): void {
  if (result < 0) request.replyError(-result);
  else request.replyOk();
}
