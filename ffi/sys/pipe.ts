/**
 * Pipes and FIFOs beyond reading and writing. Each returns 0 or more, or a negated error number.
 *
 * @module
 */
import { FIONREAD } from "./constants.ts";
import { ioctl } from "./file.ts";
import { errno, symbol } from "./libc.ts";

const libc = {
  tee: symbol("tee", { parameters: ["i32", "i32", "usize", "u32"], result: "i32" }),
};

/**
 * tee(2): what is queued in one pipe, from its beginning, is queued in another as well and stays where it is. `flags` are SPLICE_F_*.
 *
 * @returns the bytes, as many as there was room for; 0 when nothing is queued and nobody has the first open for writing. SIGPIPE and EPIPE
 * when nobody has the second one open for reading.
 */
export function tee(from: number, to: number, count: number, flags: number): number {
  const r = libc.tee.call(from, to, BigInt(count), flags);
  return r < 0 ? -errno[0] : r;
}

const available = new Int32Array(1);

/** ioctl(2) FIONREAD: how many bytes can be read, from a pipe whichever end the descriptor is. */
export function bytesQueued(fd: number): number {
  const r = ioctl(fd, BigInt(FIONREAD), new Uint8Array(available.buffer));
  return r < 0 ? r : available[0]!;
}
