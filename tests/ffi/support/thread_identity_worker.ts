/**
 * A worker that becomes somebody else and tells what that lets it see.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { AT_FDCWD, CLONE_FS, O_CLOEXEC, O_RDONLY } from "../../../ffi/sys/constants.ts";
import { umask } from "../../../ffi/sys/dir.ts";
import { closeFd, openat } from "../../../ffi/sys/file.ts";
import { setfsgid, setfsuid, setgroups } from "../../../ffi/sys/identity.ts";
import { cstr } from "../../../ffi/sys/libc.ts";
import { unshare } from "../../../ffi/sys/namespace.ts";
import { readProcFile } from "../../../ffi/sys/process.ts";

function ids(): string[] {
  const status = new TextDecoder().decode(readProcFile("/proc/thread-self/status") as Uint8Array);
  return ["Uid", "Gid", "Groups"].map((name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, "m").exec(status)![1]!);
}

self.onmessage = ({ data: path }: MessageEvent<string>) => {
  const open = () => {
    const fd = openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? closeFd(fd) : fd;
  };
  const changed = [setgroups(new Uint32Array([7, 8])), setfsgid(12345), setfsuid(12345), unshare(CLONE_FS)];
  umask(0o777);
  const other = { changed, ids: ids(), opened: open() };
  const back = [setfsuid(0), setfsgid(0), setgroups(new Uint32Array())];
  self.postMessage({ ...other, back, openedAsRoot: open() });
};
