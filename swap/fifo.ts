/**
 * FIFOs: the ends that processes hold of one are made anew on another, with what is queued.
 *
 * A FIFO's file system only stores its name: what is queued is in memory, one queue for each inode, as long as any end is open.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  F_GETFL,
  F_GETPIPE_SZ,
  F_SETFL,
  F_SETPIPE_SZ,
  O_ACCMODE,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_DIRECT,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLHUP,
  SPLICE_F_NONBLOCK,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { fcntlGet, fcntlSet, reopen } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import { bytesQueued, tee } from "../ffi/sys/pipe.ts";
import { PollSet } from "../ffi/sys/poll.ts";

/** More than a pipe can hold. */
const EVERYTHING = 0x7fffffff;

/** What fcntl(2) F_SETFL can change of a FIFO's flags, without O_ASYNC. */
const SETTABLE = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

/** An open end of a FIFO, as far as another one can be made like it. */
export interface FifoEnd {
  /** Access mode and status flags, as F_GETFL tells them. */
  readonly flags: number;
  /**
   * Whether it was opened before a writer came who is gone: read(2) says 0 in either case, but only then does poll(2) say POLLHUP.
   * Without meaning while somebody has it open for writing.
   */
  readonly hungUp: boolean;
}

/** What a descriptor of a FIFO is. @throws {SysError} EBADF. */
export function fifoEnd(fd: number): FifoEnd {
  const flags = check(fcntlGet(fd, F_GETFL), "fcntl");
  const poll = new PollSet([{ fd, events: 0 }]);
  check(poll.wait(0), "poll");
  return { flags, hungUp: (poll.revents(0) & POLLHUP) !== 0 };
}

/**
 * Queues what is queued in one pipe or FIFO in another one, message boundaries included. Nothing is consumed, so that giving up the new
 * one afterwards has lost nothing. The new one is made to hold exactly as much as the old one.
 *
 * @param from any descriptor of the old one but an O_PATH one. One for reading is used as it is. If it is for writing only and something
 * is queued, the FIFO is opened for reading for a moment, which ends the waiting of those that are opening it for writing.
 * @param to a descriptor of the new one, open for reading and writing; nothing may be queued there.
 * @returns the bytes.
 * @throws {SysError} EBUSY when something is queued in the new one; ENOBUFS when not everything could be queued there, since neither may
 * this process make it as large as the old one.
 */
export function copyFifoData(from: number, to: number): number {
  if (check(bytesQueued(to), "ioctl FIONREAD") > 0) throw new SysError("tee", Errno.EBUSY);
  const size = check(fcntlGet(from, F_GETPIPE_SZ), "fcntl F_GETPIPE_SZ");
  if (fcntlGet(to, F_GETPIPE_SZ) !== size) {
    const result = fcntlSet(to, F_SETPIPE_SZ, size);
    // EPERM: larger than /proc/sys/fs/pipe-max-size. What is queued may fit nevertheless.
    if (result !== -Errno.EPERM) check(result, "fcntl F_SETPIPE_SZ");
  }
  const queued = check(bytesQueued(from), "ioctl FIONREAD");
  if (queued === 0) return 0;
  const readable = (check(fcntlGet(from, F_GETFL), "fcntl") & O_ACCMODE) !== O_WRONLY;
  using source = readable
    ? undefined
    : Fd.own(check(reopen(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open", "/proc/self/fd"));
  const copied = check(tee(source?.raw ?? from, to, EVERYTHING, SPLICE_F_NONBLOCK), "tee");
  if (copied < queued) throw new SysError("tee", Errno.ENOBUFS);
  return copied;
}

/**
 * Opens ends of a FIFO without waiting for other ends, with access mode and status flags as wanted, O_ASYNC (it belongs to the
 * descriptor's owner, which is not known here) and O_NOFOLLOW excepted, after what is queued in an old FIFO has been queued in it.
 *
 * Each end sees of the others what it would see if all had been opened in the order in which the old ones were. This holds as long as
 * somebody keeps all descriptors that are returned; from then on each may be closed on its own.
 *
 * @param fifo a descriptor of the new FIFO, O_PATH or not.
 * @param ends what is wanted.
 * @param old a descriptor of the old FIFO, see `copyFifoData`. Undefined for an empty FIFO of the usual size.
 * @returns the descriptors, close-on-exec, in the order of `ends`.
 * @throws {SysError} EACCES and the like from the opening, and as `copyFifoData` does. Nothing is left open then.
 */
export function openFifoEnds(fifo: number, ends: readonly FifoEnd[], old: number | undefined): Fd[] {
  using stack = new DisposableStack();
  // Keeps the queue from when there is no writer until the readers that must not have seen one are open.
  const keeper = stack.use(openEnd(fifo, O_RDONLY | O_NONBLOCK));
  const holder = stack.use(openEnd(fifo, O_RDWR | O_NONBLOCK));
  if (old !== undefined) copyFifoData(old, holder.raw);
  // A reader that is opened while the FIFO is open for writing hangs up when it no longer is; one that is opened without a writer does not.
  const written = ends.some(({ flags }) => (flags & O_ACCMODE) !== O_RDONLY);
  const isQuiet = (end: FifoEnd) => !written && !end.hungUp;
  const open = (end: FifoEnd) => stack.use(openEnd(fifo, end.flags));
  const loud = ends.map((end) => isQuiet(end) ? undefined : open(end));
  holder.close();
  const result = ends.map((end, index) => loud[index] ?? open(end));
  keeper.close();
  stack.move();
  return result;
}

/**
 * Opens ends of a FIFO that are open already once more, as on another mount of its file system: the queue is the same one.
 *
 * The ends that are open must stay so meanwhile. They are left as they were, with one exception: where only readers are, of which some are
 * hung up and some are not, these are hung up, too.
 *
 * @param fifo a descriptor of the FIFO, O_PATH or not.
 * @param ends what is wanted: what the open ends are.
 * @returns the descriptors, close-on-exec, in the order of `ends`.
 * @throws {SysError} EACCES and the like from the opening. Nothing is left open then.
 */
export function openMoreEnds(fifo: number, ends: readonly FifoEnd[]): Fd[] {
  using stack = new DisposableStack();
  const isReader = ({ flags }: FifoEnd) => (flags & O_ACCMODE) !== O_WRONLY;
  const written = ends.some(({ flags }) => (flags & O_ACCMODE) !== O_RDONLY);
  // Without a reader, an end for writing cannot be opened without waiting.
  const keeper = ends.some(isReader) ? undefined : stack.use(openEnd(fifo, O_RDONLY | O_NONBLOCK));
  const open = (end: FifoEnd) => stack.use(openEnd(fifo, end.flags));
  const isQuiet = (end: FifoEnd) => !written && !end.hungUp;
  const loud = ends.map((end) => isQuiet(end) ? undefined : open(end));
  // To hang them up, a writer has to come and go.
  if (!written && ends.some(({ hungUp }) => hungUp)) openEnd(fifo, O_RDWR | O_NONBLOCK).close();
  const result = ends.map((end, index) => loud[index] ?? open(end));
  keeper?.close();
  stack.move();
  return result;
}

/** A descriptor with these flags, by an open(2) that does not wait. O_PATH descriptors have no status flags and no part in the queue. */
function openEnd(fifo: number, flags: number): Fd {
  if ((flags & O_PATH) !== 0) return Fd.own(check(reopen(fifo, O_PATH | O_CLOEXEC), "open", "/proc/self/fd"));
  // O_DIRECT, which means messages, is refused at open(2) by file systems that have no direct I/O.
  const opening = flags & ~(SETTABLE | O_ASYNC | O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC;
  const fd = Fd.own(check(reopen(fifo, opening), "open", "/proc/self/fd"));
  if ((flags & SETTABLE) !== O_NONBLOCK) {
    const result = fcntlSet(fd.raw, F_SETFL, flags & SETTABLE);
    if (result < 0) {
      fd.close();
      throw new SysError("fcntl F_SETFL", -result);
    }
  }
  return fd;
}
