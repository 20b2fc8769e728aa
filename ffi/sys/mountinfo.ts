/**
 * The mounts of a mount namespace as `/proc/PID/mountinfo` tells them.
 *
 * @module
 */
import { SysError } from "../errno.ts";
import { readProcFile } from "./process.ts";

/** One mount. Paths and sources are bytes, as file names are; the rest is text. See proc_pid_mountinfo(5). */
export interface MountinfoEntry {
  /** The mount's id (statx(2) STATX_MNT_ID); reused after an unmount. */
  readonly id: number;
  /** The id of the mount it is attached to. */
  readonly parent: number;
  /** Of the file system: the device's major number. */
  readonly major: number;
  /** Of the file system: the device's minor number. */
  readonly minor: number;
  /** What of the file system is mounted: a path inside it. Ends with `//deleted` when that has been removed. */
  readonly root: Uint8Array<ArrayBuffer>;
  /** Where, as seen from the root of the process. */
  readonly mountpoint: Uint8Array<ArrayBuffer>;
  /** The options of this mount, such as `rw`, `nosuid`, `relatime`. */
  readonly options: readonly string[];
  /** The optional fields, such as `shared:1` or `master:2`. */
  readonly tags: readonly string[];
  /** The type, with the subtype of FUSE: `fuse.spfs`. */
  readonly fstype: string;
  /** What was mounted, in the file system's own terms. */
  readonly source: Uint8Array<ArrayBuffer>;
  /** The options of the file system, comma separated, still escaped. */
  readonly superOptions: string;
}

const SPACE = 0x20;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const latin1 = new TextDecoder("latin1");

/**
 * Reads the text of a mountinfo file. Fields are separated by single spaces and may be empty; the kernel writes space, tab, newline,
 * backslash and, in some fields, `#` as `\NNN`.
 *
 * @throws {SyntaxError} naming the line that is none of these.
 */
export function parseMountinfo(bytes: Uint8Array): MountinfoEntry[] {
  const entries: MountinfoEntry[] = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    entries.push(parseLine(bytes.subarray(start, end)));
    start = end + 1;
  }
  return entries;
}

function parseLine(line: Uint8Array): MountinfoEntry {
  const fields = split(line);
  // The separator is the first lone dash among the optional fields: it cannot be one of these, which have a name.
  const dash = fields.findIndex((field, index) => index >= 6 && field.length === 1 && field[0] === 0x2d);
  const [id, parent, device, root, mountpoint, options] = fields;
  const [major, minor, ...rest] = text(device).split(":").map(number);
  if (dash < 0 || fields.length < dash + 4 || major === undefined || minor === undefined || rest.length > 0) {
    throw new SyntaxError(`no line of mountinfo: ${text(line)}`);
  }
  return {
    id: number(text(id)),
    parent: number(text(parent)),
    major,
    minor,
    root: unescape(root!),
    mountpoint: unescape(mountpoint!),
    options: text(options).split(","),
    tags: fields.slice(6, dash).map(text),
    fstype: latin1.decode(unescape(fields[dash + 1]!)),
    source: unescape(fields[dash + 2]!),
    superOptions: text(fields[dash + 3]),
  };
}

function split(line: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  for (let start = 0; start <= line.length;) {
    const space = line.indexOf(SPACE, start);
    const end = space < 0 ? line.length : space;
    fields.push(line.subarray(start, end));
    start = end + 1;
  }
  return fields;
}

function text(field: Uint8Array | undefined): string {
  return latin1.decode(field ?? new Uint8Array());
}

function number(digits: string): number {
  if (!/^\d+$/.test(digits)) throw new SyntaxError(`no number in mountinfo: ${digits}`);
  return Number(digits);
}

function unescape(field: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(field.length);
  let length = 0;
  for (let at = 0; at < field.length; at++) {
    const code = field[at] === BACKSLASH ? octal(field, at + 1) : -1;
    if (code >= 0) at += 3;
    out[length++] = code >= 0 ? code : field[at]!;
  }
  return out.slice(0, length);
}

/** The value of three octal digits, -1 when there are none. */
function octal(field: Uint8Array, at: number): number {
  if (at + 3 > field.length) return -1;
  let code = 0;
  for (const digit of field.subarray(at, at + 3)) {
    if (digit < 0x30 || digit > 0x37) return -1;
    code = code * 8 + digit - 0x30;
  }
  return code <= 0xff ? code : -1;
}

/**
 * The mounts of the calling thread's namespace (or of another process), in the kernel's order. Of several mounts at one path that order
 * does not tell which is on top: the one that is no other's parent there. Does not touch any of the mounts.
 *
 * @throws {SysError} ENOENT or ESRCH when there is no such process, EACCES, EPERM when it may not be looked at, EINVAL for a zombie.
 */
export function readMountinfo(pid?: number): MountinfoEntry[] {
  const path = `/proc/${pid ?? "thread-self"}/mountinfo`;
  const bytes = readProcFile(path);
  if (typeof bytes === "number") throw new SysError("open", -bytes, { path });
  return parseMountinfo(bytes);
}
