/**
 * Carrying what has no name over to another file system, where it has none either: a file with its data, a FIFO for its queue.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  S_IFIFO,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { mknodat, unlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import {
  copyFileRange,
  fchmod,
  fchmodFd,
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
import { check, cstr, type CString } from "../ffi/sys/libc.ts";

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

/**
 * Makes an empty FIFO with the owner and the mode of another one. It has a name for a moment, since it cannot be made without.
 *
 * @param old an O_PATH descriptor of it
 * @param directory where it is made
 * @returns an O_PATH descriptor of the new one, or a negated error number: EACCES, EROFS, ENOSPC
 */
export function carryFifo(old: number, directory: number): number {
  const name = cstr(`.spfs-${crypto.randomUUID()}`);
  try {
    const attributes = new StatxBuffer();
    check(fstat(old, STATX_BASIC_STATS, attributes), "statx");
    check(mknodat(directory, name, S_IFIFO | 0o600, 0n), "mknod");
    using fifo = openOnce(directory, name);
    check(fchownat(fifo.raw, EMPTY, attributes.uid, attributes.gid, AT_EMPTY_PATH), "fchown");
    check(fchmodFd(fifo.raw, attributes.mode & 0o7777), "fchmod");
    return fifo.release();
  } catch (error) {
    if (error instanceof SysError) return -error.errno;
    throw error;
  }
}

/** Opens a file by a name that is taken away from it. */
function openOnce(directory: number, name: CString): Fd {
  const opened = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  unlinkat(directory, name, 0);
  return Fd.own(check(opened, "open"));
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
