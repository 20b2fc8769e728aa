/**
 * Carrying a file that has no name over to another file system: its data goes to a file there that has no name either.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import {
  copyFileRange,
  fchmod,
  fchownat,
  fstat,
  ftruncate,
  lseek,
  openat,
  pread,
  procFdPath,
  pwriteAt,
  reopen,
  StatxBuffer,
  utimensat,
} from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";

const HERE = cstr(".");
const EMPTY = cstr("");
const CHUNK = 1 << 20;

/**
 * Copies a regular file, holes left out, with its owner, mode and times.
 *
 * @param old an O_PATH descriptor of it
 * @param directory of the file system that it is copied to
 * @returns an O_PATH descriptor of the copy, or a negated error number: EOPNOTSUPP where there are no files without a name, ENOSPC, EIO
 */
export function carryFile(old: number, directory: number): number {
  try {
    using from = Fd.own(check(reopen(old, O_RDONLY | O_CLOEXEC), "open"));
    const flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    using to = Fd.own(check(openat(directory, HERE, flags, 0o600), "open O_TMPFILE"));
    const attributes = new StatxBuffer();
    check(fstat(from.raw, STATX_BASIC_STATS, attributes), "statx");
    check(ftruncate(to.raw, attributes.size), "ftruncate");
    copyData(from.raw, to.raw, attributes.size);
    check(fchownat(to.raw, EMPTY, attributes.uid, attributes.gid, AT_EMPTY_PATH), "fchown");
    check(fchmod(to.raw, attributes.mode & 0o7777), "fchmod");
    const times = new DataView(new ArrayBuffer(32));
    times.setBigInt64(0, attributes.atimeSec, true);
    times.setBigInt64(8, BigInt(attributes.atimeNsec), true);
    times.setBigInt64(16, attributes.mtimeSec, true);
    times.setBigInt64(24, BigInt(attributes.mtimeNsec), true);
    check(utimensat(to.raw, null, new Uint8Array(times.buffer), 0), "futimens");
    return openat(-100, procFdPath(to.raw), O_PATH | O_CLOEXEC);
  } catch (error) {
    if (error instanceof SysError) return -error.errno;
    throw error;
  }
}

function copyData(from: number, to: number, size: bigint): void {
  for (let at = 0n; at < size;) {
    const data = lseek(from, at, SEEK_DATA);
    if (data === BigInt(-Errno.ENXIO)) return; // only a hole is left
    const start = data < 0n ? at : data;
    const hole = data < 0n ? size : lseek(from, start, SEEK_HOLE);
    const end = hole < 0n || hole > size ? size : hole;
    copyRange(from, to, start, end);
    at = end;
  }
}

function copyRange(from: number, to: number, start: bigint, end: bigint): void {
  let buffer: Uint8Array | undefined;
  for (let at = start; at < end;) {
    const rest = end - at;
    const copied = buffer === undefined ? copyFileRange(from, at, to, at, rest) : 0;
    if (copied > 0) {
      at += BigInt(copied);
      continue;
    }
    // Between file systems that the kernel does not copy between.
    buffer ??= new Uint8Array(new ArrayBuffer(CHUNK));
    const count = check(
      pread(from, buffer, Number(rest < BigInt(CHUNK) ? rest : BigInt(CHUNK)), at),
      "pread",
    );
    if (count === 0) return;
    for (let written = 0; written < count;) {
      const r = pwriteAt(to, buffer.subarray(written, count), at + BigInt(written));
      written += check(r, "pwrite");
    }
    at += BigInt(count);
  }
}
