/**
 * Processes: signals, descriptors for them, limits, and their files in /proc.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { NR } from "./arch.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { closeFd, openat, read } from "./file.ts";
import { cstr, errno, symbol } from "./libc.ts";

const libc = {
  kill: symbol("kill", { parameters: ["i32", "i32"], result: "i32" }),
  pidfdOpen: symbol("syscall", { parameters: ["i32", "i32", "u32"], result: "i32" }),
  prlimit: symbol("prlimit", { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" }),
};

/** kill(2). Signal 0 only checks: ESRCH when there is no such process, EPERM when there is one of somebody else. */
export function kill(pid: number, signal: number): number {
  const r = libc.kill.call(pid, signal);
  return r < 0 ? -errno[0] : r;
}

/** pidfd_open(2), Linux 5.3. Returns a descriptor, always close-on-exec, that becomes readable when the process ends. */
export function pidfdOpen(pid: number, flags: number): number {
  const r = libc.pidfdOpen.call(NR.pidfd_open, pid, flags);
  return r < 0 ? -errno[0] : r;
}

/** A resource limit; 2^64-1 is no limit. */
export interface Rlimit {
  /** What counts. */
  soft: bigint;
  /** What an unprivileged process may raise the soft limit to. */
  hard: bigint;
}

/**
 * prlimit(2): reads a limit, and sets it when a new one is given.
 *
 * @param pid 0 for this process.
 * @param resource RLIMIT_*.
 * @returns the limit before, or a negated error number: EPERM when the hard limit would rise without CAP_SYS_RESOURCE.
 */
export function prlimit64(pid: number, resource: number, limit?: Rlimit): Rlimit | number {
  const next = limit === undefined ? null : new BigUint64Array([limit.soft, limit.hard]);
  const before = new BigUint64Array(2);
  const r = libc.prlimit.call(pid, resource, next, before);
  return r < 0 ? -errno[0] : { soft: before[0]!, hard: before[1]! };
}

/**
 * All bytes of a file of /proc or /sys, read with plain system calls on this thread (Deno's own file operations may run on another one,
 * which may be in another mount namespace).
 *
 * @param directory where a path begins that is relative: /proc itself, for a thread in a mount namespace that does not have ours.
 * @returns the bytes, or a negated error number: ENOENT, or ESRCH when the process ended meanwhile.
 */
export function readProcFile(path: string | Uint8Array, directory: number = AT_FDCWD): Uint8Array | number {
  const fd = openat(directory, cstr(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  let bytes = new Uint8Array(8192);
  let length = 0;
  for (;;) {
    if (length === bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
    const count = read(fd, bytes.subarray(length));
    if (count === -Errno.EINTR) continue;
    if (count <= 0) {
      closeFd(fd);
      return count < 0 ? count : bytes.subarray(0, length);
    }
    length += count;
  }
}
