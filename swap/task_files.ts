/**
 * Reading /proc about tasks, by system calls that never ask a file system which may not answer.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  STATX_INO,
  STATX_MNT_ID,
  STATX_MODE,
  STATX_NLINK,
  STATX_TYPE,
} from "../ffi/sys/constants.ts";
import { DirentReader, getdents64, readlinkat } from "../ffi/sys/dir.ts";
import { closeFd, fstat, openat, pread, read, statx, StatxBuffer } from "../ffi/sys/file.ts";
import { cstr, type CString, putAscii } from "../ffi/sys/libc.ts";
import { injection } from "./arch/injection.ts";
import { type FdInfo, parseFdinfo } from "./procfs/fdinfo.ts";
import { parseSmapsOf, type SmapsEntry, type Vma } from "./procfs/maps.ts";
import { parseStat, type TaskStat } from "./procfs/stat.ts";
import { parseStatus, type TaskStatus } from "./procfs/status.ts";

const pathBytes = new Uint8Array(new ArrayBuffer(64));

/** The bytes of a path of /proc, valid until the next call: most of what is done here is looking at thousands of them. */
function procPath(path: string): CString {
  return path.length < pathBytes.length && putAscii(path, pathBytes) ? pathBytes : cstr(path);
}

const listing = new Uint8Array(new ArrayBuffer(32 * 1024));

/** The names in a directory of /proc that are numbers. Undefined when it is not there (any more). */
export function numbersIn(path: string): number[] | undefined {
  const fd = openat(AT_FDCWD, procPath(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return undefined;
  try {
    return numbersOf(fd);
  } finally {
    closeFd(fd);
  }
}

function numbersOf(directory: number): number[] | undefined {
  const numbers: number[] = [];
  for (;;) {
    const length = getdents64(directory, listing);
    if (length <= 0) return length < 0 ? undefined : numbers;
    const reader = new DirentReader(listing, length);
    while (reader.next()) {
      const number = digits(reader.nameStart, reader.nameEnd);
      if (number >= 0) numbers.push(number);
    }
  }
}

function digits(start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = listing[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** All processes that there are. */
export function allProcesses(): number[] {
  const numbers = numbersIn("/proc");
  if (numbers === undefined) throw new SysError("open", Errno.ENOENT, { path: "/proc" });
  return numbers;
}

/** The tasks of a process; empty when it is gone. */
export function tasksOf(pid: number): number[] {
  return numbersIn(`/proc/${pid}/task`) ?? [];
}

let record = new Uint8Array(new ArrayBuffer(64 * 1024));

/** Reads on, to behind what has been read of a file; answers with the number of bytes, 0 at its end, negative when it is gone. */
function readOn(fd: number, length: number): number {
  if (length === record.length) {
    const larger = new Uint8Array(new ArrayBuffer(2 * length));
    larger.set(record);
    record = larger;
  }
  return read(fd, length === 0 ? record : record.subarray(length));
}

/**
 * All of a file of /proc. Undefined when it is gone.
 *
 * @returns bytes that are overwritten by the next call of a function of this module
 */
export function readWhole(path: string, directory: number = AT_FDCWD): Uint8Array | undefined {
  const fd = openat(directory, procPath(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  let length = 0;
  let count = 0;
  while ((count = readOn(fd, length)) > 0) length += count;
  closeFd(fd);
  return count < 0 ? undefined : record.subarray(0, length);
}

/**
 * A file of /proc that the kernel writes at once, such as status or fdinfo, but not maps: a single read tells all of it. Undefined when it is
 * gone.
 *
 * @returns bytes that are overwritten by the next call of a function of this module
 */
export function readRecord(path: string, directory: number = AT_FDCWD): Uint8Array | undefined {
  const fd = openat(directory, procPath(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return undefined;
  const length = readOn(fd, 0);
  closeFd(fd);
  if (length < record.length) return length < 0 ? undefined : record.subarray(0, length);
  return readWhole(path, directory);
}

/** What smaps tells of some of a task's mappings, by rising address; nothing of those that are gone. */
export function readSmapsOf(tid: number, areas: readonly Vma[]): SmapsEntry[] {
  const fd = openat(AT_FDCWD, procPath(`/proc/${tid}/smaps`), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return [];
  try {
    let length = 0;
    return parseSmapsOf(() => {
      const count = readOn(fd, length);
      return count <= 0 ? undefined : record.subarray(0, length += count);
    }, areas);
  } finally {
    closeFd(fd);
  }
}

/** The status of a task; undefined when it is gone. */
export function readStatus(tid: number): TaskStatus | undefined {
  const bytes = readRecord(`/proc/${tid}/status`);
  return bytes === undefined ? undefined : parseStatus(bytes);
}

/** The stat of a process; undefined when it is gone. */
export function readStat(pid: number): TaskStat | undefined {
  const bytes = readRecord(`/proc/${pid}/stat`);
  return bytes === undefined ? undefined : parseStat(bytes);
}

/** What fdinfo says of a descriptor; undefined when it is gone. */
export function readFdinfo(path: string, directory: number = AT_FDCWD): FdInfo | undefined {
  const bytes = readRecord(path, directory);
  return bytes === undefined ? undefined : parseFdinfo(bytes);
}

/** A process's command name for people. */
export function commOf(pid: number): string {
  const bytes = readRecord(`/proc/${pid}/comm`);
  return bytes === undefined ? "" : new TextDecoder().decode(bytes).replace(/\n$/, "");
}

const text = new Uint8Array(new ArrayBuffer(4096));

/** What a symbolic link of /proc says, a copy; undefined when it is gone or says nothing. */
export function readLink(path: string, directory: number = AT_FDCWD): Uint8Array | undefined {
  const length = readlinkat(directory, procPath(path), text);
  return length < 0 ? undefined : text.slice(0, length);
}

/** What there is to know of what a link of /proc leads to without asking its file system. */
export interface Reached {
  /** The mount. */
  readonly mountId: number;
  /** Type and permissions as they are cached. */
  readonly mode: number;
  /** The inode number as it is cached. */
  readonly ino: bigint;
  /** The number of names as it is cached. */
  readonly links: number;
  /** For device nodes: the major number. */
  readonly deviceMajor: number;
}

const reached = new StatxBuffer();

/** What a link of /proc leads to: its mount and its type as the kernel knows it. Undefined when it leads nowhere. */
export function reach(path: string, directory: number = AT_FDCWD): Reached | undefined {
  const mask = STATX_MNT_ID | STATX_TYPE | STATX_MODE | STATX_INO | STATX_NLINK;
  const found = statx(directory, procPath(path), AT_STATX_DONT_SYNC, mask, reached);
  if (found < 0) return undefined;
  const { mode, ino, nlink, rdevMajor } = reached;
  return { mountId: Number(reached.mntId), mode, ino, links: nlink, deviceMajor: rdevMajor };
}

/** A task's descriptors: `fd` and `fdinfo` are opened once, and not looked up again for each of them. */
export class TaskDescriptors implements Disposable {
  readonly #links: number;
  readonly #infos: number;

  /** Of a task that is gone there are none. */
  constructor(tid: number) {
    const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    this.#links = openat(AT_FDCWD, procPath(`/proc/${tid}/fd`), flags);
    this.#infos = openat(AT_FDCWD, procPath(`/proc/${tid}/fdinfo`), flags);
  }

  /** Their numbers. */
  numbers(): number[] {
    return this.#links < 0 ? [] : numbersOf(this.#links) ?? [];
  }

  /** See {@linkcode reach}. */
  reach(fd: number): Reached | undefined {
    return reach(`${fd}`, this.#links);
  }

  /** See {@linkcode readLink}. */
  link(fd: number): Uint8Array | undefined {
    return readLink(`${fd}`, this.#links);
  }

  /** See {@linkcode readFdinfo}. */
  info(fd: number): FdInfo | undefined {
    return readFdinfo(`${fd}`, this.#infos);
  }

  /** The text of that; bytes that are overwritten by the next call of a function of this module. */
  infoText(fd: number): Uint8Array | undefined {
    return readWhole(`${fd}`, this.#infos);
  }

  /** Closes what was opened. */
  [Symbol.dispose](): void {
    for (const fd of [this.#links, this.#infos]) if (fd >= 0) closeFd(fd);
  }
}

/** Whether a descriptor is open on a file of a device. */
export function isOnDevice(fd: number, device: { readonly major: number; readonly minor: number }): boolean {
  if (fstat(fd, STATX_INO, reached, AT_STATX_DONT_SYNC) < 0) return false;
  return reached.devMajor === device.major && reached.devMinor === device.minor;
}

/** The mode bits of a link of /proc itself: which access an open file of `fd` or `map_files` has. 0 when it is gone. */
export function linkMode(path: string): number {
  const found = statx(AT_FDCWD, procPath(path), AT_SYMLINK_NOFOLLOW, STATX_MODE, reached);
  return found < 0 ? 0 : reached.mode & 0o777;
}

const AT_SYSINFO_EHDR = 33n;
let offset: number | undefined;

/**
 * Where in a task's vdso there is an instruction that makes a system call.
 *
 * @throws {SysError} ESRCH when it is gone, ENOEXEC when it has no vdso, or one without such an instruction
 */
export function syscallInstructionOf(tid: number): number {
  return vdsoOf(tid) + syscallOffset();
}

function vdsoOf(tid: number | "self"): number {
  const path = `/proc/${tid}/auxv`;
  const bytes = readRecord(path);
  if (bytes === undefined) throw new SysError("open", Errno.ESRCH, { path });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    if (view.getBigUint64(at, true) === AT_SYSINFO_EHDR) return Number(view.getBigUint64(at + 8, true));
  }
  throw new SysError("vdso", Errno.ENOEXEC, { path });
}

/** The same in every task of this kernel, so it is looked for in our own. */
function syscallOffset(): number {
  if (offset !== undefined) return offset;
  const image = new Uint8Array(new ArrayBuffer(8192));
  const fd = openat(AT_FDCWD, cstr("/proc/self/mem"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new SysError("open", -fd, { path: "/proc/self/mem" });
  const base = vdsoOf("self");
  let length = pread(fd, image, 8192, BigInt(base));
  if (length < 0) length = pread(fd, image, 4096, BigInt(base));
  closeFd(fd);
  const wanted = injection.syscallInstruction;
  for (let at = 0; at + wanted.length <= length; at++) {
    if (!wanted.every((byte, i) => image[at + i] === byte)) continue;
    return offset = at;
  }
  throw new SysError("vdso", Errno.ENOEXEC);
}
