/**
 * Requests without a mount.
 *
 * @module
 */

import { FUSE_GETATTR } from "../../../ffi/fuse/kernel.ts";
import { type ReplyChannel, Request } from "../../../ffi/fuse/request.ts";

/** Makes requests, and writes down the answers: 0 or a positive errno. */
export function fakeKernel() {
  const answers: [unique: bigint, answer: number][] = [];
  const outstanding = new Map<bigint, Request>();
  const channel: ReplyChannel = {
    data: (request) => (answers.push([request.unique, 0]), 0),
    error: (request, errno) => (answers.push([request.unique, errno]), 0),
    none: () => {},
  };
  const request = (unique: bigint, { uid = 0, pid = Deno.pid } = {}) => {
    const view = new DataView(new ArrayBuffer(40));
    view.setUint32(0, 40, true);
    view.setUint32(4, FUSE_GETATTR, true);
    view.setBigUint64(8, unique, true);
    view.setUint32(24, uid, true);
    view.setUint32(32, pid, true);
    return new Request(new Uint8Array(view.buffer), view, 40, 0n, channel, outstanding);
  };
  return { answers, outstanding, request };
}
