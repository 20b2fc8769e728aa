/**
 * Open files as `/proc/PID/fdinfo/N` tells them: see proc_pid_fdinfo(5).
 *
 * @module
 */
import { Cursor } from "./cursor.ts";

/** A lock or lease that the process holds by this descriptor. */
export interface LockEntry {
  /** Of the process (POSIX), of the open file description (OFDLCK, FLOCK), a lease of fcntl(2), or one of the NFS server. */
  readonly kind: "POSIX" | "OFDLCK" | "FLOCK" | "LEASE" | "DELEG";
  /** What is locked out. Of a lease that is being broken: what it has to become. */
  readonly type: "READ" | "WRITE" | "UNLCK";
  /** Who took it, in the reader's pid namespace: -1 for OFDLCK, 0 when that namespace does not know it. */
  readonly pid: number;
  /** Whether somebody waits for the lease to be given up. */
  readonly breaking: boolean;
  /** The first byte of the range. */
  readonly start: bigint;
  /** The last byte of the range; undefined when it goes on for ever. */
  readonly end: bigint | undefined;
}

/** A file that an epoll instance watches. */
export interface EpollTarget {
  /** The descriptor by which it was added. May have been closed or re-used since. */
  readonly fd: number;
  /** EPOLL*, with the flags such as EPOLLET. */
  readonly events: number;
  /** What epoll_wait(2) hands out. */
  readonly data: bigint;
  /** The file's position. */
  readonly pos: bigint;
  /** The file's inode. */
  readonly ino: bigint;
  /** Of the file system's superblock, as in `/proc/PID/maps`. */
  readonly major: number;
  /** See `major`. */
  readonly minor: number;
}

/** An inode that an inotify instance watches. */
export interface InotifyWatch {
  /** The watch descriptor. */
  readonly wd: number;
  /** The inode. */
  readonly ino: bigint;
  /** Of the file system's superblock, as in `/proc/PID/maps`. */
  readonly major: number;
  /** See `major`. */
  readonly minor: number;
  /** IN_*, with flags such as IN_EXCL_UNLINK. */
  readonly mask: number;
  /** The file handle's type, see name_to_handle_at(2); 0xff (none) when the file system makes no handles. */
  readonly handleType: number;
  /** The file handle's bytes; empty when there is none. */
  readonly handle: Uint8Array<ArrayBuffer>;
}

/** What fdinfo tells of an open file. */
export interface FdInfo {
  /** The position; negative in some devices. */
  readonly pos: bigint;
  /** The open flags, with O_CLOEXEC if the descriptor has FD_CLOEXEC, and with O_LARGEFILE of 64 bit processes. */
  readonly flags: number;
  /** The mount's id; 0 for what is on a kernel-internal mount that has none. */
  readonly mountId: number;
  /** The inode; undefined before Linux 5.14. */
  readonly ino: bigint | undefined;
  /** The locks, in the kernel's order. */
  readonly locks: readonly LockEntry[];
  /** What is watched, if it is an epoll instance. */
  readonly epoll: readonly EpollTarget[];
  /** What is watched, if it is an inotify instance. */
  readonly inotify: readonly InotifyWatch[];
  /** Whether it is a fanotify group. */
  readonly fanotify: boolean;
  /**
   * Whether it is seen to be an io_uring instance. A busy one shows nothing on newer kernels, so that only the link
   * `anon_inode:[io_uring]` is certain.
   */
  readonly ioUring: boolean;
}

const NONE: readonly never[] = Object.freeze([]);

/** What handleType is without a handle: the kernel's FILEID_INVALID. */
const NO_HANDLE = 0xff;

/**
 * Reads the text of an fdinfo file. The first line that a kind of file adds to the common ones decides what it is, and what is of none of
 * these kinds is skipped unread: some devices show names there that a process chose.
 *
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseFdinfo(bytes: Uint8Array): FdInfo {
  const cursor = new Cursor(bytes, "fdinfo");
  cursor.expect("pos:\t");
  const pos = cursor.signed();
  cursor.expect("\nflags:\t");
  const flags = cursor.number(8);
  cursor.expect("\nmnt_id:\t");
  const mountId = cursor.number(10);
  cursor.endLine();
  let ino: bigint | undefined;
  if (cursor.take("ino:\t")) {
    ino = cursor.bigint(10);
    cursor.endLine();
  }
  const locks = cursor.looksAt("lock:") ? parseLocks(cursor) : NONE;
  const info = {
    pos,
    flags,
    mountId,
    ino,
    locks,
    epoll: NONE,
    inotify: NONE,
    fanotify: false,
    ioUring: false,
  };
  if (cursor.done) return info;
  if (cursor.looksAt("tfd:")) return { ...info, epoll: parseTargets(cursor) };
  if (cursor.looksAt("inotify ")) return { ...info, inotify: parseWatches(cursor) };
  if (cursor.looksAt("fanotify ")) return { ...info, fanotify: true };
  // Which of its lines comes first depends on the kernel's version.
  const ioUring = cursor.looksAt("SqMask:") || cursor.looksAt("SqThread:") || cursor.looksAt("UserFiles:");
  return ioUring ? { ...info, ioUring } : info;
}

function parseLocks(cursor: Cursor): LockEntry[] {
  const locks: LockEntry[] = [];
  while (cursor.take("lock:")) {
    cursor.blanks();
    cursor.number(10);
    cursor.expect(":");
    cursor.blanks();
    // Who waits for a lock has none.
    if (cursor.looksAt("->")) cursor.skipLine();
    else parseLock(cursor, locks);
  }
  return locks;
}

function parseLock(cursor: Cursor, locks: LockEntry[]): void {
  const kind = lockKind(cursor);
  const lease = kind === "LEASE" || kind === "DELEG";
  cursor.blanks();
  const state = cursor.word();
  // The opener that breaks a lease.
  if (state === "BREAKER") return cursor.skipLine();
  cursor.blanks();
  const type = lockType(cursor);
  cursor.blanks();
  const pid = Number(cursor.signed());
  cursor.blanks();
  // DEVICE:INODE of the file, known already.
  cursor.skipWord();
  cursor.blanks();
  const start = cursor.bigint(10);
  cursor.blanks();
  const end = cursor.take("EOF") ? undefined : cursor.bigint(10);
  cursor.endLine();
  locks.push({ kind, type, pid, breaking: lease && state === "BREAKING", start, end });
}

function lockKind(cursor: Cursor): LockEntry["kind"] {
  const at = cursor.at;
  const kind = cursor.word();
  switch (kind) {
    case "POSIX":
    case "OFDLCK":
    case "FLOCK":
    case "LEASE":
    case "DELEG":
      return kind;
    default:
      return cursor.fail("unknown kind of lock", at);
  }
}

function lockType(cursor: Cursor): LockEntry["type"] {
  const at = cursor.at;
  const type = cursor.word();
  return type === "READ" || type === "WRITE" || type === "UNLCK"
    ? type
    : cursor.fail("unknown type of lock", at);
}

function parseTargets(cursor: Cursor): EpollTarget[] {
  const targets: EpollTarget[] = [];
  for (; cursor.looksAt("tfd:"); cursor.endLine()) {
    const fd = field(cursor, "tfd:", 10);
    const events = field(cursor, "events:", 16);
    const data = bigField(cursor, "data:");
    cursor.blanks();
    cursor.expect("pos:");
    const pos = cursor.signed();
    const ino = bigField(cursor, "ino:");
    const device = field(cursor, "sdev:", 16);
    targets.push({ fd, events, data, pos, ino, major: majorOf(device), minor: minorOf(device) });
  }
  return targets;
}

function parseWatches(cursor: Cursor): InotifyWatch[] {
  const watches: InotifyWatch[] = [];
  for (; cursor.take("inotify "); cursor.endLine()) {
    const wd = field(cursor, "wd:", 16);
    const ino = bigField(cursor, "ino:");
    const device = field(cursor, "sdev:", 16);
    const mask = field(cursor, "mask:", 16);
    field(cursor, "ignored_mask:", 16);
    cursor.blanks();
    let handleType = NO_HANDLE;
    let handle = new Uint8Array();
    if (cursor.looksAt("fhandle-bytes:")) {
      const length = field(cursor, "fhandle-bytes:", 16);
      handleType = field(cursor, "fhandle-type:", 16);
      handle = parseHandle(cursor, length);
    }
    watches.push({ wd, ino, major: majorOf(device), minor: minorOf(device), mask, handleType, handle });
  }
  return watches;
}

function parseHandle(cursor: Cursor, length: number): Uint8Array<ArrayBuffer> {
  cursor.blanks();
  cursor.expect("f_handle:");
  const at = cursor.at;
  const digits = cursor.word();
  if (digits.length !== length * 2 || !/^[0-9a-f]*$/.test(digits)) {
    cursor.fail(`no handle of ${length} bytes`, at);
  }
  const handle = new Uint8Array(length);
  for (let i = 0; i < length; i++) handle[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return handle;
}

/** `LABEL   DIGITS` of up to 32 bits. */
function field(cursor: Cursor, label: string, base: 10 | 16): number {
  cursor.blanks();
  cursor.expect(label);
  cursor.blanks();
  const at = cursor.at;
  const value = cursor.number(base);
  return value <= 0xffffffff ? value : cursor.fail("more than 32 bits", at);
}

/** `LABEL   HEX` of up to 64 bits. */
function bigField(cursor: Cursor, label: string): bigint {
  cursor.blanks();
  cursor.expect(label);
  cursor.blanks();
  return cursor.bigint(16);
}

/** Of the kernel's own dev_t, which is not the encoding of stat(2): 12 bits of major above 20 of minor. */
function majorOf(device: number): number {
  return device >>> 20;
}

function minorOf(device: number): number {
  return device & 0xfffff;
}
