/**
 * Namespaces of the calling thread.
 *
 * Both calls change this one thread for good: threads it starts later (those of Deno's pools among them) inherit that, and asynchronous
 * Deno operations may run on either kind. Use them in a worker of their own that makes synchronous calls only and ends afterwards.
 *
 * @module
 */
import { errno, symbol } from "./libc.ts";

const libc = {
  unshare: symbol("unshare", { parameters: ["i32"], result: "i32" }),
  setns: symbol("setns", { parameters: ["i32", "i32"], result: "i32" }),
};

/** unshare(2): gives this thread its own of what CLONE_* names. CLONE_NEWNS implies CLONE_FS. EPERM without CAP_SYS_ADMIN. */
export function unshare(flags: number): number {
  const r = libc.unshare.call(flags);
  return r < 0 ? -errno[0] : r;
}

/**
 * setns(2): moves this thread into the namespace of a descriptor. `type` is CLONE_NEW* or 0 for whatever it is. For a mount namespace
 * unshare(CLONE_FS) must have come first (EINVAL), and root and current directory become the root of the namespace.
 */
export function setns(fd: number, type: number): number {
  const r = libc.setns.call(fd, type);
  return r < 0 ? -errno[0] : r;
}
