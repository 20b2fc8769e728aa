/**
 * By which name a file is known whose link ends in ` (deleted)`.
 *
 * @module
 */
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFMT,
  STATX_BASIC_STATS,
  STATX_MNT_ID,
} from "../ffi/sys/constants.ts";
import { closeFd, fstat, openat, openat2, StatxBuffer } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { inodeOf } from "./inode.ts";
import type { Place } from "./inventory.ts";
import { deletedSuffix } from "./procfs/names.ts";

const SLASH = 0x2f;
const HOW = {
  flags: O_PATH | O_NOFOLLOW | O_CLOEXEC,
  resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
};
const buffer = new StatxBuffer();

/**
 * The name of a file that has at least one and whose link ends in ` (deleted)`. It is really called that; or the kernel has forgotten the
 * name, which is still there; or the name is gone and it has another one, which nothing tells. Looks both names up on the source; where its
 * mountpoint cannot be reached, a file of the first name and of the same type on the target decides.
 *
 * @returns the path below the source's root; undefined for a file with another name
 */
export function trueName(place: Place): Uint8Array | undefined {
  const { source, path } = place;
  if (path.length === 0 || path[0] === SLASH) return undefined;
  const whole = new Uint8Array(path.length + deletedSuffix.length);
  whole.set(path);
  whole.set(deletedSuffix, path.length);
  const root = openat(AT_FDCWD, cstr(source.mountpoint), O_PATH | O_CLOEXEC);
  try {
    if (root >= 0 && fstat(root, STATX_MNT_ID, buffer) === 0 && Number(buffer.mntId) === source.id) {
      return [whole, path].find((name) => leadsTo(root, name, place));
    }
  } finally {
    if (root >= 0) closeFd(root);
  }
  return hasType(source.targetFd, whole, place.mode & S_IFMT) ? whole : undefined;
}

/** Whether a name on the source is the place's. */
function leadsTo(root: number, name: Uint8Array, { inode }: Place): boolean {
  const fd = openat2(root, cstr(name), HOW);
  if (fd < 0) return false;
  const found = inodeOf(fd);
  closeFd(fd);
  return found === inode;
}

function hasType(root: number, name: Uint8Array, type: number): boolean {
  const fd = openat2(root, cstr(name), HOW);
  if (fd < 0) return false;
  const found = fstat(fd, STATX_BASIC_STATS, buffer) === 0 && (buffer.mode & S_IFMT) === type;
  closeFd(fd);
  return found;
}
