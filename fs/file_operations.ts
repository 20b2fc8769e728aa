/**
 * Operations on open files: reading, writing, syncing, allocating, and opening and closing them.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { dup, fcntlSet } from "../ffi/sys/file.ts";
import { AT_EMPTY_PATH, F_SETFL, O_APPEND, O_DIRECT, STATX_DIOALIGN } from "../ffi/sys/constants.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { call, type Steps } from "./calls.ts";
import { ARGS, conclude, type Context, type Operations } from "./context.ts";
import { backingFlags, type Handle } from "./handles.ts";
import { EMPTY_PATH } from "./node.ts";

// The ioctls that make sense on another's file, by command: how many bytes go in and come out (linux/fs.h).
const IOCTLS: ReadonlyMap<number, { readonly input: number; readonly output: number }> = new Map([
  [0x8008_6601, { input: 0, output: 8 }], // FS_IOC_GETFLAGS
  [0x4008_6602, { input: 8, output: 0 }], // FS_IOC_SETFLAGS
  [0x8008_7601, { input: 0, output: 8 }], // FS_IOC_GETVERSION
  [0x801c_581f, { input: 0, output: 28 }], // FS_IOC_FSGETXATTR
  [0x401c_5820, { input: 28, output: 0 }], // FS_IOC_FSSETXATTR
  [0x8100_9431, { input: 0, output: 256 }], // FS_IOC_GETFSLABEL
]);

/** Says in the flags of OPEN that the file is opened by execve(2) (include/linux/fs.h); open(2) lets no program set it. */
const FMODE_EXEC = 0x20;

/**
 * Whether the backing would take a read or write with O_DIRECT, which is made without: where our own buffers are is another matter than
 * where the caller's is.
 */
function* isAligned(handle: Handle, offset: bigint, size: number): Steps<boolean> {
  if (handle.alignment === undefined) {
    const told = new StatxBuffer();
    const found = yield call("statx", handle.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_DIOALIGN, told);
    const known = found >= 0 && (told.mask & STATX_DIOALIGN) !== 0 && told.dioOffsetAlign > 0;
    handle.alignment = known ? BigInt(told.dioOffsetAlign) : 1n;
  }
  return (offset | BigInt(size)) % handle.alignment === 0n; // a power of two
}

/** Operations on files over a mount's backing. */
export function fileOperations(context: Context): Operations {
  const { handles, answers } = context;

  const open = function* (request: Request): Steps<void> {
    const flags = kernel.fuse_open_in.get.flags(request.view, ARGS);
    const node = context.node(request);
    const path = yield* context.fd(node);
    context.actAs(request);
    let opener = { uid: request.uid, gid: request.gid };
    let fd = yield call("reopen", path, backingFlags(flags));
    if (fd === -Errno.EACCES && flags & FMODE_EXEC) {
      // To be executed a file need not be readable: that it may be has been checked by the kernel.
      context.caller.self();
      opener = { uid: 0, gid: 0 };
      fd = yield call("reopen", path, backingFlags(flags));
    }
    if (fd < 0) return void request.replyError(-fd);
    const handle = handles.add(node, fd, flags, opener);
    if (answers.opened(request, handle) < 0) yield* handles.remove(handle.fh);
  };

  const read = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_read_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const size = Math.min(get.size(request.view, ARGS), answers.bytes.length);
    const offset = get.offset(request.view, ARGS);
    if (get.flags(request.view, ARGS) & O_DIRECT && !(yield* isAligned(handle, offset, size))) {
      return void request.replyError(Errno.EINVAL);
    }
    handle.node.cached = true;
    const answer = context.answer(size);
    const length = yield call("pread", handle.fd, answer.bytes, size, offset);
    if (length < 0) request.replyError(-length);
    else request.reply(answer, length);
  };

  const write = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_write_in;
    const start = ARGS + kernel.fuse_write_in.size;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const size = get.size(request.view, ARGS);
    const offset = get.offset(request.view, ARGS);
    const misaligned = get.flags(request.view, ARGS) & O_DIRECT &&
      !(yield* isAligned(handle, offset, size));
    if (start + size > request.length || misaligned) return void request.replyError(Errno.EINVAL);
    const flags = get.write_flags(request.view, ARGS);
    // The kernel leaves clearing set-id bits to us (HANDLE_KILLPRIV_V2); the backing does it for a writer without CAP_FSETID.
    if (flags & kernel.FUSE_WRITE_KILL_SUIDGID) context.actAs(request);
    else context.caller.self();
    // F_SETFL changes O_APPEND behind our back, and written back pages belong where they map: the request's flags are what counts.
    const data = request.message.subarray(start, start + size);
    const append = get.flags(request.view, ARGS) & O_APPEND;
    if (!append && handle.flags & O_APPEND) {
      handle.flags &= ~O_APPEND; // for good: writes that append need no flag of the file, and may be under way
      fcntlSet(handle.fd, F_SETFL, handle.flags);
    }
    handle.node.cached = true;
    const written = yield append
      ? call("writeToEnd", handle.fd, data)
      : call("pwrite", handle.fd, data, size, offset);
    if (written < 0) request.replyError(-written);
    else answers.written(request, written);
  };

  const flush = function* (request: Request): Steps<void> {
    if (context.passthrough.neverFlushes) return void request.replyError(Errno.ENOSYS);
    const handle = handles.get(kernel.fuse_flush_in.getNumber.fh(request.view, ARGS));
    if (handle === undefined || handle.fd < 0) return void request.replyOk();
    // close(2) is where a network file system reports what it could not write: closing a duplicate asks for that report.
    const duplicate = dup(handle.fd);
    conclude(request, duplicate < 0 ? duplicate : yield call("close", duplicate));
  };

  const release = function* (request: Request): Steps<void> {
    yield* handles.remove(kernel.fuse_release_in.getNumber.fh(request.view, ARGS));
    request.replyOk();
  };

  const sync = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_fsync_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const dataOnly = (get.fsync_flags(request.view, ARGS) & kernel.FUSE_FSYNC_FDATASYNC) !== 0;
    conclude(request, yield call(dataOnly ? "fdatasync" : "fsync", handle.fd));
  };

  const allocate = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_fallocate_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    context.actAs(request);
    const mode = get.mode(request.view, ARGS);
    const [offset, length] = [get.offset(request.view, ARGS), get.length(request.view, ARGS)];
    conclude(request, yield call("fallocate", handle.fd, mode, offset, length));
  };

  const seek = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_lseek_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const offset = BigInt.asIntN(64, get.offset(request.view, ARGS));
    const out = new Uint8Array(8); // struct fuse_lseek_out
    const moved = yield call("lseek", handle.fd, offset, get.whence(request.view, ARGS), out);
    if (moved < 0) request.replyError(-moved);
    else request.replyData(out);
  };

  const copy = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_copy_file_range_in;
    const from = context.handle(getNumber.fh_in(request.view, ARGS));
    const to = context.handle(getNumber.fh_out(request.view, ARGS));
    context.actAs(request);
    const offIn = get.off_in(request.view, ARGS);
    const offOut = get.off_out(request.view, ARGS);
    const length = get.len(request.view, ARGS);
    const copied = yield call("copyFileRange", from.fd, offIn, to.fd, offOut, length, 0);
    if (copied < 0) request.replyError(-copied);
    else answers.written(request, copied);
  };

  const poll = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_poll_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const ready = yield call("poll", handle.fd, get.events(request.view, ARGS));
    if (ready < 0) request.replyError(-ready);
    else answers.events(request, ready);
  };

  const control = function* (request: Request): Steps<void> {
    const { get, getNumber, size } = kernel.fuse_ioctl_in;
    const cmd = get.cmd(request.view, ARGS);
    const known = IOCTLS.get(cmd);
    if (known === undefined) return void request.replyError(Errno.ENOTTY);
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const data = new Uint8Array(Math.max(known.input, known.output));
    data.set(request.message.subarray(ARGS + size, ARGS + size + known.input));
    context.actAs(request);
    const result = yield call("ioctl", handle.fd, BigInt(cmd), data);
    if (result < 0) return void request.replyError(-result);
    const out = kernel.fuse_ioctl_out;
    const { view } = answers;
    answers.bytes.fill(0, 0, out.size);
    out.set.result(view, result);
    answers.bytes.set(data.subarray(0, known.output), out.size);
    answers.data(request, out.size + Math.min(known.output, get.out_size(request.view, ARGS)));
  };

  return [
    [kernel.FUSE_OPEN, open],
    [kernel.FUSE_READ, read],
    [kernel.FUSE_WRITE, write],
    [kernel.FUSE_FLUSH, flush],
    [kernel.FUSE_RELEASE, release],
    [kernel.FUSE_FSYNC, sync],
    [kernel.FUSE_FALLOCATE, allocate],
    [kernel.FUSE_LSEEK, seek],
    [kernel.FUSE_COPY_FILE_RANGE, copy],
    [kernel.FUSE_POLL, poll],
    [kernel.FUSE_IOCTL, control],
  ];
}
