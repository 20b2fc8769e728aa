/**
 * A FUSE connection as fusectl shows it (fs/fuse/control.c).
 *
 * @module
 */

import { Errno } from "../ffi/errno.ts";
import {
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat, write } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { fsconfigCreate, fsmount, fsopen } from "../ffi/sys/mount.ts";

const ABORT = cstr("abort");

/**
 * The connection of one mount, held by its directory in fusectl. Device numbers, by which fusectl names connections, are given away
 * again as soon as a superblock is gone; the directory is of the one connection for ever, and empty when that is gone.
 *
 * Nothing here waits for a server, so that it may be used on any thread.
 */
export class FuseConnection implements Disposable {
  readonly #directory: Fd;

  private constructor(directory: Fd) {
    this.#directory = directory;
  }

  /** Does ahead what takes longest when a connection is opened. What fails here fails again there. */
  static prepare(): void {
    try {
      fusectl();
    } catch {
      // See above.
    }
  }

  /**
   * Opens the connection of a mount that is there, and is certain to be there until this returns.
   *
   * @param minor the minor device number of the mount
   * @returns undefined when there is no such connection
   * @throws {SysError} EPERM: no CAP_SYS_ADMIN; ENODEV: no fusectl in the kernel; EMFILE
   */
  static open(minor: number): FuseConnection | undefined {
    const opened = openat(fusectl().raw, cstr(`${minor}`), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (opened === -Errno.ENOENT) return undefined;
    return new FuseConnection(Fd.own(check(opened, "openat", `/sys/fs/fuse/connections/${minor}`)));
  }

  /**
   * Aborts the connection: every process that waits for its server gets ECONNABORTED, from then on ENOTCONN.
   *
   * @returns false when the connection is gone, and with it every mount of the file system
   * @throws {SysError} EACCES: not ours and no CAP_SYS_ADMIN; EMFILE
   */
  abort(): boolean {
    const opened = openat(this.#directory.raw, ABORT, O_WRONLY | O_CLOEXEC);
    if (opened === -Errno.ENOENT) return false;
    using abort = Fd.own(check(opened, "openat", "/sys/fs/fuse/connections/N/abort"));
    check(write(abort.raw, new Uint8Array([0x31])), "write");
    return true;
  }

  /** Lets go of it; it goes on. */
  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

let control: Fd | undefined;

/**
 * The root of fusectl, mounted nowhere, so that it does not matter whether the machine has it at /sys/fs/fuse/connections. It stays open:
 * letting go of such a mount waits for all processors.
 */
function fusectl(): Fd {
  return control ??= openControl();
}

function openControl(): Fd {
  using context = Fd.own(check(fsopen(cstr("fusectl"), FSOPEN_CLOEXEC), "fsopen", "fusectl"));
  check(fsconfigCreate(context.raw), "fsconfig", "fusectl");
  return Fd.own(check(fsmount(context.raw, FSMOUNT_CLOEXEC, 0), "fsmount", "fusectl"));
}
