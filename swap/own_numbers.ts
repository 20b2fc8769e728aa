/**
 * Where in this process's table the files of a source may be.
 *
 * When this process is killed the kernel closes its files in the order of their numbers, and closing a file of a source waits for its
 * server. If that is this process, which answers no more, its device has to be closed before, which ends the connection: otherwise it would
 * wait for itself for ever, and with it everybody who uses the source.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import { AT_FDCWD, F_DUPFD_CLOEXEC, O_CLOEXEC, O_PATH } from "../ffi/sys/constants.ts";
import { closeFd, dup, dup3, fcntlSet, openat } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { numbersIn } from "./task_files.ts";

/** Keeps the numbers below all that was open when it was made taken, until it is disposed of. */
export class OwnNumbers implements Disposable {
  readonly #floor: number;
  readonly #plugs: number[] = [];

  /** @throws {SysError} EMFILE */
  constructor() {
    const open = numbersIn("/proc/thread-self/fd") ?? [];
    this.#floor = open.reduce((most, fd) => Math.max(most, fd), 0) + 1;
    let plug = check(openat(AT_FDCWD, cstr("/"), O_PATH | O_CLOEXEC), "open", "/");
    for (; plug < this.#floor; plug = check(dup(plug), "fcntl")) this.#plugs.push(plug);
    this.#plugs.push(plug);
  }

  /**
   * The same file at a number above everything that was open before.
   *
   * @param fd is given up
   * @throws {SysError} EMFILE; `fd` is closed then
   */
  raise(fd: number): number {
    if (fd >= this.#floor) return fd;
    // Another thread has closed something meanwhile.
    const raised = fcntlSet(fd, F_DUPFD_CLOEXEC, this.#floor);
    if (dup3(this.#plugs[0]!, fd, O_CLOEXEC) >= 0) this.#plugs.push(fd);
    else closeFd(fd);
    if (raised < 0) throw new SysError("fcntl", -raised);
    return raised;
  }

  /** Gives the numbers back. */
  [Symbol.dispose](): void {
    for (const plug of this.#plugs.splice(0)) closeFd(plug);
  }
}
