/**
 * inotify(7): instances and their watches. Each returns 0 or more, or a negated error number.
 *
 * @module
 */
import { ioctl } from "./file.ts";
import { type CString, errno, symbol } from "./libc.ts";

const libc = {
  init: symbol("inotify_init1", { parameters: ["i32"], result: "i32" }),
  addWatch: symbol("inotify_add_watch", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
  removeWatch: symbol("inotify_rm_watch", { parameters: ["i32", "i32"], result: "i32" }),
};

/** `_IOW('I', 0, __s32)`. */
const INOTIFY_IOC_SETNEXTWD = 0x40044900n;

/**
 * inotify_init1(2). Returns a descriptor. `flags` are IN_CLOEXEC and IN_NONBLOCK. EMFILE when the caller's user has as many instances as
 * /proc/sys/fs/inotify/max_user_instances (128, usually) allows.
 */
export function inotifyInit1(flags: number): number {
  const r = libc.init.call(flags);
  return r < 0 ? -errno[0] : r;
}

/**
 * inotify_add_watch(2). Returns the watch descriptor. Needs the right to read the file. ENOSPC when the user of the instance's maker has
 * as many watches as max_user_watches allows, EEXIST for IN_MASK_CREATE.
 */
export function inotifyAddWatch(fd: number, path: CString, mask: number): number {
  const r = libc.addWatch.call(fd, path as Uint8Array<ArrayBuffer>, mask >>> 0);
  return r < 0 ? -errno[0] : r;
}

/** inotify_rm_watch(2). Queues IN_IGNORED. */
export function inotifyRemoveWatch(fd: number, watch: number): number {
  const r = libc.removeWatch.call(fd, watch);
  return r < 0 ? -errno[0] : r;
}

/**
 * ioctl(2) INOTIFY_IOC_SETNEXTWD, Linux 4.16: the lowest number that the next watch may get, from 1 on. ENOTTY without
 * CONFIG_CHECKPOINT_RESTORE.
 */
export function inotifySetNextWatch(fd: number, watch: number): number {
  return ioctl(fd, INOTIFY_IOC_SETNEXTWD, BigInt(watch));
}
