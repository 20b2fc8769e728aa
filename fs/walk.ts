/**
 * Finding files below a directory by name, one component after the other, without ever leaving it or following a symbolic link.
 *
 * @module
 */
import { closeFd, openat } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../ffi/sys/constants.ts";

/** The components of a relative path, NUL-terminated. */
export function splitPath(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(0x2f, start);
    const end = slash < 0 ? path.length : slash;
    names.push(cstr(path.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

/** An O_PATH descriptor of the file that names lead to below `root`, one by one, following no symbolic link; or -errno. */
export function walk(names: readonly Uint8Array[], root: number): number {
  let at = root;
  for (const name of names) {
    const next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (at !== root) closeFd(at);
    if (next < 0) return next;
    at = next;
  }
  return at;
}
