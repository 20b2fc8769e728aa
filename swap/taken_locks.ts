/**
 * Locks that somebody else has taken meanwhile: where the target is another file system than the source, neither knew of the other's.
 *
 * @module
 */
import {
  F_OFD_GETLK,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
} from "../ffi/sys/constants.ts";
import { Errno } from "../ffi/errno.ts";
import { fcntlLock, flock } from "../ffi/sys/file.ts";
import type { LockEntry } from "./procfs/fdinfo.ts";

/**
 * The first of some locks that a description cannot get because of somebody else's. Asks the file's server, and never waits for a lock.
 * There is no way to only ask for one of flock(2): it is taken, and given up again, since it would be told of as this process's.
 *
 * @param fd a description without any locks, of a file that those who have the locks do not have locked by others
 */
export function takenLock(fd: number, locks: readonly LockEntry[]): LockEntry | undefined {
  return locks.find((lock) => {
    if (lock.kind === "FLOCK") {
      const result = flock(fd, (lock.type === "WRITE" ? LOCK_EX : LOCK_SH) | LOCK_NB);
      if (result >= 0) flock(fd, LOCK_UN);
      return result === -Errno.EAGAIN;
    }
    return (lock.kind === "POSIX" || lock.kind === "OFDLCK") && isRangeTaken(fd, lock);
  });
}

/** Locks of a process and those of a description are in each other's way, so that asking for one kind tells of both. */
function isRangeTaken(fd: number, { type, start, end }: LockEntry): boolean {
  const view = new DataView(new ArrayBuffer(32));
  view.setInt16(0, type === "WRITE" ? F_WRLCK : F_RDLCK, true);
  view.setBigInt64(8, start, true);
  view.setBigInt64(16, end === undefined ? 0n : end - start + 1n, true);
  // What cannot be asked for fails when it is taken.
  if (fcntlLock(fd, F_OFD_GETLK, new Uint8Array(view.buffer)) < 0) return false;
  return view.getInt16(0, true) !== F_UNLCK;
}
