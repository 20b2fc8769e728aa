/**
 * Temporary directories that are gone with the scope that made them.
 *
 * @module
 */
import { check, cstr } from "../../../ffi/sys/libc.ts";
import { Fd } from "../../../ffi/sys/fd.ts";
import { openat } from "../../../ffi/sys/file.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/sys/constants.ts";

/** A directory, open as O_PATH, and a path to it. */
export interface TemporaryDirectory extends Disposable {
  readonly path: string;
  readonly fd: number;
}

/** Makes one where the system keeps temporary files, or below another directory. */
export function temporaryDirectory(dir?: string): TemporaryDirectory {
  const path = Deno.makeTempDirSync({ prefix: "spfs-test-", ...(dir === undefined ? {} : { dir }) });
  const fd = Fd.own(check(openat(AT_FDCWD, cstr(path), O_PATH | O_DIRECTORY | O_CLOEXEC), "openat", path));
  return {
    path,
    fd: fd.raw,
    [Symbol.dispose]() {
      fd.close();
      Deno.removeSync(path, { recursive: true });
    },
  };
}

/** Makes a file with that text and returns its path. */
export function writeText(directory: TemporaryDirectory, name: string, text: string): string {
  const path = `${directory.path}/${name}`;
  Deno.writeTextFileSync(path, text);
  return path;
}
