/**
 * Root and current directory of the calling thread: of the whole process, or of the thread alone once it has called
 * unshare(CLONE_FS).
 *
 * @module
 */
import { NR } from "./arch.ts";
import { cstr, type CString, errno, symbol } from "./libc.ts";

const libc = {
  chroot: symbol("chroot", { parameters: ["buffer"], result: "i32" }),
  fchdir: symbol("fchdir", { parameters: ["i32"], result: "i32" }),
  pivotRoot: symbol("syscall", { parameters: ["i32", "buffer", "buffer"], result: "i32" }),
};

const HERE = cstr(".");

/** fchdir(2). The descriptor may be O_PATH. */
export function fchdir(fd: number): number {
  const r = libc.fchdir.call(fd);
  return r < 0 ? -errno[0] : r;
}

/** chroot(2). The current directory stays. Needs CAP_SYS_CHROOT. */
export function chroot(path: CString): number {
  const r = libc.chroot.call(path as Uint8Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/**
 * pivot_root(2): makes a mount the root of the thread's mount namespace, puts the old root at `putOld`, and moves every task of the namespace
 * that has exactly the old root as its root or current directory. EINVAL, EBUSY and EPERM as its man page says.
 */
export function pivotRoot(newRoot: CString, putOld: CString): number {
  type Bytes = Uint8Array<ArrayBuffer>;
  const r = libc.pivotRoot.call(NR.pivot_root, newRoot as Bytes, putOld as Bytes);
  return r < 0 ? -errno[0] : r;
}

/** Makes a directory both the current one and the root. When the second fails, it is the current one only. */
export function chrootTo(fd: number): number {
  const r = fchdir(fd);
  return r < 0 ? r : chroot(HERE);
}
