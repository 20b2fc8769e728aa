/**
 * The INIT proxy: FUSE_INIT goes through libfuse, but its answer is amended on the way to the kernel.
 *
 * libfuse 3.10 to 3.16 accepts FUSE_PARALLEL_DIROPS and never sends it; the kernel then serialises the lookups of a directory, and one
 * request that waits blocks all others there. Flags newer than the installed libfuse would be lost as well. So libfuse is first given
 * the write end of a pipe as its device; its answer is read back, amended, written to the real device, and the real device then takes
 * the pipe's descriptor number.
 *
 * @module
 */
import { Errno, SysError } from "../errno.ts";
import { closeFd, dup3, pipe2, read, write } from "../sys/file.ts";
import { O_CLOEXEC, POLLIN } from "../sys/constants.ts";
import { check } from "../sys/libc.ts";
import { PollSet } from "../sys/poll.ts";
import * as kernel from "./kernel.ts";

/** Flags to ask for beyond libfuse's own choice; each is sent only when the kernel offers it. */
export interface WantedInit {
  /** Of `fuse_init_out.flags`, linux/fuse.h. FUSE_PARALLEL_DIROPS and FUSE_ABORT_ERROR are always added. */
  readonly flags?: number;
  /** Of `fuse_init_out.flags2`: bits 32 and up of the kernel's flags, shifted down. */
  readonly flags2?: number;
  /**
   * With FUSE_PASSTHROUGH: how many file systems may lie on each other, the backing's included, 1 or 2. What the kernel allows above this
   * mount is that much less, of 2 in all (FILESYSTEM_MAX_STACK_DEPTH).
   */
  readonly maxStackDepth?: number;
  /**
   * How many requests that nobody waits for directly (reading ahead, also of a page fault, and writing back) the kernel has out at a time,
   * 65 535 at most; 12 by its own choice. Those that wait for an answer count.
   */
  readonly maxBackground?: number;
}

/** What was agreed in FUSE_INIT. */
export interface NegotiatedInit {
  /** The kernel's minor protocol version (7.MINOR). */
  readonly minor: number;
  /** The flags in force. */
  readonly flags: number;
  /** The upper flags in force. */
  readonly flags2: number;
  /** The largest WRITE, in bytes. */
  readonly maxWrite: number;
}

const INIT_OUT = 16 + 64; // struct fuse_out_header + struct fuse_init_out
const INIT_TIMEOUT_MS = 5000;

/**
 * Answers FUSE_INIT through libfuse. Blocks until the kernel's request is there, at most five seconds.
 *
 * @param device the real `/dev/fuse`; on success it is closed and its open file lives on as `descriptor`.
 * @param buffer where the request is read to: the buffer that `process` looks at.
 * @param adopt makes libfuse use a descriptor as its device; returns 0 on success.
 * @param process makes libfuse handle the request of that length in `buffer`.
 * @throws {SysError} naming the step: ETIMEDOUT when the kernel sent nothing, EPROTO when it sent something else.
 */
export function negotiateInit(
  device: number,
  buffer: Uint8Array,
  wanted: WantedInit,
  adopt: (descriptor: number) => number,
  process: (length: number) => void,
): { init: NegotiatedInit; descriptor: number } {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  const [answers, descriptor] = ends as unknown as [number, number];
  let adopted = false;
  try {
    if (adopt(descriptor) !== 0) {
      throw new SysError("fuse_session_mount", Errno.EIO, { path: `/dev/fd/${descriptor}` });
    }
    adopted = true; // libfuse closes the descriptor with its session
    const poll = new PollSet([{ fd: device, events: POLLIN }]);
    if (poll.wait(INIT_TIMEOUT_MS) <= 0) {
      throw new SysError("FUSE_INIT", Errno.ETIMEDOUT, { path: "/dev/fuse" });
    }
    const length = check(read(device, buffer, buffer.length), "read", "/dev/fuse");
    const request = new DataView(buffer.buffer, buffer.byteOffset);
    if (length < 56 || request.getUint32(4, true) !== kernel.FUSE_INIT) {
      throw new SysError("FUSE_INIT", Errno.EPROTO, { path: "/dev/fuse" });
    }
    const offered = request.getUint32(52, true);
    const offered2 = length >= 60 ? request.getUint32(56, true) : 0;
    process(length);
    const answer = new Uint8Array(INIT_OUT);
    if (read(answers, answer, INIT_OUT) !== INIT_OUT) {
      throw new SysError("FUSE_INIT", Errno.EPROTO, { path: "libfuse" });
    }
    const view = new DataView(answer.buffer);
    const init = amend(view, offered, offered2, wanted);
    check(write(device, answer, INIT_OUT), "write", "/dev/fuse");
    check(dup3(device, descriptor, O_CLOEXEC), "dup3");
    closeFd(device);
    return { init, descriptor };
  } finally {
    closeFd(answers);
    if (!adopted) closeFd(descriptor);
  }
}

function amend(answer: DataView, offered: number, offered2: number, wanted: WantedInit): NegotiatedInit {
  const extra = (wanted.flags ?? 0) | kernel.FUSE_PARALLEL_DIROPS | kernel.FUSE_ABORT_ERROR;
  let flags = (answer.getUint32(28, true) | (extra & offered)) >>> 0;
  let flags2 = 0;
  if (offered & kernel.FUSE_INIT_EXT) {
    flags = (flags | kernel.FUSE_INIT_EXT) >>> 0;
    flags2 = (answer.getUint32(48, true) | ((wanted.flags2 ?? 0) & offered2)) >>> 0;
    answer.setUint32(48, flags2, true);
    if (wanted.maxStackDepth !== undefined) answer.setUint32(52, wanted.maxStackDepth, true);
  }
  if (wanted.maxBackground !== undefined) {
    answer.setUint16(32, wanted.maxBackground, true);
    answer.setUint16(34, Math.ceil(wanted.maxBackground * 3 / 4), true); // congestion_threshold, in the kernel's own proportion
  }
  answer.setUint32(28, flags, true);
  return { minor: answer.getUint32(20, true), flags, flags2, maxWrite: answer.getUint32(36, true) };
}
