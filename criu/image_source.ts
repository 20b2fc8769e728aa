/**
 * Where images come from: a directory, or what a test makes up.
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { fstat, openat, pread } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { ImageError } from "./image_error.ts";

/** Files by name. */
export interface ImageSource {
  /** The names of all files. @throws {SysError} */
  names(): string[];
  /**
   * The content of a file, of a longer one its first `most` bytes; undefined when there is none of this name.
   *
   * @throws {ImageError} for what is no regular file; {SysError}
   */
  read(name: string, most: number): { bytes: Uint8Array; size: number } | undefined;
}

/**
 * The images of a directory. Blocks as reading files does; takes no more memory than the files are long.
 *
 * @param directory a path; every look at it resolves it anew
 */
export function directorySource(directory: string): ImageSource {
  return {
    names: () => {
      try {
        return [...Deno.readDirSync(directory)].map(({ name }) => name);
      } catch (error) {
        throw new SysError("readdir", errnoOf(error), { path: directory });
      }
    },
    read: (name, most) => readFile(directory, name, most),
  };
}

function errnoOf(error: unknown): number {
  if (error instanceof Deno.errors.NotFound) return Errno.ENOENT;
  if (error instanceof Deno.errors.NotADirectory) return Errno.ENOTDIR;
  return error instanceof Deno.errors.PermissionDenied ? Errno.EACCES : Errno.EIO;
}

function readFile(directory: string, name: string, most: number): ReturnType<ImageSource["read"]> {
  const path = `${directory}/${name}`;
  // A FIFO in place of an image must not hold us up.
  const opened = openat(AT_FDCWD, cstr(path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (opened === -Errno.ENOENT) return undefined;
  using fd = Fd.own(check(opened, "open", path));
  const stat = new StatxBuffer();
  check(fstat(fd.raw, STATX_BASIC_STATS, stat), "fstat", path);
  if ((stat.mode & S_IFMT) !== S_IFREG) throw new ImageError(name, undefined, "no regular file");
  const size = Number(stat.size);
  const bytes = new Uint8Array(Math.min(size, most));
  let filled = 0;
  while (filled < bytes.length) {
    const rest = bytes.subarray(filled);
    const count = check(pread(fd.raw, rest, rest.length, BigInt(filled)), "pread", path);
    if (count === 0) throw new ImageError(name, filled, "cut off while it was read");
    filled += count;
  }
  return { bytes, size };
}
