/**
 * The two ways an answer reaches the kernel: through libfuse, for the requests that libfuse dispatched, and straight through
 * /dev/fuse, for those that went past libfuse.
 *
 * @module
 */
import { write } from "../sys/file.ts";
import type { FuseSymbols } from "./library.ts";
import { AnswerBuffer, type ReplyChannel, type Request } from "./request.ts";

/** Answers through libfuse, which frees its request in doing so. */
export function libfuseChannel(symbols: FuseSymbols): ReplyChannel {
  return {
    data: (request, payload, length) => {
      const bytes = payload instanceof AnswerBuffer ? payload.bytes : payload;
      return symbols.fuse_reply_buf(request.address, bytes as Uint8Array<ArrayBuffer>, BigInt(length));
    },
    error: (request, errno) => symbols.fuse_reply_err(request.address, errno),
    none: (request) => symbols.fuse_reply_none(request.address),
  };
}

/** Answers by write(2) on the session's device. `device` is asked at each answer, since a session changes it once. */
export function deviceChannel(device: () => number): ReplyChannel {
  const short = new AnswerBuffer(4096);
  const send = (request: Request, error: number, answer: AnswerBuffer, length: number): number => {
    const written = write(device(), answer.message, answer.head(request, error, length));
    return written < 0 ? written : 0;
  };
  return {
    data: (request, payload, length) => {
      if (payload instanceof AnswerBuffer) return send(request, 0, payload, length);
      const answer = length <= short.bytes.length ? short : new AnswerBuffer(length);
      answer.bytes.set(payload.subarray(0, length));
      return send(request, 0, answer, length);
    },
    error: (request, errno) => send(request, -errno, short, 0),
    none: () => {},
  };
}
