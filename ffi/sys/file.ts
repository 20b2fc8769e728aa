/**
 * Files by descriptor or path: opening, reading, writing, attributes, locks. One function for each system call of that name; see its man
 * page for the errors. All block as the call does. Each returns 0 or more, or a negated error number.
 *
 * Buffers are used up to their own length and may be views into larger ones. Lengths are numbers and at most what Linux transfers in one
 * call (0x7ffff000 bytes); file offsets are bigint.
 *
 * @module
 */
import { NR } from "./arch.ts";
import { AT_EMPTY_PATH, F_DUPFD_CLOEXEC, RWF_APPEND } from "./constants.ts";
import { addressOf, cstr, type CString, errno, symbol } from "./libc.ts";
import type { StatxBuffer } from "./statx_buffer.ts";

export { StatxBuffer } from "./statx_buffer.ts";

/** The most bytes that read(2), write(2) and their kin transfer in one call: MAX_RW_COUNT with pages of 4 KiB. */
const MAX_RW_COUNT = 0x7ffff000;

const libc = {
  openat: symbol("openat", { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" }),
  openat2: symbol("syscall", { parameters: ["i32", "i32", "buffer", "buffer", "usize"], result: "i32" }),
  close: symbol("close", { parameters: ["i32"], result: "i32" }),
  read: symbol("read", { parameters: ["i32", "buffer", "usize"], result: "i32" }),
  write: symbol("write", { parameters: ["i32", "buffer", "usize"], result: "i32" }),
  pread: symbol("pread", { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" }),
  pwrite: symbol("pwrite", { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" }),
  pwritev2: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "usize", "i64", "i64", "i32"],
    result: "i32",
  }),
  statx: symbol("syscall", { parameters: ["i32", "i32", "buffer", "i32", "u32", "buffer"], result: "i32" }),
  truncate: symbol("truncate", { parameters: ["buffer", "i64"], result: "i32" }),
  ftruncate: symbol("ftruncate", { parameters: ["i32", "i64"], result: "i32" }),
  fallocate: symbol("fallocate", { parameters: ["i32", "i32", "i64", "i64"], result: "i32" }),
  lseek: symbol("lseek", { parameters: ["i32", "i64", "i32"], result: "i64" }),
  lseekError: symbol("lseek", { parameters: ["i32", "i64", "i32"], result: "i32" }),
  copyFileRange: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "i32", "buffer", "usize", "u32"],
    result: "i32",
  }),
  fsync: symbol("fsync", { parameters: ["i32"], result: "i32" }),
  fdatasync: symbol("fdatasync", { parameters: ["i32"], result: "i32" }),
  syncfs: symbol("syncfs", { parameters: ["i32"], result: "i32" }),
  fchmod: symbol("fchmod", { parameters: ["i32", "u32"], result: "i32" }),
  fchmodat: symbol("syscall", { parameters: ["i32", "i32", "buffer", "u32"], result: "i32" }),
  fchownat: symbol("fchownat", { parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" }),
  utimensat: symbol("syscall", { parameters: ["i32", "i32", "buffer", "buffer", "i32"], result: "i32" }),
  flock: symbol("flock", { parameters: ["i32", "i32"], result: "i32" }),
  fcntl: symbol("fcntl", { parameters: ["i32", "i32", "i32"], result: "i32" }),
  fcntlAsync: symbol("fcntl", { parameters: ["i32", "i32", "i32"], result: "i32", nonblocking: true }),
  fcntlBuffer: symbol("fcntl", { parameters: ["i32", "i32", "buffer"], result: "i32" }),
  ioctl: symbol("ioctl", { parameters: ["i32", "u64", "u64"], result: "i32" }),
  ioctlBuffer: symbol("ioctl", { parameters: ["i32", "u64", "buffer"], result: "i32" }),
  dup3: symbol("dup3", { parameters: ["i32", "i32", "i32"], result: "i32" }),
  pipe2: symbol("pipe2", { parameters: ["buffer", "i32"], result: "i32" }),
};

const EMPTY_PATH = cstr("");

// "/proc/self/fd/" and room for the digits of a descriptor.
const procFd = new Uint8Array(new ArrayBuffer(32));
procFd.set(new TextEncoder().encode("/proc/self/fd/"));

/**
 * The path by which a descriptor can be opened again, or its file named where a call takes no O_PATH descriptor.
 *
 * The bytes are shared: they are valid until the next call of this function on this thread, which also `reopen` and `fchmodFd` make.
 */
export function procFdPath(fd: number): CString {
  let digits = 1;
  for (let rest = fd; rest >= 10; rest = Math.trunc(rest / 10)) digits++;
  procFd[14 + digits] = 0;
  for (let at = 13 + digits, rest = fd; at >= 14; at--, rest = Math.trunc(rest / 10)) {
    procFd[at] = 48 + rest % 10;
  }
  return procFd;
}

function length(buffer: Uint8Array, count: number): bigint {
  if (count < 0 || count > buffer.length) {
    throw new RangeError(`${count} bytes of a buffer of ${buffer.length}`);
  }
  return BigInt(count);
}

/** openat(2). Returns a descriptor. Pass O_CLOEXEC unless a child is to inherit it. `mode` counts with O_CREAT and O_TMPFILE. */
export function openat(dirfd: number, path: CString, flags: number, mode: number = 0): number {
  const r = libc.openat.call(dirfd, path as Uint8Array<ArrayBuffer>, flags, mode);
  return r < 0 ? -errno[0] : r;
}

/** What openat2(2) is to do: its `struct open_how`. */
export interface OpenHow {
  /** O_* flags; unlike openat(2), unknown ones are EINVAL. */
  readonly flags: number;
  /** Permissions; must be 0 without O_CREAT or O_TMPFILE. */
  readonly mode?: number;
  /** RESOLVE_* flags. */
  readonly resolve?: number;
}

const openHow = new BigUint64Array(3);

/**
 * openat2(2), Linux 5.6. Returns a descriptor. EXDEV when RESOLVE_BENEATH refused an escape, EAGAIN when a rename or mount raced with
 * `..` and the call is to be repeated, ENOSYS on older kernels.
 */
export function openat2(dirfd: number, path: CString, how: OpenHow): number {
  openHow[0] = BigInt(how.flags >>> 0);
  openHow[1] = BigInt(how.mode ?? 0);
  openHow[2] = BigInt(how.resolve ?? 0);
  const r = libc.openat2.call(NR.openat2, dirfd, path as Uint8Array<ArrayBuffer>, openHow, 24n);
  return r < 0 ? -errno[0] : r;
}

/**
 * Opens the file of a descriptor, O_PATH or not, anew: a new open file description, with the permission checks of an open. Needs /proc.
 * The file may be one that has no name any more. O_CREAT and O_NOFOLLOW make no sense here; for a symbolic link it is ELOOP.
 */
export function reopen(fd: number, flags: number): number {
  const r = libc.openat.call(-100, procFdPath(fd) as Uint8Array<ArrayBuffer>, flags, 0);
  return r < 0 ? -errno[0] : r;
}

/** close(2). The descriptor is gone whatever is returned, except for EBADF. */
export function closeFd(fd: number): number {
  const r = libc.close.call(fd);
  return r < 0 ? -errno[0] : r;
}

/** read(2) at the descriptor's own offset. @throws {RangeError} when `count` is more than the buffer. */
export function read(fd: number, buffer: Uint8Array, count: number = buffer.length): number {
  const r = libc.read.call(fd, buffer as Uint8Array<ArrayBuffer>, length(buffer, count));
  return r < 0 ? -errno[0] : r;
}

/** write(2) at the descriptor's own offset; may write less. @throws {RangeError} when `count` is more than the buffer. */
export function write(fd: number, buffer: Uint8Array, count: number = buffer.length): number {
  const r = libc.write.call(fd, buffer as Uint8Array<ArrayBuffer>, length(buffer, count));
  return r < 0 ? -errno[0] : r;
}

/** pread(2). @throws {RangeError} when `count` is more than the buffer. */
export function pread(fd: number, buffer: Uint8Array, count: number, offset: bigint): number {
  const r = libc.pread.call(fd, buffer as Uint8Array<ArrayBuffer>, length(buffer, count), offset);
  return r < 0 ? -errno[0] : r;
}

/**
 * pwrite(2); may write less. With O_APPEND Linux writes to the end whatever the offset.
 *
 * @throws {RangeError} when `count` is more than the buffer.
 */
export function pwrite(fd: number, buffer: Uint8Array, count: number, offset: bigint): number {
  const r = libc.pwrite.call(fd, buffer as Uint8Array<ArrayBuffer>, length(buffer, count), offset);
  return r < 0 ? -errno[0] : r;
}

const pieces = new BigUint64Array(2); // struct iovec

/** pwritev2(2) with RWF_APPEND, Linux 4.16: writes to the end of the file, as with O_APPEND; may write less. */
export function writeToEnd(fd: number, buffer: Uint8Array): number {
  pieces[0] = addressOf(buffer);
  pieces[1] = BigInt(buffer.length);
  const r = libc.pwritev2.call(NR.pwritev2, fd, pieces, 1n, 0n, 0n, RWF_APPEND);
  return r < 0 ? -errno[0] : r;
}

/** pwrite(2) of all bytes of the buffer, which may be a view into a larger one; may write less. */
export function pwriteAt(fd: number, buffer: Uint8Array, offset: bigint): number {
  const r = libc.pwrite.call(fd, buffer as Uint8Array<ArrayBuffer>, BigInt(buffer.length), offset);
  return r < 0 ? -errno[0] : r;
}

/** statx(2) into a buffer of the caller's, which may be used again and again. `flags` are AT_*, `mask` is STATX_*. */
export function statx(dirfd: number, path: CString, flags: number, mask: number, out: StatxBuffer): number {
  const r = libc.statx.call(NR.statx, dirfd, path as Uint8Array<ArrayBuffer>, flags, mask, out.bytes);
  return r < 0 ? -errno[0] : r;
}

/** statx(2) of a descriptor, which may be O_PATH. `mask` is STATX_*, `flags` are more AT_* (such as AT_STATX_DONT_SYNC). */
export function fstat(fd: number, mask: number, out: StatxBuffer, flags: number = 0): number {
  const r = libc.statx.call(
    NR.statx,
    fd,
    EMPTY_PATH as Uint8Array<ArrayBuffer>,
    AT_EMPTY_PATH | flags,
    mask,
    out.bytes,
  );
  return r < 0 ? -errno[0] : r;
}

/** truncate(2), which follows a symbolic link at the end of the path. */
export function truncate(path: CString, size: bigint): number {
  const r = libc.truncate.call(path as Uint8Array<ArrayBuffer>, size);
  return r < 0 ? -errno[0] : r;
}

/** ftruncate(2). Not on O_PATH descriptors. */
export function ftruncate(fd: number, size: bigint): number {
  const r = libc.ftruncate.call(fd, size);
  return r < 0 ? -errno[0] : r;
}

/** fallocate(2). `mode` is FALLOC_FL_*. */
export function fallocate(fd: number, mode: number, offset: bigint, size: bigint): number {
  const r = libc.fallocate.call(fd, mode, offset, size);
  return r < 0 ? -errno[0] : r;
}

/** lseek(2). Returns the new offset, or a negated error number, as bigint: ENXIO when SEEK_DATA finds none. */
export function lseek(fd: number, offset: bigint, whence: number): bigint {
  for (;;) {
    const r = libc.lseek.call(fd, offset, whence);
    if (r >= 0n) return r;
    // The bigint above may have cost a garbage collection, and errno with it. A failed lseek changed nothing, so it can be asked again.
    const again = libc.lseekError.call(fd, offset, whence);
    if (again === -1) return BigInt(-errno[0]);
  }
}

const offsetIn = new BigInt64Array(1);
const offsetOut = new BigInt64Array(1);

/**
 * copy_file_range(2) at the given offsets; the descriptors' own do not move. Returns the bytes copied, which may be less: 0 at the end.
 * EXDEV across file systems where the kernel cannot do it.
 */
export function copyFileRange(
  fdIn: number,
  atIn: bigint,
  fdOut: number,
  atOut: bigint,
  count: bigint,
  flags: number = 0,
): number {
  offsetIn[0] = atIn;
  offsetOut[0] = atOut;
  const size = count > MAX_RW_COUNT ? BigInt(MAX_RW_COUNT) : count;
  const r = libc.copyFileRange.call(NR.copy_file_range, fdIn, offsetIn, fdOut, offsetOut, size, flags);
  return r < 0 ? -errno[0] : r;
}

/** fsync(2): waits until data and metadata are stored. */
export function fsync(fd: number): number {
  const r = libc.fsync.call(fd);
  return r < 0 ? -errno[0] : r;
}

/** fdatasync(2): waits until the data and what is needed to read it are stored. */
export function fdatasync(fd: number): number {
  const r = libc.fdatasync.call(fd);
  return r < 0 ? -errno[0] : r;
}

/** syncfs(2): waits until the whole file system of that descriptor is stored. */
export function syncfs(fd: number): number {
  const r = libc.syncfs.call(fd);
  return r < 0 ? -errno[0] : r;
}

/** fchmod(2). Not on O_PATH descriptors: see `fchmodFd`. */
export function fchmod(fd: number, mode: number): number {
  const r = libc.fchmod.call(fd, mode);
  return r < 0 ? -errno[0] : r;
}

/** fchmodat(2), which follows a symbolic link at the end of the path. */
export function fchmodat(dirfd: number, path: CString, mode: number): number {
  const r = libc.fchmodat.call(NR.fchmodat, dirfd, path as Uint8Array<ArrayBuffer>, mode);
  return r < 0 ? -errno[0] : r;
}

/** fchmod(2) for any descriptor, O_PATH ones too. Needs /proc. EOPNOTSUPP or success for a symbolic link, depending on the kernel. */
export function fchmodFd(fd: number, mode: number): number {
  const r = libc.fchmodat.call(NR.fchmodat, -100, procFdPath(fd) as Uint8Array<ArrayBuffer>, mode);
  return r < 0 ? -errno[0] : r;
}

/** fchownat(2). An id of 0xffffffff stays as it is. With AT_EMPTY_PATH and an empty path on any descriptor. */
export function fchownat(dirfd: number, path: CString, uid: number, gid: number, flags: number): number {
  const r = libc.fchownat.call(dirfd, path as Uint8Array<ArrayBuffer>, uid, gid, flags);
  return r < 0 ? -errno[0] : r;
}

/**
 * utimensat(2) as the kernel has it.
 *
 * @param path null for the file of `dirfd` itself, which must not be O_PATH; for that one, use `procFdPath`.
 * @param times two `struct timespec` (access, modification; each i64 seconds and i64 nanoseconds, or UTIME_NOW, UTIME_OMIT as
 * nanoseconds), 32 bytes; null for the present.
 */
export function utimensat(
  dirfd: number,
  path: CString | null,
  times: Uint8Array | null,
  flags: number,
): number {
  if (times !== null && times.length < 32) throw new RangeError("two timespecs take 32 bytes");
  const r = libc.utimensat.call(
    NR.utimensat,
    dirfd,
    path as Uint8Array<ArrayBuffer> | null,
    times as Uint8Array<ArrayBuffer> | null,
    flags,
  );
  return r < 0 ? -errno[0] : r;
}

/** flock(2). Without LOCK_NB it blocks the thread. */
export function flock(fd: number, operation: number): number {
  const r = libc.flock.call(fd, operation);
  return r < 0 ? -errno[0] : r;
}

/** fcntl(2) without an argument: F_GETFL, F_GETFD and the like. */
export function fcntlGet(fd: number, command: number): number {
  const r = libc.fcntl.call(fd, command, 0);
  return r < 0 ? -errno[0] : r;
}

/** fcntl(2) with a number: F_SETFL, F_SETFD, F_DUPFD_CLOEXEC and the like. */
export function fcntlSet(fd: number, command: number, argument: number): number {
  const r = libc.fcntl.call(fd, command, argument);
  return r < 0 ? -errno[0] : r;
}

/** fcntl(2) with a struct: F_SETLK, F_OFD_SETLK and the like take `struct flock`, 32 bytes {i16 type@0, whence@2, i64 start@8, len@16, i32 pid@24}. */
export function fcntlLock(fd: number, command: number, lock: Uint8Array): number {
  if (lock.length < 32) throw new RangeError("struct flock takes 32 bytes");
  const r = libc.fcntlBuffer.call(fd, command, lock as Uint8Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/** ioctl(2) with a buffer, which must be as large as the request says, or a number. */
export function ioctl(fd: number, request: bigint, argument: Uint8Array | bigint): number {
  if (typeof argument === "bigint") {
    const r = libc.ioctl.call(fd, request, argument);
    return r < 0 ? -errno[0] : r;
  }
  const r = libc.ioctlBuffer.call(fd, request, argument as Uint8Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/** fcntl(2) F_DUPFD_CLOEXEC: a second descriptor for the same open file description. */
export function dup(fd: number): number {
  const r = libc.fcntl.call(fd, F_DUPFD_CLOEXEC, 0);
  return r < 0 ? -errno[0] : r;
}

/**
 * Makes room for `count` descriptors in this process's table, on a thread of Deno's blocking pool. It stays: a table never becomes smaller.
 *
 * @returns 0 or more; a negative number when it could not be: `count` is above RLIMIT_NOFILE, or no memory.
 */
export async function growFileTable(count: number): Promise<number> {
  const fd = await libc.fcntlAsync.call(2, F_DUPFD_CLOEXEC, count - 1);
  if (fd >= 0) closeFd(fd);
  return fd;
}

/** dup3(2). `flags` is 0 or O_CLOEXEC. An open `to` is closed silently. */
export function dup3(from: number, to: number, flags: number): number {
  const r = libc.dup3.call(from, to, flags);
  return r < 0 ? -errno[0] : r;
}

/** pipe2(2). Puts the reading end into `ends[0]` and the writing end into `ends[1]`. */
export function pipe2(ends: Int32Array, flags: number): number {
  if (ends.length < 2) throw new RangeError("a pipe has two ends");
  const r = libc.pipe2.call(ends as Int32Array<ArrayBuffer>, flags);
  return r < 0 ? -errno[0] : r;
}
