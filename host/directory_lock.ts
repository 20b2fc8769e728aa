/**
 * The lock under which sockets of a directory are made and taken away: who looks whether a socket is deserted, and then removes it, must
 * not meet one that is just being made.
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import { AT_FDCWD, LOCK_EX, LOCK_NB, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { flock, openat } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";

/** How long is waited for the lock, in milliseconds: who has it needs it for a moment only. */
const patienceMs = 5000;

/** The pause between two attempts, in milliseconds. */
const attemptEveryMs = 5;

/**
 * Locks a directory (flock(2)) until the descriptor is closed. Does not block the thread, since the one who has the lock may be on it.
 *
 * @throws {SysError} EAGAIN when another one keeps it; of openat(2)
 */
export async function lockDirectory(directory: string): Promise<Fd> {
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const owned = Fd.own(check(openat(AT_FDCWD, cstr(directory), flags), "openat", directory));
  const until = performance.now() + patienceMs;
  for (;;) {
    const result = flock(owned.raw, LOCK_EX | LOCK_NB);
    if (result >= 0) return owned;
    if ((result !== -Errno.EAGAIN && result !== -Errno.EINTR) || performance.now() >= until) {
      owned.close();
      throw new SysError("flock", -result, { path: directory });
    }
    await new Promise((resolve) => setTimeout(resolve, attemptEveryMs));
  }
}
