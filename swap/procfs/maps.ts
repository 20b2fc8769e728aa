/**
 * Mappings as `/proc/PID/maps` and `/proc/PID/smaps` tell them: see proc_pid_maps(5), proc_pid_smaps(5).
 *
 * @module
 */
import { Cursor } from "./cursor.ts";

/**
 * One mapping. Addresses and offsets are multiples of the page size, so they are exact as numbers, also where they are above 2^53. There
 * is no path: what maps shows is escaped in a way that cannot be undone; readlink(2) of `map_files/` ({@link mapFilesName}) tells it.
 */
export interface Vma {
  /** The first address. */
  readonly start: number;
  /** The first address behind it. */
  readonly end: number;
  /** PROT_READ. */
  readonly read: boolean;
  /** PROT_WRITE. */
  readonly write: boolean;
  /** PROT_EXEC. */
  readonly exec: boolean;
  /** MAP_SHARED, also of a file that was opened for reading only. */
  readonly shared: boolean;
  /** Where in the file it begins, in bytes; 0 if there is no file. */
  readonly offset: number;
  /** The device of the file's superblock; 0:0 if there is no file. stat(2) shows another one on btrfs and overlayfs. */
  readonly major: number;
  /** See `major`. */
  readonly minor: number;
  /** The file's inode; 0 if there is no file. */
  readonly ino: bigint;
}

/** What else smaps tells of a mapping. */
export interface SmapsEntry {
  /** The first address. */
  readonly start: number;
  /** The first address behind it. */
  readonly end: number;
  /** The two-letter codes of VmFlags, such as `lo` (locked), `dc` (not over fork), `um` (userfaultfd), `sl` (sealed). */
  readonly vmFlags: ReadonlySet<string>;
  /** How much of it is locked in memory, in KiB. */
  readonly lockedKb: number;
  /** The protection key; 0 where there are none. */
  readonly protectionKey: number;
}

/** The codes of one or more VmFlags lines, and where such a line is. */
interface KnownFlags {
  readonly at: number;
  readonly length: number;
  readonly flags: ReadonlySet<string>;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
/** Where the kernel's half begins: `[vsyscall]` is there, and nothing that a process could have mapped. */
const KERNEL_HALF = 2 ** 63;

/**
 * Reads the text of a maps file.
 *
 * @param wanted of which devices mappings are told; others are passed over, after a short look. All if it is left out.
 * @returns the mappings by rising address, without those of the kernel's half of the address space (`[vsyscall]`).
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseMaps(bytes: Uint8Array, wanted?: (major: number, minor: number) => boolean): Vma[] {
  const vmas: Vma[] = [];
  const cursor = new Cursor(bytes, "maps");
  // Of neighbouring lines most have the same device, so the answer for a device is kept while it is the same text.
  let answered = -1;
  let want = true;
  for (let start = 0; start < bytes.length;) {
    if (wanted !== undefined) {
      const column = deviceColumn(bytes, start);
      if (answered < 0 || !sameWord(bytes, answered, column)) {
        cursor.at = column;
        want = wanted(device(cursor, ":"), device(cursor, " "));
        answered = column;
      }
    }
    cursor.at = start;
    if (want) {
      const vma = parseVma(cursor);
      if (vma.start < KERNEL_HALF) vmas.push(vma);
    }
    start = cursor.lineEnd() + 1;
  }
  return vmas;
}

/** What `/proc/PID/map_files/` calls a mapping: its addresses, without the leading zeros that maps writes. */
export function mapFilesName(vma: { readonly start: number; readonly end: number }): string {
  return `${vma.start.toString(16)}-${vma.end.toString(16)}`;
}

/**
 * Reads the text of an smaps file.
 *
 * @returns the mappings by rising address, without those of the kernel's half of the address space (`[vsyscall]`).
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseSmaps(bytes: Uint8Array): SmapsEntry[] {
  const entries: SmapsEntry[] = [];
  const known: KnownFlags[] = [];
  const cursor: Cursor = new Cursor(bytes, "smaps");
  while (!cursor.done) {
    const { start, end } = parseVma(cursor);
    cursor.skipLine();
    let [lockedKb, protectionKey] = [0, 0];
    let vmFlags: ReadonlySet<string> | undefined;
    // The first line of the next mapping begins with a digit, one of a to f counts as such; keys begin with other letters.
    for (let byte; !isHex(byte = cursor.peek()) && byte >= 0; cursor.skipLine()) {
      if (byte === 0x4c && cursor.take("Locked:")) lockedKb = value(cursor);
      else if (byte === 0x50 && cursor.take("ProtectionKey:")) protectionKey = value(cursor);
      else if (byte === 0x56 && cursor.take("VmFlags:")) vmFlags = parseFlags(cursor, known);
    }
    if (vmFlags === undefined) cursor.fail("no VmFlags", cursor.at - 1);
    if (start < KERNEL_HALF) entries.push({ start, end, vmFlags, lockedKb, protectionKey });
  }
  return entries;
}

/**
 * Reads the entries of some mappings only, and no further than the last of them: the kernel takes its time for each entry.
 *
 * @param more reads on, and answers with all bytes from the file's beginning; undefined at its end
 * @param areas by rising address
 * @returns those of them that are there
 * @throws {SyntaxError} as `parseSmaps`, for what is read
 */
export function parseSmapsOf(
  more: () => Uint8Array | undefined,
  areas: readonly { readonly start: number; readonly end: number }[],
): SmapsEntry[] {
  const entries: SmapsEntry[] = [];
  let bytes: Uint8Array = new Uint8Array();
  for (let at = 0, next = 0; next < areas.length;) {
    const end = entryEnd(bytes, at);
    if (end < 0) {
      const read = more();
      if (read !== undefined) bytes = read;
      else if (at < bytes.length) return parseSmaps(bytes.subarray(at)); // not a whole entry: it throws
      else break;
      continue;
    }
    const cursor = new Cursor(bytes, "smaps");
    cursor.at = at;
    const start = cursor.number(16);
    while (next < areas.length && areas[next]!.start < start) next++;
    if (areas[next]?.start === start) {
      const entry = parseSmaps(bytes.subarray(at, end))[0]!;
      if (entry.end === areas[next]!.end) entries.push(entry);
      next++;
    }
    at = end;
  }
  return entries;
}

const VM_FLAGS = Array.from("VmFlags:", (letter) => letter.charCodeAt(0));

/** Where the entry that begins at `start` ends, which is with its VmFlags line; -1 when not all of it is there. */
function entryEnd(bytes: Uint8Array, start: number): number {
  // Hardly anything else has the letter, so that nothing has to be looked at in between.
  for (let at = start; (at = bytes.indexOf(VM_FLAGS[0]!, at)) >= 0; at++) {
    if (bytes[at - 1] !== NEWLINE || VM_FLAGS.some((letter, i) => bytes[at + i] !== letter)) continue;
    const newline = bytes.indexOf(NEWLINE, at);
    return newline < 0 ? -1 : newline + 1;
  }
  return -1;
}

/** A line of maps up to the inode, where the cursor stays. */
function parseVma(cursor: Cursor): Vma {
  const start = cursor.number(16);
  cursor.expect("-");
  const end = cursor.number(16);
  if (end <= start) cursor.fail("an empty range");
  cursor.expect(" ");
  const read = flag(cursor, "r", "-");
  const write = flag(cursor, "w", "-");
  const exec = flag(cursor, "x", "-");
  const shared = flag(cursor, "s", "p");
  cursor.expect(" ");
  const offset = cursor.number(16);
  cursor.expect(" ");
  const major = device(cursor, ":");
  const minor = device(cursor, " ");
  const ino = cursor.bigint(10);
  if (cursor.peek() !== SPACE && cursor.peek() !== NEWLINE) cursor.fail("no end of the inode");
  return { start, end, read, write, exec, shared, offset, major, minor, ino };
}

function flag(cursor: Cursor, on: string, off: string): boolean {
  if (cursor.take(on)) return true;
  cursor.expect(off);
  return false;
}

function device(cursor: Cursor, delimiter: string): number {
  const number = cursor.number(16);
  cursor.expect(delimiter);
  return number;
}

/** Where the device begins in `START-END PERM OFFSET DEVICE ...`: behind the third space, if there is one. */
function deviceColumn(bytes: Uint8Array, start: number): number {
  let at = start;
  for (let spaces = 0; spaces < 3 && at < bytes.length; at++) if (bytes[at] === SPACE) spaces++;
  return at;
}

/** Whether the same bytes are at both places, up to a space and with it. */
function sameWord(bytes: Uint8Array, one: number, other: number): boolean {
  for (; other < bytes.length; one++, other++) {
    if (bytes[one] !== bytes[other]) return false;
    if (bytes[one] === SPACE) return true;
  }
  return false;
}

/** The codes of a line, as one set for all lines of the same text. */
function parseFlags(cursor: Cursor, known: KnownFlags[]): ReadonlySet<string> {
  const { bytes, at: start } = cursor;
  const end = cursor.lineEnd();
  for (const { at, length, flags } of known) {
    if (length === end - start && sameBytes(bytes, at, start, length)) return flags;
  }
  const flags = new Set<string>();
  for (cursor.blanks(); cursor.at < end; cursor.blanks()) flags.add(cursor.word());
  known.push({ at: start, length: end - start, flags });
  return flags;
}

function sameBytes(bytes: Uint8Array, one: number, other: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[one + i] !== bytes[other + i]) return false;
  return true;
}

function value(cursor: Cursor): number {
  cursor.blanks();
  return cursor.number(10);
}

function isHex(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39 || byte >= 0x61 && byte <= 0x66;
}
