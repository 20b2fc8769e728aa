/**
 * Operations on attributes: stat, chmod, chown, truncate, utimes, statfs and extended attributes.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { StatfsBuffer } from "../ffi/sys/dir.ts";
import { cstr } from "../ffi/sys/libc.ts";
import type { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_EMPTY_PATH, UTIME_NOW, UTIME_OMIT } from "../ffi/sys/constants.ts";
import { UNCACHED } from "./answers.ts";
import { call, type Step, type Steps } from "./calls.ts";
import { ARGS, conclude, type Context, type Operations } from "./context.ts";
import type { Handle } from "./handles.ts";
import { ATTRIBUTE_MASK, EMPTY_PATH, type Node, ROOT } from "./node.ts";

const {
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_GID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
} = kernel;

/** What SETATTR can name. */
const CHANGES = FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_MODE | FATTR_ATIME | FATTR_MTIME;
const ACLS = [cstr("system.posix_acl_access"), cstr("system.posix_acl_default")];

/** (uid_t) -1 and (gid_t) -1: leave as it is. */
const KEEP = 0xffff_ffff;

/** Operations on attributes over a mount's backing. `seen` is told each time the root's attributes were read. */
export function attributeOperations(context: Context, seen: (root: StatxBuffer) => void): Operations {
  const { nodes, answers, attributes } = context;

  /** Attributes of a node, through an open handle where it has one: a file may have lost its name to somebody else. */
  const inspect = function* (node: Node, handle: Handle | undefined): Steps<number> {
    const fd = handle === undefined ? nodes.opened(node) : handle.fd;
    const result = fd < 0
      ? yield* nodes.attributes(node, attributes)
      : yield call("statx", fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes);
    if (result >= 0 && node.nodeid === ROOT) seen(attributes);
    return result === -Errno.ENOENT ? -Errno.ESTALE : result;
  };

  const answer = (request: Request, result: number) => {
    if (result < 0) request.replyError(-result);
    else answers.attributes(request, attributes);
  };

  const tell = (request: Request, node: Node, result: number) => {
    const isZapped = result >= 0 && context.zap?.tell(request.pid, node.nodeid, attributes);
    if (isZapped) answers.attributes(request, attributes, UNCACHED);
    else answer(request, result);
  };

  const getattr = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_getattr_in;
    const byHandle = (get.getattr_flags(request.view, ARGS) & kernel.FUSE_GETATTR_FH) !== 0;
    const handle = byHandle ? context.handle(getNumber.fh(request.view, ARGS)) : undefined;
    const node = context.node(request);
    tell(request, node, yield* inspect(node, handle));
  };

  const setattr = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_setattr_in;
    const valid = get.valid(request.view, ARGS);
    const node = context.node(request);
    // libfuse takes FATTR_FH out of the message, and leaves the handle, which is never 0.
    const fh = getNumber.fh(request.view, ARGS);
    const handle = fh === 0 ? undefined : context.handle(fh);
    const path = yield* context.fd(node);
    context.actAs(request);
    const result = yield* apply(request, valid, path, handle);
    if (result < 0) return void request.replyError(-result);
    answer(request, yield* inspect(node, handle));
  };

  /** Carries out what `valid` names, in the order in which the kernel would; stops at the first failure. */
  const apply = function* (
    request: Request,
    valid: number,
    path: number,
    handle: Handle | undefined,
  ): Steps<number> {
    const { get } = kernel.fuse_setattr_in;
    const { view } = request;
    if ((valid & CHANGES) === 0) {
      // A chown(2) that names nobody, which clears set-id bits and moves the time of change. Or the kernel asks for that before another
      // user writes: who may not do it has it done by the write itself.
      const result = yield call("fchownat", path, EMPTY_PATH, KEEP, KEEP, AT_EMPTY_PATH);
      return result === -Errno.EPERM ? 0 : result;
    }
    if (valid & (FATTR_UID | FATTR_GID)) {
      const uid = valid & FATTR_UID ? get.uid(view, ARGS) : KEEP;
      const gid = valid & FATTR_GID ? get.gid(view, ARGS) : KEEP;
      const result = yield call("fchownat", path, EMPTY_PATH, uid, gid, AT_EMPTY_PATH);
      if (result < 0) return result;
    }
    if (valid & FATTR_SIZE) {
      const size = get.size(view, ARGS);
      const result = yield handle === undefined
        ? call("truncate", path, size)
        : call("ftruncate", handle.fd, size);
      if (result < 0) return result;
    }
    if (valid & FATTR_MODE) {
      context.passthrough.forget(context.node(request)); // if it has set-id bits by now
      const result = yield call("fchmodFd", path, get.mode(view, ARGS) & 0o7777);
      if (result < 0) return result;
    }
    if (valid & (FATTR_ATIME | FATTR_MTIME)) {
      const result = yield call("utimensat", path, EMPTY_PATH, times(request, valid), AT_EMPTY_PATH);
      if (result < 0) return result;
    }
    return 0;
  };

  const times = (request: Request, valid: number): Uint8Array => {
    const { get } = kernel.fuse_setattr_in;
    const out = new DataView(new ArrayBuffer(32)); // struct timespec[2]
    const put = (at: number, set: number, now: number, seconds: bigint, nanoseconds: number) => {
      out.setBigInt64(at, BigInt.asIntN(64, seconds), true);
      out.setBigInt64(at + 8, BigInt(valid & now ? UTIME_NOW : valid & set ? nanoseconds : UTIME_OMIT), true);
    };
    const { view } = request;
    put(0, FATTR_ATIME, FATTR_ATIME_NOW, get.atime(view, ARGS), get.atimensec(view, ARGS));
    put(16, FATTR_MTIME, FATTR_MTIME_NOW, get.mtime(view, ARGS), get.mtimensec(view, ARGS));
    return new Uint8Array(out.buffer);
  };

  /** statx(2) with what GETATTR has no room for: the time of birth. */
  const extended = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_statx_in;
    const byHandle = (get.getattr_flags(request.view, ARGS) & kernel.FUSE_GETATTR_FH) !== 0;
    const handle = byHandle ? context.handle(getNumber.fh(request.view, ARGS)) : undefined;
    const result = yield* inspect(context.node(request), handle);
    if (result < 0) request.replyError(-result);
    else answers.extended(request, attributes);
  };

  const statfs = function* (request: Request): Steps<void> {
    const from = new StatfsBuffer();
    const result = yield call("statfs", yield* context.fd(context.node(request)), from);
    if (result < 0) return void request.replyError(-result);
    const { size, set } = kernel.fuse_statfs_out;
    const out = new Uint8Array(size);
    const view = new DataView(out.buffer);
    set.blocks(view, from.blocks);
    set.bfree(view, from.bfree);
    set.bavail(view, from.bavail);
    set.files(view, from.files);
    set.ffree(view, from.ffree);
    set.bsize(view, from.bsize);
    set.namelen(view, from.namelen);
    set.frsize(view, from.frsize);
    request.replyData(out);
  };

  const set = function* (request: Request): Steps<void> {
    const { get } = kernel.fuse_setxattr_in;
    const at = ARGS + kernel.FUSE_COMPAT_SETXATTR_IN_SIZE;
    const name = request.cname(at);
    const value = request.message.subarray(at + name.length, at + name.length + get.size(request.view, ARGS));
    const path = yield* context.fd(context.node(request));
    context.actAs(request);
    conclude(request, yield call("setxattr", path, name, value, get.flags(request.view, ARGS)));
  };

  /** Value or list: with no room the size alone is asked for. */
  const bytes = function* (
    request: Request,
    size: number,
    asked: (path: number, buffer: Uint8Array) => Step,
  ): Steps<void> {
    const path = yield* context.fd(context.node(request));
    context.actAs(request);
    const room = Math.min(size, answers.bytes.length);
    const value = context.answer(room);
    const length = yield asked(path, value.bytes.subarray(0, room));
    // The kernel itself asks for ACLs, of every file, and takes the errno of a backing that knows none for an error.
    if (length === -Errno.EOPNOTSUPP && isAclAsked(request)) request.replyError(Errno.ENODATA);
    else if (length < 0) request.replyError(-length);
    else if (size === 0) answers.size(request, length);
    else request.reply(value, length);
  };

  const get = (request: Request) => {
    const name = request.cname(ARGS + kernel.fuse_getxattr_in.size);
    const size = kernel.fuse_getxattr_in.get.size(request.view, ARGS);
    return bytes(request, size, (path, buffer) => call("getxattr", path, name, buffer));
  };

  const list = (request: Request) => {
    const size = kernel.fuse_getxattr_in.get.size(request.view, ARGS);
    return bytes(request, size, (path, buffer) => call("listxattr", path, buffer));
  };

  const remove = function* (request: Request): Steps<void> {
    const name = request.cname(ARGS);
    const path = yield* context.fd(context.node(request));
    context.actAs(request);
    conclude(request, yield call("removexattr", path, name));
  };

  return [
    [kernel.FUSE_GETATTR, getattr],
    [kernel.FUSE_SETATTR, setattr],
    [kernel.FUSE_STATX, extended],
    [kernel.FUSE_STATFS, statfs],
    [kernel.FUSE_SETXATTR, set],
    [kernel.FUSE_GETXATTR, get],
    [kernel.FUSE_LISTXATTR, list],
    [kernel.FUSE_REMOVEXATTR, remove],
  ];
}

function isAclAsked(request: Request): boolean {
  return request.opcode === kernel.FUSE_GETXATTR && isAcl(request.cname(ARGS + kernel.fuse_getxattr_in.size));
}

function isAcl(name: Uint8Array): boolean {
  return ACLS.some((acl) => acl.length === name.length && acl.every((byte, index) => name[index] === byte));
}
