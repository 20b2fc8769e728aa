/**
 * inotify instances of this process, as tests see them.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH } from "../../../ffi/sys/constants.ts";
import { openat, read } from "../../../ffi/sys/file.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import { readProcFile } from "../../../ffi/sys/process.ts";
import { type InotifyWatch, parseFdinfo } from "../../../swap/procfs/fdinfo.ts";

/** An event, without its cookie. */
export interface InotifyEvent {
  readonly wd: number;
  readonly mask: number;
  readonly name: string;
}

/** The events that wait in a non-blocking instance. */
export function events(fd: number): InotifyEvent[] {
  const buffer = new Uint8Array(65536);
  const found: InotifyEvent[] = [];
  for (;;) {
    const length = read(fd, buffer);
    if (length === -Errno.EAGAIN) return found;
    check(length, "read");
    const view = new DataView(buffer.buffer);
    for (let at = 0; at < length; at += 16 + view.getUint32(at + 12, true)) {
      const name = buffer.subarray(at + 16, at + 16 + view.getUint32(at + 12, true));
      found.push({
        wd: view.getInt32(at, true),
        mask: view.getUint32(at + 4, true),
        name: new TextDecoder().decode(name).replace(/\0+$/, ""),
      });
    }
  }
}

/** What fdinfo says of a descriptor of this process, by watch descriptor. */
export function watches(fd: number): InotifyWatch[] {
  const bytes = readProcFile(`/proc/thread-self/fdinfo/${fd}`);
  if (typeof bytes === "number") throw new Error(`no fdinfo of ${fd}`);
  return [...parseFdinfo(bytes).inotify].sort((a, b) => a.wd - b.wd);
}

/** An O_PATH descriptor, of a symbolic link itself; or a negated error number. */
export function openPath(path: string): number {
  return openat(AT_FDCWD, cstr(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
}
