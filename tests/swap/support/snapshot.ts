/**
 * All that /proc tells of processes and that a swap must leave as it is, and which of it is on which mount.
 *
 * Where a thing is on one of the two mounts is kept apart from what it is: in texts, both mountpoints are written `@`, and both mounts'
 * ids and devices as well.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  KCMP_FILE,
  KCMP_FILES,
  KCMP_FS,
  O_TMPFILE,
  STATX_INO,
  STATX_MNT_ID,
  STATX_NLINK,
} from "../../../ffi/sys/constants.ts";
import { readlinkat } from "../../../ffi/sys/dir.ts";
import { statx, StatxBuffer } from "../../../ffi/sys/file.ts";
import { Errno, SysError } from "../../../ffi/errno.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import { kcmp } from "../../../ffi/sys/pidfd.ts";
import { readProcFile } from "../../../ffi/sys/process.ts";
import { mountIdOf, type MountPair, type Side } from "./mount_pair.ts";

/** What processes are at one moment. Both are keyed by what of them it is: "12 fd 3 flags", "12 cwd". */
export interface Snapshot {
  /** What a swap must not change. */
  readonly facts: ReadonlyMap<string, string>;
  /** Everything that is on one of the mounts, with that mount's id. */
  readonly references: ReadonlyMap<string, number>;
}

const STATUS = [
  "Name",
  "Umask",
  "TracerPid",
  "Uid",
  "Gid",
  "Groups",
  "Threads",
  "SigPnd",
  "ShdPnd",
  "SigBlk",
  "SigIgn",
  "SigCgt",
  "CapEff",
  "NoNewPrivs",
  "Seccomp",
  "Seccomp_filters",
  "VmLck",
];
/** Of proc_pid_stat(5), counted from 1: where code, stack, data, break, arguments and environment are. */
const ADDRESSES = [26, 27, 28, 45, 46, 47, 48, 49, 50, 51];

/** Looks at processes. @throws {SysError} when one of them does not exist. */
export function snapshot(pids: readonly number[], pair: MountPair): Snapshot {
  const look = new Look(pair);
  for (const pid of pids) look.process(pid);
  look.descriptions();
  return look;
}

/** A descriptor on one of the mounts. */
interface SeenFd {
  /** Whose. */
  readonly tid: number;
  /** Its number. */
  readonly fd: number;
  /** What fdinfo says first, by which most descriptions differ. */
  readonly state: string;
}

/** A line of smaps. */
interface SeenMapping {
  readonly from: number;
  to: number;
  /** The offset in the file. */
  readonly at: number;
  readonly permissions: string;
  /** The file. */
  what: string;
  flags: string;
  /** The mount that the file is on, if that is one of the two. */
  mount?: number | undefined;
}

/**
 * Mappings of the two mounts that continue each other are one. After fork they may be two that differ in nothing any more, as when one of
 * them was locked in the parent; made anew, they are joined by the kernel.
 */
function joined(seen: readonly SeenMapping[]): SeenMapping[] {
  const result: SeenMapping[] = [];
  for (const one of seen) {
    const last = result.at(-1);
    const continues = last !== undefined && one.mount !== undefined && last.mount === one.mount &&
      last.to === one.from && last.at + (last.to - last.from) === one.at && last.what === one.what &&
      last.permissions === one.permissions && last.flags === one.flags;
    if (continues) last.to = one.to;
    else result.push({ ...one });
  }
  return result;
}

class Look implements Snapshot {
  readonly facts = new Map<string, string>();
  readonly references = new Map<string, number>();
  readonly #pair: MountPair;
  readonly #fds: SeenFd[] = [];

  constructor(pair: MountPair) {
    this.#pair = pair;
  }

  process(pid: number): void {
    const tids = numbers(`/proc/${pid}/task`);
    // The first thread's files are those of the process, unless it has ended before the others.
    const alive = tids.filter((tid) => !/^State:\s*[ZX]/m.test(text(`/proc/${pid}/task/${tid}/status`)));
    this.facts.set(`${pid} threads`, tids.join(" "));
    for (const tid of tids) this.#status(pid, tid);
    alive.forEach((tid, index) => {
      const task = `/proc/${pid}/task/${tid}`;
      const owner = (type: number) => alive.slice(0, index).find((other) => kcmp(other, tid, type) === 0);
      const filesOf = owner(KCMP_FILES);
      const fsOf = owner(KCMP_FS);
      this.facts.set(`${tid} shares files with`, `${filesOf}`);
      this.facts.set(`${tid} shares fs with`, `${fsOf}`);
      if (filesOf === undefined) { for (const fd of numbers(`${task}/fd`)) this.#fd(task, tid, fd); }
      if (fsOf === undefined) {
        for (const name of ["cwd", "root"]) this.#place(`${tid} ${name}`, `${task}/${name}`);
      }
    });
    if (alive.length === 0) return;
    const task = `/proc/${pid}/task/${alive[0]}`;
    this.#place(`${pid} exe`, `${task}/exe`);
    this.#maps(pid, task, alive[0] === pid);
    this.facts.set(`${pid} limits`, text(`${task}/limits`));
    this.facts.set(`${pid} cmdline`, text(`${task}/cmdline`));
    const stat = text(`${task}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    this.facts.set(`${pid} addresses`, ADDRESSES.map((number) => fields[number - 3]).join(" "));
  }

  /** Which descriptors share a description. */
  descriptions(): void {
    const byState = new Map<string, SeenFd[]>();
    for (const seen of this.#fds) {
      const representatives = byState.get(seen.state) ?? [];
      byState.set(seen.state, representatives);
      const same = representatives.find((other) =>
        kcmp(other.tid, seen.tid, KCMP_FILE, other.fd, seen.fd) === 0
      );
      if (same === undefined) representatives.push(seen);
      this.facts.set(`${seen.tid} fd ${seen.fd} is`, same === undefined ? "" : `${same.tid} fd ${same.fd}`);
    }
  }

  #status(pid: number, tid: number): void {
    const status = new Map(
      text(`/proc/${pid}/task/${tid}/status`).split("\n").map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }),
    );
    for (const name of STATUS) this.facts.set(`${tid} ${name}`, status.get(name) ?? "");
    this.facts.set(`${tid} is stopped or dead`, /^[TtZX]/.exec(status.get("State") ?? "")?.[0] ?? "");
    // The number of queued signals is the user's: other processes of root's have some as well.
    const ofRoot = status.get("Uid")?.startsWith("0\t") ?? false;
    if (!ofRoot) this.facts.set(`${tid} SigQ`, status.get("SigQ") ?? "");
  }

  #fd(task: string, tid: number, fd: number): void {
    const key = `${tid} fd ${fd}`;
    const info = text(`${task}/fdinfo/${fd}`);
    const mount = this.#side(Number(/^mnt_id:\s*(\d+)/m.exec(info)?.[1]));
    if (mount !== undefined) {
      this.references.set(key, mount.id);
      this.#fds.push({ tid, fd, state: info.split("\n").slice(0, 2).join() });
    }
    this.#link(`${key} link`, `${task}/fd/${fd}`);
    // Locks have numbers, inode and device numbers may be those of the other file system: what remains is what is held.
    const lines = info.split("\n").map((line) =>
      line.replace(/^(mnt_id|ino):.*/, mount === undefined ? "$&" : "$1")
        .replace(/^lock:\t\d+: (.*) [0-9a-f]+:[0-9a-f]+:\d+ /, "lock $1 ")
        .replace(/\b(ino|sdev): ?[0-9a-f]+/g, "$1")
        .replace(/f_handle:[0-9a-f]+/, "f_handle")
        .replace(/^flags:\t(\d+)$/, (_, digits: string) => `flags:\t${statusFlags(parseInt(digits, 8))}`)
        // The kernel adds EPOLLERR and EPOLLHUP to what is registered: a shot that was fired comes back with these.
        .replace(/(tfd:.* events: [4c]00000)18/, "$100")
    );
    this.facts.set(`${key} info`, lines.sort().join(" | ").trim());
  }

  #place(key: string, path: string): void {
    const mount = this.#side(mountIdOf(path));
    if (mount !== undefined) this.references.set(key, mount.id);
    this.#link(key, path);
  }

  #link(key: string, path: string): void {
    this.facts.set(key, this.#named(this.#path(link(path)), path));
  }

  /**
   * The text of a link, but for files of the mounts whose name is gone: that says nothing. If they have others, it is these that count,
   * since a link may show any of them.
   */
  #named(shown: string, path: string): string {
    if (!shown.startsWith("@") || !shown.endsWith(" (deleted)")) return shown;
    const wanted = STATX_NLINK | STATX_INO | STATX_MNT_ID;
    check(statx(AT_FDCWD, cstr(path), AT_STATX_DONT_SYNC, wanted, attributes), "statx", path);
    const { nlink, ino, mntId } = attributes;
    if (nlink === 0) return "@ (no name)";
    const names = namesOf(this.#side(Number(mntId))!.path, ino).map((name) => this.#path(name));
    return names.includes(shown) ? shown : names.sort()[0]!;
  }

  #maps(pid: number, task: string, firstIsAlive: boolean): void {
    const seen: SeenMapping[] = [];
    for (const line of text(`${task}/smaps`).split("\n")) {
      const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+) (\S+) (\d+) *(.*)$/.exec(line);
      if (head !== null) {
        const [, start, end, permissions, offset, device, inode, path] = head;
        const [from, to, at] = [start, end, offset].map((digits) => parseInt(digits!, 16)) as [
          number,
          number,
          number,
        ];
        const shown = this.#path(path!);
        const one: SeenMapping = { from, to, at, permissions: permissions!, what: shown, flags: "" };
        if (shown === path) one.what = `${device} ${inode} ${path}`;
        seen.push(one);
        // The kernel shows what is mapped of a process by its first thread only.
        if (inode === "0" || !firstIsAlive) continue;
        const file = `/proc/${pid}/map_files/${from.toString(16)}-${to.toString(16)}`;
        one.mount = this.#side(mountIdOf(file))?.id;
        if (one.mount !== undefined) one.what = this.#named(shown, file);
      } else if (line.startsWith("VmFlags:")) seen.at(-1)!.flags = line.slice(8).trim();
    }
    for (const { from, to, at, permissions, what, flags, mount } of joined(seen)) {
      const key = `${pid} map ${from.toString(16)}-${to.toString(16)}`;
      this.facts.set(key, `${permissions} ${at.toString(16)} ${what}, ${flags}`);
      if (mount !== undefined) this.references.set(key, mount);
    }
  }

  #side(id: number): Side | undefined {
    return this.#pair.sides.find((side) => side.id === id);
  }

  #path(path: string): string {
    const side = this.#pair.sides.find((each) => path === each.path || path.startsWith(`${each.path}/`));
    return side === undefined ? path : `@${path.slice(side.path.length)}`;
  }
}

const latin1 = new TextDecoder("latin1");
const attributes = new StatxBuffer();
const linkBuffer = new Uint8Array(8192);

function text(path: string): string {
  const bytes = readProcFile(path);
  return latin1.decode(typeof bytes === "number" ? (check(bytes, "open", path), undefined) : bytes);
}

function link(path: string): string {
  const length = readlinkat(AT_FDCWD, cstr(path), linkBuffer);
  if (length === -Errno.ENAMETOOLONG) return "(longer than PATH_MAX)";
  return latin1.decode(linkBuffer.subarray(0, check(length, "readlink", path)));
}

/** What of a description's flags can be made anew: that its file was made without a name cannot be said of one that is open already. */
function statusFlags(flags: number): string {
  return ((flags & O_TMPFILE) === O_TMPFILE ? flags & ~O_TMPFILE : flags).toString(8);
}

/** All names of a file below a folder, as `link` gives them. */
function namesOf(folder: string, ino: bigint): string[] {
  const args = [folder, "-xdev", "-inum", `${ino}`, "-print0"];
  const { success, stdout } = new Deno.Command("find", { args }).outputSync();
  assert(success, "find");
  return latin1.decode(stdout).split("\0").slice(0, -1);
}

function numbers(folder: string): number[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => Number(name)).sort((a, b) => a - b);
}

/** Fails unless all that was on one mount before is on the other now and everything else is as it was. */
export function assertMoved(before: Snapshot, after: Snapshot, from: Side, to: Side): void {
  const moved = new Map([...before.references].map(([key, id]) => [key, id === from.id ? to.id : id]));
  assertEquals(difference(moved, after.references), [], "what is on which mount");
  assertUnchanged(before, after);
}

/** Fails unless everything is as it was; on which mount it is apart. */
export function assertUnchanged(before: Snapshot, after: Snapshot): void {
  assertEquals(difference(before.facts, after.facts), []);
}

/**
 * What refers to a mount, of all processes of the machine that this one may look at, those apart that end meanwhile: "12 fd 3".
 * Takes no part in what they do, so that they may go on.
 */
export function usersOf(mount: Side): string[] {
  const found: string[] = [];
  const look = (what: string, path: string) => {
    try {
      if (mountIdOf(path) === mount.id) found.push(what);
    } catch (error) {
      if (!(error instanceof SysError)) throw error; // it is gone
    }
  };
  const names = (folder: string): string[] => {
    try {
      return [...Deno.readDirSync(folder)].map(({ name }) => name);
    } catch {
      return []; // it is gone
    }
  };
  for (const pid of names("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const tid of names(`/proc/${pid}/task`)) {
      const task = `/proc/${pid}/task/${tid}`;
      for (const name of ["cwd", "root", "exe"]) look(`${tid} ${name}`, `${task}/${name}`);
      for (const fd of names(`${task}/fd`)) look(`${tid} fd ${fd}`, `${task}/fd/${fd}`);
    }
    for (const range of names(`/proc/${pid}/map_files`)) {
      look(`${pid} map ${range}`, `/proc/${pid}/map_files/${range}`);
    }
  }
  return found;
}

function difference(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key}: ${before.get(key)} -> ${after.get(key)}`);
}
