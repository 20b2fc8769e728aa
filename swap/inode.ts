/**
 * Which file a link of /proc leads to, for telling whether two are the same.
 *
 * Not by inode number. A stub tells that of the placeholder's file until the kernel asks for attributes again, and then that of the real one
 * (fs/fuse/inode.c, fuse_change_attributes_common; attributes, fdinfo and maps alike), so that what one file had before is what another one
 * has now. A file handle names the inode itself, on FUSE by nodeid and generation, and is made without asking the file system.
 *
 * @module
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  AT_SYMLINK_FOLLOW,
  STATX_INO,
} from "../ffi/sys/constants.ts";
import { type FileHandle, nameToHandleAt } from "../ffi/sys/handles.ts";
import { fstat, statx, StatxBuffer } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import type { Place } from "./inventory.ts";

const buffer = new StatxBuffer();

/** Names the inode that a link of /proc leads to, on its device. Undefined when it leads nowhere. */
export function inodeAt(link: string): string | undefined {
  const path = cstr(link);
  const handle = nameToHandleAt(AT_FDCWD, path, AT_SYMLINK_FOLLOW);
  if (typeof handle !== "number") return named(handle);
  // A file system without handles tells one inode number only.
  return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, buffer) < 0 ? undefined : `${buffer.ino}`;
}

/** Names a place's inode, also where that was not needed to tell it apart. As long as its link leads there. */
export function inodeOfPlace({ inode, link }: Place): string | undefined {
  return inode ?? inodeAt(link);
}

/** Names the inode of a descriptor. */
export function inodeOf(fd: number): string | undefined {
  const handle = nameToHandleAt(fd, null, AT_EMPTY_PATH);
  if (typeof handle !== "number") return named(handle);
  return fstat(fd, STATX_INO, buffer, AT_STATX_DONT_SYNC) < 0 ? undefined : `${buffer.ino}`;
}

function named({ type, bytes }: FileHandle): string {
  return `${type}/${String.fromCharCode(...bytes)}`;
}
