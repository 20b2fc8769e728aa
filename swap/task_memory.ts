/**
 * A task's memory, by `/proc/TID/mem`. What fails is told with the task and the address, of which nothing is made up before it does.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { AT_FDCWD, O_CLOEXEC } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat, pread, pwriteAt } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";

/** Opens a file of a task's directory in /proc. @throws {SysError} ENOENT, ESRCH when the task has ended */
export function openTask(tid: number, name: string, flags: number): Fd {
  const path = `/proc/${tid}/${name}`;
  return Fd.own(check(openat(AT_FDCWD, cstr(path), flags | O_CLOEXEC), "open", path));
}

/** Fills `bytes` from an address, by an open `mem`. @throws {SysError} EFAULT when not all of it is there */
export function readMemory(tid: number, memory: number, bytes: Uint8Array, address: number): void {
  const got = pread(memory, bytes, bytes.length, BigInt(address));
  if (got !== bytes.length) throw failure("read", tid, address, got);
}

/** Writes all of `bytes` to an address, by an open `mem`. @throws {SysError} EFAULT when not all of it was taken; EIO behind a file's end */
export function writeMemory(tid: number, memory: number, bytes: Uint8Array, address: number): void {
  const put = pwriteAt(memory, bytes, BigInt(address));
  if (put !== bytes.length) throw failure("write", tid, address, put);
}

function failure(call: string, tid: number, address: number, result: number): SysError {
  const path = `/proc/${tid}/mem at 0x${address.toString(16)}`;
  return new SysError(call, result < 0 ? -result : Errno.EFAULT, { path });
}
