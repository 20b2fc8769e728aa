/**
 * Doing something in another network namespace: file systems that are reached by the network keep the one that they are mounted in.
 *
 * @module
 */

import { errnoName } from "../ffi/errno.ts";
import { AT_FDCWD, CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { setns } from "../ffi/sys/namespace.ts";

/** The thread cannot come back to its own network namespace: it must end. */
export class NetworkLost extends Error {
  /** The error's name. */
  override readonly name = "NetworkLost";
}

/**
 * Does something in the network namespace that a path leads to (/proc/PID/ns/net, /run/netns/NAME), in the thread's own when there is none.
 * `act` is synchronous; the thread is in that namespace for as long as it blocks.
 *
 * @throws {SysError} of open(2): ENOENT, EACCES; EINVAL when it is no network namespace, EPERM without CAP_SYS_ADMIN there
 * @throws {NetworkLost}, and what `act` throws
 */
export function inNetwork<T>(path: Uint8Array | undefined, act: () => T): T {
  if (path === undefined) return act();
  const flags = O_RDONLY | O_CLOEXEC;
  const ownPath = "/proc/thread-self/ns/net";
  using own = Fd.own(check(openat(AT_FDCWD, cstr(ownPath), flags), "open", ownPath));
  using other = Fd.own(check(openat(AT_FDCWD, cstr(path), flags), "open", path));
  check(setns(other.raw, CLONE_NEWNET), "setns", path);
  try {
    return act();
  } finally {
    const back = setns(own.raw, CLONE_NEWNET);
    const lost = back < 0
      ? new NetworkLost(`cannot come back from a network namespace: ${errnoName(-back)}`)
      : null;
    // deno-lint-ignore no-unsafe-finally -- whatever else happened, this thread would do everything else in the wrong place
    if (lost !== null) throw lost;
  }
}
