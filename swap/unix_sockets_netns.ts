/**
 * Short visits of the calling thread to other network namespaces.
 *
 * @module
 */
import { AT_FDCWD, CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from "../ffi/sys/constants.ts";
import { readlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { setns } from "../ffi/sys/namespace.ts";

const OWN = "/proc/thread-self/ns/net";

/** The text of a link of /proc, such as `net:[4026531840]`; undefined when there is none (any more). */
export function linkText(path: string): string | undefined {
  const buffer = new Uint8Array(256);
  const length = readlinkat(AT_FDCWD, cstr(path), buffer);
  return length < 0 ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
}

/** Opens a namespace by its file in /proc; undefined when the process is gone. */
export function openNamespace(path: string): Fd | undefined {
  const fd = openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC);
  return fd < 0 ? undefined : Fd.own(fd);
}

/**
 * Does something in a network namespace: `visit` must be synchronous. The thread is back when this returns.
 *
 * @param fd the namespace.
 * @throws {SysError} EPERM without CAP_SYS_ADMIN in the user namespaces of both.
 */
export function inNetworkNamespace<T>(fd: number, visit: () => T): T {
  if (linkText(`/proc/thread-self/fd/${fd}`) === linkText(OWN)) return visit();
  using home = Fd.own(check(openat(AT_FDCWD, cstr(OWN), O_RDONLY | O_CLOEXEC), "open", OWN));
  check(setns(fd, CLONE_NEWNET), "setns");
  try {
    return visit();
  } finally {
    check(setns(home.raw, CLONE_NEWNET), "setns");
  }
}
