/**
 * Files by handle: a name that stays the same as long as the file lives, whatever it is called.
 *
 * @module
 */
import { cstr, type CString, errno, symbol } from "./libc.ts";

const libc = {
  nameToHandleAt: symbol("name_to_handle_at", {
    parameters: ["i32", "buffer", "buffer", "buffer", "i32"],
    result: "i32",
  }),
  openByHandleAt: symbol("open_by_handle_at", { parameters: ["i32", "buffer", "i32"], result: "i32" }),
};

/** The most bytes that a handle has: MAX_HANDLE_SZ. */
const MAX_HANDLE_SIZE = 128;

/** What a file system calls one of its files. */
export interface FileHandle {
  /** Of which kind the bytes are; 0xff for none. */
  readonly type: number;
  /** The name, 1 to 128 bytes. */
  readonly bytes: Uint8Array;
}

const EMPTY_PATH = cstr("");
const mountId = new Int32Array(1);

/**
 * name_to_handle_at(2).
 *
 * @param path null for the file of `dirfd` itself, with AT_EMPTY_PATH in `flags`.
 * @returns the handle, or a negated error number: EOPNOTSUPP when the file system has none.
 */
export function nameToHandleAt(dirfd: number, path: CString | null, flags: number): FileHandle | number {
  // struct file_handle {u32 handle_bytes@0, i32 handle_type@4, u8 f_handle[]@8}
  const handle = new Uint8Array(new ArrayBuffer(8 + MAX_HANDLE_SIZE));
  const view = new DataView(handle.buffer);
  view.setUint32(0, MAX_HANDLE_SIZE, true);
  const name = (path ?? EMPTY_PATH) as Uint8Array<ArrayBuffer>;
  const r = libc.nameToHandleAt.call(dirfd, name, handle, mountId, flags);
  if (r < 0) return -errno[0];
  return { type: view.getInt32(4, true), bytes: handle.slice(8, 8 + view.getUint32(0, true)) };
}

/**
 * open_by_handle_at(2). Needs CAP_DAC_READ_SEARCH in the first user namespace.
 *
 * @param mountFd any file of the mount that the file is to be seen through, not O_PATH (EBADF).
 * @param flags as for openat(2); without O_CREAT. O_PATH works and asks nothing of the file.
 * @returns a descriptor, or a negated error number: ESTALE when there is no such file (any more).
 * @throws {RangeError} when the handle has no bytes or too many.
 */
export function openByHandleAt(mountFd: number, handle: FileHandle, flags: number): number {
  const { type, bytes } = handle;
  if (bytes.length === 0 || bytes.length > MAX_HANDLE_SIZE) {
    throw new RangeError(`a handle of ${bytes.length} bytes`);
  }
  const whole = new Uint8Array(new ArrayBuffer(8 + bytes.length));
  const view = new DataView(whole.buffer);
  view.setUint32(0, bytes.length, true);
  view.setInt32(4, type, true);
  whole.set(bytes, 8);
  const r = libc.openByHandleAt.call(mountFd, whole, flags);
  return r < 0 ? -errno[0] : r;
}
