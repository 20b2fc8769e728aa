/**
 * Extended attributes, by path and by descriptor. One function for each system call of that name: those that start with `l` do not follow
 * a symbolic link at the end of the path, those that start with `f` take a descriptor, which must not be O_PATH; for that one, use the
 * first kind with `procFdPath`. All block as the call does. Each returns 0 or more, or a negated error number: ENODATA when there is no
 * such attribute, ERANGE when the buffer is too small, EOPNOTSUPP where there are none.
 *
 * @module
 */
import { type CString, errno, symbol } from "./libc.ts";

const set = { parameters: ["buffer", "buffer", "buffer", "usize", "i32"], result: "i32" } as const;
const get = { parameters: ["buffer", "buffer", "buffer", "usize"], result: "i32" } as const;
const list = { parameters: ["buffer", "buffer", "usize"], result: "i32" } as const;
const remove = { parameters: ["buffer", "buffer"], result: "i32" } as const;

const libc = {
  setxattr: symbol("setxattr", set),
  lsetxattr: symbol("lsetxattr", set),
  fsetxattr: symbol("fsetxattr", { parameters: ["i32", "buffer", "buffer", "usize", "i32"], result: "i32" }),
  getxattr: symbol("getxattr", get),
  lgetxattr: symbol("lgetxattr", get),
  fgetxattr: symbol("fgetxattr", { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" }),
  listxattr: symbol("listxattr", list),
  llistxattr: symbol("llistxattr", list),
  flistxattr: symbol("flistxattr", { parameters: ["i32", "buffer", "usize"], result: "i32" }),
  removexattr: symbol("removexattr", remove),
  lremovexattr: symbol("lremovexattr", remove),
  fremovexattr: symbol("fremovexattr", { parameters: ["i32", "buffer"], result: "i32" }),
};

type Bytes = Uint8Array<ArrayBuffer>;

/** setxattr(2). `flags` are 0 or XATTR_*. */
export function setxattr(path: CString, name: CString, value: Uint8Array, flags: number): number {
  const r = libc.setxattr.call(path as Bytes, name as Bytes, value as Bytes, BigInt(value.length), flags);
  return r < 0 ? -errno[0] : r;
}

/** lsetxattr(2). `flags` are 0 or XATTR_*. */
export function lsetxattr(path: CString, name: CString, value: Uint8Array, flags: number): number {
  const r = libc.lsetxattr.call(path as Bytes, name as Bytes, value as Bytes, BigInt(value.length), flags);
  return r < 0 ? -errno[0] : r;
}

/** fsetxattr(2). `flags` are 0 or XATTR_*. */
export function fsetxattr(fd: number, name: CString, value: Uint8Array, flags: number): number {
  const r = libc.fsetxattr.call(fd, name as Bytes, value as Bytes, BigInt(value.length), flags);
  return r < 0 ? -errno[0] : r;
}

/** getxattr(2). Returns the length of the value, which is not filled in when the buffer has length 0. */
export function getxattr(path: CString, name: CString, value: Uint8Array): number {
  const r = libc.getxattr.call(path as Bytes, name as Bytes, value as Bytes, BigInt(value.length));
  return r < 0 ? -errno[0] : r;
}

/** lgetxattr(2). Returns the length of the value, which is not filled in when the buffer has length 0. */
export function lgetxattr(path: CString, name: CString, value: Uint8Array): number {
  const r = libc.lgetxattr.call(path as Bytes, name as Bytes, value as Bytes, BigInt(value.length));
  return r < 0 ? -errno[0] : r;
}

/** fgetxattr(2). Returns the length of the value, which is not filled in when the buffer has length 0. */
export function fgetxattr(fd: number, name: CString, value: Uint8Array): number {
  const r = libc.fgetxattr.call(fd, name as Bytes, value as Bytes, BigInt(value.length));
  return r < 0 ? -errno[0] : r;
}

/** listxattr(2). Returns the length of the names, each ended by a NUL; they are not filled in when the buffer has length 0. */
export function listxattr(path: CString, names: Uint8Array): number {
  const r = libc.listxattr.call(path as Bytes, names as Bytes, BigInt(names.length));
  return r < 0 ? -errno[0] : r;
}

/** llistxattr(2). Returns the length of the names, each ended by a NUL; they are not filled in when the buffer has length 0. */
export function llistxattr(path: CString, names: Uint8Array): number {
  const r = libc.llistxattr.call(path as Bytes, names as Bytes, BigInt(names.length));
  return r < 0 ? -errno[0] : r;
}

/** flistxattr(2). Returns the length of the names, each ended by a NUL; they are not filled in when the buffer has length 0. */
export function flistxattr(fd: number, names: Uint8Array): number {
  const r = libc.flistxattr.call(fd, names as Bytes, BigInt(names.length));
  return r < 0 ? -errno[0] : r;
}

/** removexattr(2). */
export function removexattr(path: CString, name: CString): number {
  const r = libc.removexattr.call(path as Bytes, name as Bytes);
  return r < 0 ? -errno[0] : r;
}

/** lremovexattr(2). */
export function lremovexattr(path: CString, name: CString): number {
  const r = libc.lremovexattr.call(path as Bytes, name as Bytes);
  return r < 0 ? -errno[0] : r;
}

/** fremovexattr(2). */
export function fremovexattr(fd: number, name: CString): number {
  const r = libc.fremovexattr.call(fd, name as Bytes);
  return r < 0 ? -errno[0] : r;
}
