/**
 * CRIU's link-remaps: for an open file that has lost its name, a dump with `--link-remap` gives it the name `link_remap.N`, which restore
 * opens and then unlinks. Restored onto a placeholder, it unlinks the placeholder's; the real one is unlinked when it has come.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { unlinkat } from "../ffi/sys/dir.ts";
import { closeFd, statx } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS } from "../ffi/sys/constants.ts";
import type { Origins } from "./placeholder.ts";
import { splitPath, walk } from "./walk.ts";

const REMAP = /(?:^|\/)link_remap\.\d+$/; // criu/files-reg.c
const decoder = new TextDecoder("latin1");

/** The link-remaps among what was made to stand for real files that have been unlinked from the placeholder. */
export function unlinkedRemaps(placeholder: number, origins: Origins): Uint8Array[] {
  const attributes = new StatxBuffer();
  return [...origins.values()].filter((path) =>
    REMAP.test(decoder.decode(path)) &&
    statx(placeholder, cstr(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, attributes) === -Errno.ENOENT
  );
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
