/**
 * CRIU's link-remaps: for an open file that has lost its name, a dump with `--link-remap` gives it the name `link_remap.N`, which restore
 * opens and then unlinks. Restored onto a placeholder, it unlinks the placeholder's; the real one is unlinked when it has come. Whoever else
 * keeps such names says so by an attribute of the placeholder's file.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { unlinkat } from "../ffi/sys/dir.ts";
import { closeFd, statx } from "../ffi/sys/file.ts";
import { getxattr } from "../ffi/sys/xattr.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS } from "../ffi/sys/constants.ts";
import type { Origins } from "./placeholder.ts";
import { splitPath, walk } from "./walk.ts";

/** By this attribute a file that has lost its name may tell the real one's: a path from the mountpoint. CRIU of OpenVZ sets it, with spfs of 2016. */
const TOLD = cstr("security.spfs.link_remap");
const PATH_MAX = 4096;

const REMAP = /(?:^|\/)link_remap\.\d+$/; // criu/files-reg.c
const decoder = new TextDecoder("latin1");

/** The link-remaps among what was made to stand for real files that have been unlinked from the placeholder. */
export function unlinkedRemaps(placeholder: number, origins: Origins): Uint8Array[] {
  const attributes = new StatxBuffer();
  return [...origins.values()].filter((path) =>
    isRemap(path) &&
    statx(placeholder, cstr(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, attributes) === -Errno.ENOENT
  );
}

/** The path that the attribute of a file tells, which an O_PATH descriptor leads to, without "/" before it; undefined when it tells none. */
export function toldRemap(fd: number): Uint8Array | undefined {
  const value = new Uint8Array(new ArrayBuffer(PATH_MAX));
  const length = getxattr(cstr(`/proc/self/fd/${fd}`), TOLD, value);
  const told = String.fromCharCode(...value.subarray(0, Math.max(length, 0))).replace(/\0.*$/s, "").replace(
    /^\/+/,
    "",
  );
  const isPath = told.split("/").every((name) => name !== "" && name !== "." && name !== "..");
  return isPath ? Uint8Array.from(told, (byte) => byte.charCodeAt(0)) : undefined;
}

/** Whether a path is that of a link-remap, which is nobody's but CRIU's. */
export function isRemap(path: Uint8Array): boolean {
  return REMAP.test(decoder.decode(path));
}

/** Unlinks one from the real file system. Whether it is gone; that it was not there is as good. */
export function unlinkRemap(root: number, path: Uint8Array): boolean {
  const names = splitPath(path);
  const name = names.pop()!;
  const directory = walk(names, root);
  if (directory < 0) return directory === -Errno.ENOENT;
  const result = unlinkat(directory, name, 0);
  if (directory !== root) closeFd(directory);
  return result >= 0 || result === -Errno.ENOENT;
}
