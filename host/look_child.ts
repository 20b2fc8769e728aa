/**
 * The process that looks at files for another one (see look.ts): it may hang in the kernel, and is then left alone.
 *
 * @module
 */

import * as z from "zod/mini";
import { decodePath, encodeBytes } from "../control/values.ts";
import type { FileStat, FileType } from "../criu/mod.ts";
import { errnoName, SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  CLONE_FS,
  CLONE_NEWNS,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFSOCK,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { readlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { openat, statx } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { setns, unshare } from "../ffi/sys/namespace.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { exitCodes } from "./exit_codes.ts";
import type { LookAnswer, LookBegin, LookOrder } from "./look_messages.ts";
import { fileStat } from "./side_format.ts";

const types: Readonly<Record<number, FileType>> = {
  [S_IFDIR]: "directory",
  [S_IFLNK]: "symlink",
  [S_IFIFO]: "fifo",
  [S_IFSOCK]: "socket",
  [S_IFCHR]: "char",
  [S_IFBLK]: "block",
};

/**
 * Tells of the mounts of a process's mount namespace, or of the own one, and then of the files that it is sent. Says on stderr why it cannot.
 *
 * @param args the process, or none
 * @returns the exit code
 */
export async function runLook(args: readonly string[]): Promise<number> {
  try {
    await look(args[0] === undefined ? undefined : Number(args[0]));
    return exitCodes.ok;
  } catch (error) {
    console.error((error as Error).message);
    return exitCodes.failed;
  }
}

/** @throws {SysError} ENOENT when there is no such process, EPERM when its namespace may not be entered */
async function look(pid: number | undefined): Promise<void> {
  const mountinfo = enter(pid);
  tell<LookBegin>({ mountinfo: encodeBytes(mountinfo) });
  const order: LookOrder = JSON.parse(await new Response(Deno.stdin.readable).text());
  for (const path of order) tell(lookAt(decodePath(path)));
}

/** Enters the namespace, and reads its mountinfo, by a /proc that may not be there. */
function enter(pid: number | undefined): Uint8Array {
  using proc = Fd.own(check(openat(AT_FDCWD, cstr("/proc"), O_PATH | O_CLOEXEC), "open", "/proc"));
  if (pid !== undefined) {
    const path = `/proc/${pid}/ns/mnt`;
    using namespace = Fd.own(check(openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC), "open", path));
    check(unshare(CLONE_FS), "unshare");
    check(setns(namespace.raw, CLONE_NEWNS), "setns", path);
  }
  const bytes = readProcFile("thread-self/mountinfo", proc.raw);
  if (typeof bytes === "number") throw new SysError("open", -bytes, { path: "/proc/thread-self/mountinfo" });
  return bytes;
}

function tell<T>(message: T): void {
  const bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

const buffer = new StatxBuffer();

function lookAt(path: Uint8Array): LookAnswer {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  const looked = statx(AT_FDCWD, cstr(path), flags, STATX_BASIC_STATS, buffer);
  if (looked < 0) return { error: errnoName(-looked) };
  const type = types[buffer.mode & S_IFMT] ?? "file";
  const target = new Uint8Array(4096);
  const length = type === "symlink" ? readlinkat(AT_FDCWD, cstr(path), target) : 0;
  const stat: FileStat = {
    type,
    mode: buffer.mode & 0o7777,
    uid: buffer.uid,
    gid: buffer.gid,
    size: buffer.size,
    mtime: { sec: buffer.mtimeSec, nsec: buffer.mtimeNsec },
    ...((type === "char" || type === "block") && {
      rdev: { major: buffer.rdevMajor, minor: buffer.rdevMinor },
    }),
    ...(type === "symlink" && length > 0 && { target: target.subarray(0, length) }),
  };
  return { stat: z.encode(fileStat, stat) };
}
