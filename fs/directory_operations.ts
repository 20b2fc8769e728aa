/**
 * Operations on open directories. Offsets are the backing's own cookies, so that telldir and seekdir work and a position survives the
 * change from one backing to another of the same file system.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { AnswerBuffer, Request } from "../ffi/fuse/request.ts";
import { DirentReader } from "../ffi/sys/dir.ts";
import { statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, SEEK_SET } from "../ffi/sys/constants.ts";
import { call, type Steps } from "./calls.ts";
import { ARGS, conclude, type Context, type Operations } from "./context.ts";
import { backingFlags, directoryStream, type Handle } from "./handles.ts";
import { ATTRIBUTE_MASK, type Node } from "./node.ts";
import type { Entry, ResumedListing } from "./resumed_listing.ts";

/** The answer to one READDIR or READDIRPLUS, as far as it is. */
interface Listing {
  readonly answer: AnswerBuffer;
  readonly size: number;
  readonly plus: boolean;
  used: number;
  /** Where its last record starts; negative before there is one. */
  last: number;
  /** Whose entries are in it: each counts as a lookup, if the kernel gets the answer. */
  readonly learnt: Node[];
}

/** Operations on directories over a mount's backing. */
export function directoryOperations(context: Context): Operations {
  const { nodes, handles, answers } = context;
  const attributes = new StatxBuffer();

  const opendir = function* (request: Request): Steps<void> {
    const flags = kernel.fuse_open_in.get.flags(request.view, ARGS);
    const node = context.node(request);
    const path = yield* context.fd(node);
    context.actAs(request);
    const fd = yield call("reopen", path, backingFlags(flags) | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return void request.replyError(-fd);
    const handle = handles.add(
      node,
      fd,
      flags | O_DIRECTORY,
      { uid: request.uid, gid: request.gid },
      { stream: directoryStream() },
    );
    if (answers.opened(request, handle) < 0) yield* handles.remove(handle.fh);
  };

  /** Makes the record at `offset` the reader's current one. Returns 0 at the end of the directory, a positive number, or -errno. */
  const fill = function* (handle: Handle, offset: bigint): Steps<number> {
    const stream = handle.stream!;
    if (stream.offset !== offset) {
      const moved = yield call("lseek", handle.fd, offset, SEEK_SET, new Uint8Array(8));
      if (moved < 0) return moved;
      stream.offset = offset;
      stream.pending = false;
    }
    if (stream.pending) return 1;
    const length = yield call("getdents64", handle.fd, stream.buffer);
    if (length <= 0) return length;
    stream.reader = new DirentReader(stream.buffer, length);
    stream.pending = stream.reader.next();
    return length;
  };

  const listing = (request: Request, plus: boolean): Listing => {
    const { get } = kernel.fuse_read_in;
    const size = Math.min(get.size(request.view, ARGS), answers.bytes.length);
    return { answer: context.answer(size), size, plus, used: 0, last: -1, learnt: [] };
  };

  /** The position after an answer's last record. */
  const offsetOf = ({ answer, last }: Listing): bigint =>
    BigInt.asIntN(64, kernel.fuse_dirent.get.off(answer.view, last));

  const deliver = (request: Request, { answer, used, learnt }: Listing): void => {
    if (request.reply(answer, used) >= 0) return;
    for (const node of learnt) nodes.forget(node.nodeid, 1);
  };

  const read = function* (request: Request, plus: boolean): Steps<void> {
    const { get, getNumber } = kernel.fuse_read_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const list = listing(request, plus);
    const offset = BigInt.asIntN(64, get.offset(request.view, ARGS));
    context.actAs(request);
    const stream = handle.stream!;
    // The kernel asks for one piece after the other, but goes on when one of them was interrupted.
    if (stream.reading) return void request.replyError(Errno.EINTR);
    stream.reading = true;
    try {
      if (stream.resumed === undefined || offset === 0n) yield* proceed(request, handle, offset, list);
      else yield* resume(request, handle, stream.resumed, offset, list);
    } finally {
      stream.reading = false;
    }
  };

  const proceed = function* (request: Request, handle: Handle, offset: bigint, list: Listing): Steps<void> {
    handle.stream!.resumed = undefined;
    for (let full = false; !full;) {
      const available = yield* fill(handle, offset);
      if (available < 0 && list.used === 0) return void request.replyError(-available);
      if (available <= 0) break;
      const stream = handle.stream!;
      const { reader, buffer } = stream;
      while (stream.pending && !full) {
        full = !put(handle, buffer, reader, list);
        if (!full) stream.pending = reader.next();
      }
      if (list.last >= 0) stream.offset = offset = offsetOf(list);
    }
    deliver(request, list);
  };

  const resume = function* (
    request: Request,
    handle: Handle,
    resumed: ResumedListing,
    offset: bigint,
    list: Listing,
  ): Steps<void> {
    handle.stream!.offset = -1n; // the descriptor's position is the listing's
    yield* resumed.load(handle.fd);
    for (const entry of resumed.from(offset)) if (!put(handle, entry.buffer, entry, list)) break;
    deliver(request, list);
  };

  /** Adds one record to an answer. Returns whether it had room. */
  const put = (handle: Handle, buffer: Uint8Array, record: Entry, list: Listing): boolean => {
    const { answer: { bytes, view }, plus, used: at } = list;
    const nameLength = record.nameEnd - record.nameStart;
    const head = plus ? kernel.fuse_entry_out.size : 0;
    const length = head + ((24 + nameLength + 7) & ~7);
    if (at + length > list.size) return false;
    if (plus) bytes.fill(0, at, at + head);
    view.setBigUint64(at + length - 8, 0n, true); // of which the name may leave a part
    const { set } = kernel.fuse_dirent;
    set.ino(view, record.ino, at + head);
    set.off(view, BigInt.asUintN(64, record.off), at + head);
    set.namelen(view, nameLength, at + head);
    set.type(view, record.type, at + head);
    const { nameStart } = record;
    // By hand: for names, which are short, a view of theirs costs more.
    for (let i = 0, to = at + head + 24; i < nameLength; i++) bytes[to + i] = buffer[nameStart + i]!;
    // An entry that is not looked up stays without one: the kernel asks for it when it needs it.
    if (plus && !record.isDot && !context.concurrent) {
      const name = buffer.subarray(record.nameStart, record.nameEnd + 1); // the kernel's records are NUL-terminated
      if (statx(handle.fd, name, AT_SYMLINK_NOFOLLOW, ATTRIBUTE_MASK, attributes) >= 0) {
        const node = nodes.learn(handle.node, name, attributes);
        list.learnt.push(node);
        answers.entryAt(at, node, attributes);
      }
    }
    list.last = at + head;
    list.used += length;
    return true;
  };

  const releasedir = function* (request: Request): Steps<void> {
    yield* handles.remove(kernel.fuse_release_in.getNumber.fh(request.view, ARGS));
    request.replyOk();
  };

  const syncdir = function* (request: Request): Steps<void> {
    const { get, getNumber } = kernel.fuse_fsync_in;
    const handle = context.handle(getNumber.fh(request.view, ARGS));
    const dataOnly = (get.fsync_flags(request.view, ARGS) & kernel.FUSE_FSYNC_FDATASYNC) !== 0;
    const result = yield call(dataOnly ? "fdatasync" : "fsync", handle.fd);
    conclude(request, result === -Errno.EINVAL ? 0 : result); // a backing without fsync on directories has nothing to sync
  };

  return [
    [kernel.FUSE_OPENDIR, opendir],
    [kernel.FUSE_READDIR, (request) => read(request, false)],
    [kernel.FUSE_READDIRPLUS, (request) => read(request, true)],
    [kernel.FUSE_RELEASEDIR, releasedir],
    [kernel.FUSE_FSYNCDIR, syncdir],
  ];
}
