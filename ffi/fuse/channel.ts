/**
 * The two ways an answer reaches the kernel: through libfuse, for the requests that libfuse dispatched, and straight through
 * /dev/fuse, for opcodes that the kernel and we know but the installed libfuse does not (O_TMPFILE on libfuse before 3.17, say).
 *
 * @module
 */
import { write } from "../sys/file.ts";
import type { FuseSymbols } from "./library.ts";
import type { ReplyChannel, Request } from "./request.ts";

const OUT_HEADER_SIZE = 16; // struct fuse_out_header: u32 len, i32 error, u64 unique

/** Answers through libfuse, which frees its request in doing so. */
export function libfuseChannel(symbols: FuseSymbols): ReplyChannel {
  return {
    data: (request, payload, length) =>
      symbols.fuse_reply_buf(request.address, payload as Uint8Array<ArrayBuffer>, BigInt(length)),
    error: (request, errno) => symbols.fuse_reply_err(request.address, errno),
    none: (request) => symbols.fuse_reply_none(request.address),
  };
}

/** Answers by write(2) on the session's device. `device` is asked at each answer, since a session changes it once. */
export function deviceChannel(device: () => number): ReplyChannel {
  const send = (request: Request, error: number, payload: Uint8Array | undefined, length: number): number => {
    const message = new Uint8Array(OUT_HEADER_SIZE + length);
    const view = new DataView(message.buffer);
    view.setUint32(0, message.length, true);
    view.setInt32(4, error, true);
    view.setBigUint64(8, request.unique, true);
    if (payload !== undefined) message.set(payload.subarray(0, length), OUT_HEADER_SIZE);
    const written = write(device(), message, message.length);
    return written < 0 ? written : 0;
  };
  return {
    data: (request, payload, length) => send(request, 0, payload, length),
    error: (request, errno) => send(request, -errno, undefined, 0),
    none: () => {},
  };
}
