/**
 * Where processes are seen to refer to mounts: every link, id and device that /proc shows of them. Asks no file system.
 *
 * @module
 */

import { AT_FDCWD, AT_STATX_DONT_SYNC, STATX_MNT_ID } from "../../../ffi/sys/constants.ts";
import { statx, StatxBuffer } from "../../../ffi/sys/file.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import { parseMountinfo } from "../../../ffi/sys/mountinfo.ts";

/** A mount, as /proc names it. */
export interface MountNames {
  /** Its id. */
  readonly id: number;
  /** Its file system's device, "major:minor". */
  readonly device: string;
}

const buffer = new StatxBuffer();

/** The mount that a path, followed to its end, is on. @throws {SysError} when there is no such file */
export function mountOf(path: string): MountNames {
  check(statx(AT_FDCWD, cstr(path), AT_STATX_DONT_SYNC, STATX_MNT_ID, buffer), "statx", path);
  return { id: Number(buffer.mntId), device: `${buffer.devMajor}:${buffer.devMinor}` };
}

/**
 * What of a process refers to a mount, by the mount's id or its device: "fd 3", "fdinfo 3", "map 7f01-7f02", "cwd", "mountinfo". Of
 * every thread; each once.
 *
 * @throws {SysError}, {Deno.errors.NotFound} when it ends meanwhile
 */
export function references(pid: number, mount: MountNames): string[] {
  const found = new Set<string>();
  const look = (what: string, path: string) => {
    const { id, device } = mountOf(path);
    if (id === mount.id || device === mount.device) found.add(what);
  };
  for (const tid of names(`/proc/${pid}/task`)) {
    const task = `/proc/${pid}/task/${tid}`;
    for (const place of ["cwd", "root", "exe"]) look(place, `${task}/${place}`);
    for (const fd of names(`${task}/fd`)) {
      look(`fd ${fd}`, `${task}/fd/${fd}`);
      const info = Deno.readTextFileSync(`${task}/fdinfo/${fd}`);
      if (Number(/^mnt_id:\s*(\d+)/m.exec(info)?.[1]) === mount.id) found.add(`fdinfo ${fd}`);
    }
    for (const line of Deno.readTextFileSync(`${task}/maps`).split("\n")) {
      const [range, , , device] = line.split(" ");
      const [major, minor] = device?.split(":").map((digits) => parseInt(digits, 16)) ?? [];
      if (`${major}:${minor}` === mount.device) found.add(`map ${range}`);
    }
    const mounts = parseMountinfo(Deno.readFileSync(`${task}/mountinfo`));
    if (mounts.some(({ id, major, minor }) => id === mount.id || `${major}:${minor}` === mount.device)) {
      found.add("mountinfo");
    }
  }
  for (const range of names(`/proc/${pid}/map_files`)) {
    look(`map_files ${range}`, `/proc/${pid}/map_files/${range}`);
  }
  return [...found];
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}
