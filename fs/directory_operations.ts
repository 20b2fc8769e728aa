/**
 * Operations on open directories. Offsets are the backing's own cookies, so that telldir and seekdir work and a position survives the
 * change from one backing to another of the same file system.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { DirentReader, getdents64 } from "../ffi/sys/dir.ts";
import { fdatasync, fsync, lseek, reopen, statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, SEEK_SET } from "../ffi/sys/constants.ts";
import { ARGS, conclude, type Context, type Operations } from "./context.ts";
import { backingFlags, directoryStream, type Handle } from "./handles.ts";
import { ATTRIBUTE_MASK, type Node } from "./nodes.ts";
import type { Entry, ResumedListing } from "./resumed_listing.ts";

/** Operations on directories over a mount's backing. */
export function directoryOperations(context: Context): Operations {
  const { nodes, handles, answers } = context;
  const view = new DataView(answers.bytes.buffer);
  const attributes = new StatxBuffer();

  const opendir = (request: Request) => {
    const flags = kernel.fuse_open_in.get.flags(request.view, ARGS);
    const node = context.node(request);
    const path = context.fd(node);
    context.actAs(request);
    const fd = reopen(path, backingFlags(flags) | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return void request.replyError(-fd);
    const handle = handles.add(
      node,
      fd,
      flags | O_DIRECTORY,
      { uid: request.uid, gid: request.gid },
      directoryStream(),
    );
    if (answers.opened(request, handle) < 0) handles.remove(handle.fh);
  };

  /** Makes the record at `offset` the reader's current one. Returns 0 at the end of the directory, a positive number, or -errno. */
  const fill = (handle: Handle, offset: bigint): number => {
    const stream = handle.stream!;
    if (stream.offset !== offset) {
      const moved = lseek(handle.fd, offset, SEEK_SET);
      if (moved < 0n) return Number(moved);
      stream.offset = offset;
      stream.pending = false;
    }
    if (stream.pending) return 1;
    const length = getdents64(handle.fd, stream.buffer);
    if (length <= 0) return length;
    stream.reader = new DirentReader(stream.buffer, length);
    stream.pending = stream.reader.next();
    return length;
  };

  // The entries of the answer under way: each counts as a lookup, if the kernel gets the answer.
  let learnt: Node[] = [];

  const deliver = (request: Request, length: number): void => {
    const entries = learnt;
    learnt = [];
    if (answers.data(request, length) < 0) { for (const node of entries) nodes.forget(node.nodeid, 1); }
  };

  const read = (request: Request, plus: boolean) => {
    const { get } = kernel.fuse_read_in;
    const handle = context.handle(get.fh(request.view, ARGS));
    const size = Math.min(get.size(request.view, ARGS), answers.bytes.length);
    let offset = BigInt.asIntN(64, get.offset(request.view, ARGS));
    let used = 0;
    context.actAs(request);
    const { resumed } = handle.stream!;
    if (resumed !== undefined) {
      if (offset !== 0n) return resume(request, handle, resumed, offset, size, plus);
      handle.stream!.resumed = undefined;
    }
    for (let full = false; !full;) {
      const available = fill(handle, offset);
      if (available < 0 && used === 0) return void request.replyError(-available);
      if (available <= 0) break;
      const { reader, buffer } = handle.stream!;
      while (handle.stream!.pending) {
        const length = put(handle, buffer, reader, used, size, plus);
        if (length === 0) {
          full = true;
          break;
        }
        used += length;
        handle.stream!.offset = offset = reader.off;
        handle.stream!.pending = reader.next();
      }
    }
    deliver(request, used);
  };

  const resume = (
    request: Request,
    handle: Handle,
    listing: ResumedListing,
    offset: bigint,
    size: number,
    plus: boolean,
  ): void => {
    handle.stream!.offset = -1n; // the descriptor's position is the listing's
    let used = 0;
    for (const entry of listing.from(handle.fd, offset)) {
      const length = put(handle, entry.buffer, entry, used, size, plus);
      if (length === 0) break;
      used += length;
    }
    deliver(request, used);
  };

  /** Writes one record of the answer at `at`; returns its length, or 0 when it does not fit below `size`. */
  const put = (
    handle: Handle,
    buffer: Uint8Array,
    record: Entry,
    at: number,
    size: number,
    plus: boolean,
  ): number => {
    const nameLength = record.nameEnd - record.nameStart;
    const head = plus ? kernel.fuse_entry_out.size : 0;
    const length = head + ((24 + nameLength + 7) & ~7);
    if (at + length > size) return 0;
    answers.bytes.fill(0, at, at + length);
    const { set } = kernel.fuse_dirent;
    set.ino(view, record.ino, at + head);
    set.off(view, BigInt.asUintN(64, record.off), at + head);
    set.namelen(view, nameLength, at + head);
    set.type(view, record.type, at + head);
    answers.bytes.set(buffer.subarray(record.nameStart, record.nameEnd), at + head + 24);
    if (plus && !record.isDot) {
      const name = buffer.subarray(record.nameStart, record.nameEnd + 1); // the kernel's records are NUL-terminated
      // An entry that cannot be looked up stays without one: the kernel asks for it when it needs it.
      if (statx(handle.fd, name, AT_SYMLINK_NOFOLLOW, ATTRIBUTE_MASK, attributes) >= 0) {
        const node = nodes.learn(handle.node, name, attributes);
        learnt.push(node);
        answers.entryAt(at, node, attributes);
      }
    }
    return length;
  };

  const releasedir = (request: Request) => {
    handles.remove(kernel.fuse_release_in.get.fh(request.view, ARGS));
    request.replyOk();
  };

  const syncdir = (request: Request) => {
    const { get } = kernel.fuse_fsync_in;
    const handle = context.handle(get.fh(request.view, ARGS));
    const dataOnly = (get.fsync_flags(request.view, ARGS) & kernel.FUSE_FSYNC_FDATASYNC) !== 0;
    const result = dataOnly ? fdatasync(handle.fd) : fsync(handle.fd);
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
