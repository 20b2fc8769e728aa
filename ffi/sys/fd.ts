/**
 * Ownership of descriptors.
 *
 * @module
 */
import { Errno, SysError } from "../errno.ts";
import { closeFd, dup } from "./file.ts";
import { check } from "./libc.ts";

/**
 * A descriptor with one owner, who closes it: at the end of a `using` scope, by `close`, or hands it over by `release`.
 *
 * ```ts ignore
 * using directory = Fd.own(check(openat(AT_FDCWD, cstr("/srv"), O_PATH | O_CLOEXEC), "openat", "/srv"));
 * ```
 */
export class Fd implements Disposable {
  #raw: number;

  private constructor(raw: number) {
    this.#raw = raw;
  }

  /**
   * Takes over a descriptor, such as a call that succeeded returned.
   *
   * @throws {SysError} EBADF for a negative number.
   */
  static own(raw: number): Fd {
    if (raw < 0) throw new SysError("Fd.own", Errno.EBADF);
    return new Fd(raw);
  }

  /**
   * The number, for calls. It stays owned.
   *
   * @throws {TypeError} when it was closed or released.
   */
  get raw(): number {
    if (this.#raw < 0) throw new TypeError("the descriptor was closed or released");
    return this.#raw;
  }

  /** Whether it was closed or released. */
  get closed(): boolean {
    return this.#raw < 0;
  }

  /**
   * A second descriptor for the same open file description, close-on-exec, with an owner of its own.
   *
   * @throws {SysError} EMFILE. @throws {TypeError} when it was closed or released.
   */
  dup(): Fd {
    return new Fd(check(dup(this.raw), "fcntl"));
  }

  /**
   * Gives the number away: nothing closes it any more but its new owner.
   *
   * @throws {TypeError} when it was closed or released.
   */
  release(): number {
    const raw = this.raw;
    this.#raw = -1;
    return raw;
  }

  /**
   * Closes it. The descriptor is gone in any case.
   *
   * @throws {SysError} EBADF when it was closed or released before, or behind our back; EIO, ENOSPC, EDQUOT when the file system has that
   * to say about earlier writes.
   */
  close(): void {
    const raw = this.#raw;
    this.#raw = -1;
    if (raw < 0) throw new SysError("close", Errno.EBADF);
    const result = closeFd(raw);
    // EINTR: Linux has closed it nevertheless.
    if (result < 0 && result !== -Errno.EINTR) throw new SysError("close", -result);
  }

  /** Closes it if that is still to be done. @throws {SysError} as `close` does. */
  [Symbol.dispose](): void {
    if (this.#raw >= 0) this.close();
  }
}
