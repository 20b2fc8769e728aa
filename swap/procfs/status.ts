/**
 * A task as `/proc/PID/status` tells it: see proc_pid_status(5).
 *
 * @module
 */
import { Cursor } from "./cursor.ts";

/** The ids of a task: real, effective, saved, and that of file system access. */
export type Ids = readonly [real: number, effective: number, saved: number, fs: number];

/** What is told of a task. Pids are in the namespace of the /proc that was read, uids and gids in the reader's user namespace. */
export interface TaskStatus {
  /** The command name, unescaped; at most 15 bytes, more for kernel threads. */
  readonly name: Uint8Array<ArrayBuffer>;
  /** One letter: R, S, D, T (stopped), t (traced), Z, X and others. */
  readonly state: string;
  /** The process. */
  readonly tgid: number;
  /** The task. */
  readonly pid: number;
  /** The parent process; 0 when that is in no namespace below the reader's. */
  readonly ppid: number;
  /** Who traces it by ptrace(2); 0 if nobody does. */
  readonly tracerPid: number;
  /** The user ids. */
  readonly uid: Ids;
  /** The group ids. */
  readonly gid: Ids;
  /** The supplementary groups. */
  readonly groups: readonly number[];
  /** The task in each pid namespace, from the one of the /proc that was read to its own. */
  readonly nspid: readonly number[];
  /** Locked memory in KiB; 0 for what has no memory. */
  readonly vmLckKb: number;
  /** The signals that are pending for the task; bit 0 is signal 1. */
  readonly sigPnd: bigint;
  /** The signals that are pending for the process. */
  readonly shdPnd: bigint;
  /** The blocked signals. */
  readonly sigBlk: bigint;
  /** The ignored signals. */
  readonly sigIgn: bigint;
  /** The signals that have a handler. */
  readonly sigCgt: bigint;
  /** The effective capabilities. */
  readonly capEff: bigint;
  /** The permitted capabilities. */
  readonly capPrm: bigint;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp: number;
  /** Whether PR_SET_NO_NEW_PRIVS is set. */
  readonly noNewPrivs: boolean;
}

const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;

/**
 * Reads the text of a status file. The name cannot pretend to be other lines: the kernel escapes newlines and backslashes in it.
 *
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseStatus(bytes: Uint8Array): TaskStatus {
  const cursor = new Cursor(bytes, "status");
  cursor.expect("Name:\t");
  const nameEnd = cursor.lineEnd();
  const name = unescapeName(bytes.subarray(cursor.at, nameEnd));
  cursor.at = nameEnd + 1;
  if (bytes[bytes.length - 1] !== NEWLINE) cursor.fail("cut off", bytes.length);
  // Asked for in the kernel's order, so that each is found a few lines on.
  return {
    name,
    state: state(cursor),
    tgid: number(cursor, "Tgid:"),
    pid: number(cursor, "Pid:"),
    ppid: number(cursor, "PPid:"),
    tracerPid: number(cursor, "TracerPid:"),
    uid: ids(cursor, "Uid:"),
    gid: ids(cursor, "Gid:"),
    groups: numbers(cursor, "Groups:"),
    nspid: numbers(cursor, "NSpid:"),
    vmLckKb: number(cursor, "VmLck:", 0),
    sigPnd: mask(cursor, "SigPnd:"),
    shdPnd: mask(cursor, "ShdPnd:"),
    sigBlk: mask(cursor, "SigBlk:"),
    sigIgn: mask(cursor, "SigIgn:"),
    sigCgt: mask(cursor, "SigCgt:"),
    capPrm: mask(cursor, "CapPrm:"),
    capEff: mask(cursor, "CapEff:"),
    noNewPrivs: number(cursor, "NoNewPrivs:") !== 0,
    seccomp: number(cursor, "Seccomp:", 0),
  };
}

/** Goes behind a key at the beginning of a line: further on, or else before. Stays where it is, at the beginning of a line, when there is none. */
function find(cursor: Cursor, key: string): boolean {
  const from = cursor.at;
  for (const [start, end] of [[from, cursor.bytes.length], [0, from]] as const) {
    for (cursor.at = start; cursor.at < end; cursor.skipLine()) {
      if (cursor.take(key)) return true;
    }
  }
  return false;
}

function need(cursor: Cursor, key: string): void {
  if (!find(cursor, key)) cursor.fail(`no ${key.slice(0, -1)}`, 0);
}

function state(cursor: Cursor): string {
  need(cursor, "State:\t");
  const at = cursor.at;
  const letter = cursor.word();
  if (!/^[A-Za-z]$/.test(letter)) cursor.fail("no state", at);
  cursor.skipLine();
  return letter;
}

function number(cursor: Cursor, key: string, missing?: number): number {
  if (missing === undefined) need(cursor, key);
  else if (!find(cursor, key)) return missing;
  cursor.blanks();
  const value = cursor.number(10);
  if (!cursor.take(" kB\n")) cursor.endLine();
  return value;
}

function numbers(cursor: Cursor, key: string): number[] {
  need(cursor, key);
  const values: number[] = [];
  for (cursor.blanks(); !cursor.done && cursor.peek() !== NEWLINE; cursor.blanks()) {
    values.push(cursor.number(10));
  }
  cursor.endLine();
  return values;
}

function ids(cursor: Cursor, key: string): Ids {
  const [real, effective, saved, fs, ...rest] = numbers(cursor, key);
  if (
    real === undefined || effective === undefined || saved === undefined || fs === undefined ||
    rest.length > 0
  ) {
    cursor.fail(`not four of ${key.slice(0, -1)}`, cursor.at - 1);
  }
  return [real, effective, saved, fs];
}

function mask(cursor: Cursor, key: string): bigint {
  need(cursor, key);
  cursor.blanks();
  const value = cursor.bigint(16);
  cursor.endLine();
  return value;
}

/** `\n` and `\\` are what the kernel writes; another backslash stays. */
function unescapeName(escaped: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = new Uint8Array(escaped.length);
  let length = 0;
  for (let at = 0; at < escaped.length; at++) {
    const next = escaped[at] === BACKSLASH ? escaped[at + 1] : undefined;
    if (next === 0x6e || next === BACKSLASH) at++;
    name[length++] = next === 0x6e ? NEWLINE : escaped[at]!;
  }
  return name.slice(0, length);
}
