/**
 * Everything on the target that a swap needs, opened before anything is changed: what cannot be opened is in the way, by name.
 *
 * @module
 */
import { Errno, errnoName, SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  S_IFIFO,
  S_IFMT,
  STATX_INO,
} from "../ffi/sys/constants.ts";
import { closeFd, fstat, openat, reopen, StatxBuffer } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import type { Actor } from "./actor.ts";
import { fifoEnd, openFifoEnds, openMoreEnds } from "./fifo.ts";
import { inodeOfPlace } from "./inode.ts";
import { pathOfHandle, pendingBytes, rebuildInotify, WatchedFiles } from "./inotify.ts";
import type { Description, Directories, Hindrance, Inventory, Mapping, Place } from "./inventory.ts";
import { Opener } from "./opener.ts";
import type { InotifyWatch, LockEntry } from "./procfs/fdinfo.ts";
import { mapFilesName } from "./procfs/maps.ts";
import { relativeTo, splitDeleted } from "./procfs/names.ts";
import { takenLock } from "./taken_locks.ts";
import type { TaskStatus } from "./procfs/status.ts";
import type { Obstacle, ResourceKind, SourceMount } from "./types.ts";
import type { DirectoryPair } from "./directories.ts";

/** Instead of a descriptor of a file that must not be opened, because that would break a lease. */
const LEASED = -Errno.EDEADLK;

/** What is to take the place of what was found. */
export class Replacements implements Disposable {
  readonly opener: Opener;
  /** For each description, our descriptor of the new one. */
  readonly next = new Map<Description, number>();
  /** For each description, our descriptor of the old one: to undo, and to know it by. */
  readonly old = new Map<Description, number>();
  /** For each mapping, our descriptor of its file on the target. */
  readonly files = new Map<Mapping, number>();
  /** For each executable. */
  readonly executables = new Map<Place, number>();
  /** For each pair of directories, what is next and what was before. */
  readonly directories = new Map<Directories, { next: DirectoryPair; before: DirectoryPair }>();
  /** What is in the way. */
  readonly hindrances: Hindrance[] = [];
  readonly #leased = new Set<string>();
  readonly #inventory: Inventory;
  readonly #sources: readonly SourceMount[];
  readonly #actors: (pid: Description["holders"][number]["table"]) => Actor;

  /**
   * @param actors the actor of a table
   * @param unnamed see {@linkcode Opener}
   */
  constructor(
    inventory: Inventory,
    sources: readonly SourceMount[],
    actors: (table: Description["holders"][number]["table"]) => Actor,
    unnamed?: (place: Place) => number,
  ) {
    this.#inventory = inventory;
    this.#sources = sources;
    this.#actors = actors;
    this.opener = new Opener(unnamed);
  }

  /** Opens everything. What fails is in `hindrances`. */
  open(): void {
    for (const description of this.#inventory.descriptions) this.#takeOld(description);
    this.#fifos();
    this.#leases();
    for (const description of this.#inventory.descriptions) {
      const { place } = description;
      if (place === undefined || this.next.has(description) || !this.old.has(description)) continue;
      if (isFifo(description)) continue;
      const holder = description.holders[0]!;
      const status = this.#status(holder.table.pid);
      const fd = this.#unlessLeased(place, () => this.opener.description(description, place, status));
      if (fd < 0) this.#hinder(holder.table.pid, "fd", fd, place, { fd: holder.fd });
      else {
        this.next.set(description, fd);
        this.#locks(description, fd);
      }
    }
    for (const memory of this.#inventory.memories) {
      const status = this.#status(memory.pid);
      for (const mapping of memory.mappings) {
        const flags = mapping.writable ? O_RDWR : O_RDONLY;
        const fd = this.#unlessLeased(mapping.place, () => this.opener.file(mapping.place, flags, status));
        if (fd >= 0) this.files.set(mapping, fd);
        else this.#hinder(memory.pid, "map", fd, mapping.place, { address: mapFilesName(mapping.area) });
      }
      if (memory.exe === undefined) continue;
      const fd = this.opener.file(memory.exe, O_RDONLY, status);
      if (fd >= 0) this.executables.set(memory.exe, fd);
      else this.#hinder(memory.pid, "exe", fd, memory.exe);
    }
    for (const record of this.#inventory.directories) this.#directories(record);
    // Last: what is opened on the target would be told of by a watch that is there.
    for (const description of this.#inventory.descriptions) {
      if (description.watches.length > 0 && this.old.has(description)) this.#watcher(description);
    }
  }

  #status(pid: number): TaskStatus {
    return this.#inventory.processes.get(pid)!.status;
  }

  #hinder(
    pid: number,
    kind: ResourceKind,
    result: number,
    place: Place | undefined,
    more: Partial<Obstacle> = {},
  ): void {
    const comm = this.#inventory.processes.get(pid)?.comm ?? "";
    const named = place === undefined ? undefined : this.opener.named(place);
    const reason = reasonOf(result, named);
    const path = named === undefined ? {} : { path: named.path };
    const transient = result === -Errno.EAGAIN ? { transient: true } : {};
    const obstacle = { pid, comm, kind, reason, ...path, ...transient, ...more };
    this.hindrances.push({ obstacle, alone: false });
  }

  #takeOld(description: Description): void {
    const { table, fd } = description.holders[0]!;
    try {
      this.old.set(description, this.#actors(table).take(fd));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#hinder(table.pid, "fd", -error.errno, description.place, { fd, reason: error.message });
    }
  }

  /** Files with a lease that opening their counterparts would break, since these are the same files. */
  #leases(): void {
    for (const [description, old] of this.old) {
      const { place, holders } = description;
      const isLeased = holders.some(({ locks }) => locks.some(isWriteLease));
      if (place !== undefined && isLeased && isSameFile(this.opener.reach(place), old)) {
        this.#leased.add(keyOf(place));
      }
    }
  }

  /** Locks on the file that it would not get. Where the new file is the old one, it is its own that are in the way. */
  #locks(description: Description, next: number): void {
    const { holders, place } = description;
    const isLocked = holders.some(({ locks }) => locks.length > 0);
    if (!isLocked || isSameFile(next, this.old.get(description)!)) return;
    for (const { table, fd, locks } of holders) {
      if (takenLock(next, locks) === undefined) continue;
      const reason = "has a lock that somebody else has on the target";
      this.#hinder(table.pid, "lock", -Errno.EAGAIN, place, { fd, reason });
    }
  }

  #unlessLeased(place: Place, open: () => number): number {
    return this.#leased.size > 0 && this.#leased.has(keyOf(place)) ? LEASED : open();
  }

  /** All ends of one FIFO together: its queue is one. */
  #fifos(): void {
    const byInode = new Map<string, Description[]>();
    for (const description of this.#inventory.descriptions) {
      if (!isFifo(description) || !this.old.has(description)) continue;
      const key = keyOf(description.place!);
      byInode.set(key, [...(byInode.get(key) ?? []), description]);
    }
    for (const ends of byInode.values()) {
      const [first] = ends as [Description];
      const holder = first.holders[0]!;
      const at = { fd: holder.fd };
      const path = this.opener.reach(first.place!);
      if (path < 0) {
        this.#hinder(holder.table.pid, "fifo", path, first.place, at);
        continue;
      }
      try {
        const olds = ends.map((end) => this.old.get(end)!);
        const wanted = olds.map(fifoEnd);
        const isOne = isSameFile(path, olds[0]!);
        const made = isOne ? openMoreEnds(path, wanted) : openFifoEnds(path, wanted, olds[0]);
        made.forEach((fd, i) => this.next.set(ends[i]!, this.opener.keep(fd.release())));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        this.#hinder(holder.table.pid, "fifo", -error.errno, first.place, { ...at, reason: error.message });
      }
    }
  }

  #directories(record: Directories): void {
    const base = `/proc/${record.task.tid}`;
    const oldOf = (link: string) =>
      this.opener.keep(openat(AT_FDCWD, cstr(`${base}/${link}`), O_PATH | O_CLOEXEC));
    const nextOf = (kind: "cwd" | "root", place: Place | undefined) => {
      if (place === undefined) return undefined;
      const fd = this.opener.reach(place);
      if (fd < 0) this.#hinder(record.pid, kind, fd, place);
      return fd;
    };
    const cwd = nextOf("cwd", record.cwd);
    const root = nextOf("root", record.root);
    const oldCwd = oldOf("cwd");
    const oldRoot = root === undefined ? undefined : oldOf("root");
    this.directories.set(record, {
      next: { root, cwd: cwd ?? oldCwd },
      before: { root: oldRoot, cwd: oldCwd },
    });
  }

  /** An inotify instance with the same watches. */
  #watcher(description: Description): void {
    const { table, fd } = description.holders[0]!;
    const old = this.old.get(description)!;
    const comm = this.#inventory.processes.get(table.pid)?.comm ?? "";
    const obstacle = (reason: string, transient: boolean) => {
      const told: Obstacle = { pid: table.pid, comm, kind: "inotify", fd, reason, transient };
      this.hindrances.push({ obstacle: told, alone: false });
    };
    if (pendingBytes(old) > 0) return obstacle("has events that nobody has read yet", true);
    using elsewhere = new WatchedFiles();
    try {
      const open = (watch: InotifyWatch) => this.#watched(watch, elsewhere);
      const made = rebuildInotify(description.watches, open, description.flags);
      this.next.set(description, this.opener.keep(made.release()));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      obstacle(`cannot be made anew: ${error.message}`, false);
    }
  }

  #watched(watch: InotifyWatch, elsewhere: WatchedFiles): number {
    const source = this.#sources.find(({ major, minor }) => major === watch.major && minor === watch.minor);
    if (source === undefined) return elsewhere.open(watch);
    // The path is that of the file's name as the kernel knows it, below where its file system is mounted.
    const root = openat(AT_FDCWD, cstr(source.mountpoint), O_RDONLY | O_CLOEXEC);
    if (root < 0) return root;
    const shown = pathOfHandle(root, watch.handleType, watch.handle);
    closeFd(root);
    if (typeof shown === "number") return shown;
    const { path, deleted } = splitDeleted(shown);
    const below = relativeTo(source.mountpoint, path);
    if (below === undefined) return -Errno.ENOENT;
    if (deleted) return -Errno.ENOENT;
    if (below.length === 0) return reopen(source.targetFd, O_PATH | O_CLOEXEC);
    return openat(source.targetFd, cstr(below), O_PATH | O_CLOEXEC);
  }

  /** Closes everything; the old descriptions, which may be the last of them, are closed by `release`. */
  [Symbol.dispose](): void {
    this.opener[Symbol.dispose]();
    this.releaseOld();
  }

  /** Closes the old descriptions. It may ask the source's server. */
  releaseOld(): void {
    for (const fd of this.old.values()) closeFd(fd);
    this.old.clear();
  }
}

function isFifo({ place, flags }: Description): boolean {
  return place !== undefined && (place.mode & S_IFMT) === S_IFIFO && (flags & O_PATH) === 0;
}

function isWriteLease({ kind, type }: LockEntry): boolean {
  return kind === "LEASE" && type === "WRITE";
}

function keyOf(place: Place): string {
  const { major, minor } = place.source;
  return `${major}:${minor}:${inodeOfPlace(place)}`;
}

/** Why a file could not be opened. */
function reasonOf(result: number, place: Place | undefined): string {
  if (result === LEASED) return "has a lease for writing, which opening the file on the target breaks";
  if (result === -Errno.ESTALE) return "is another type of file on the target";
  if (result === -Errno.EAGAIN) return "has a lease on the target, which is being broken";
  if (result !== -Errno.ENOENT || !place?.deleted) {
    return `cannot be opened on the target: ${errnoName(-result)}`;
  }
  return place.links > 0 ? "has lost its name, and no other is known" : "was removed";
}

/** Whether two descriptors are open on one file. Asks no file system about it. */
function isSameFile(one: number, other: number): boolean {
  const [a, b] = [new StatxBuffer(), new StatxBuffer()];
  if (
    fstat(one, STATX_INO, a, AT_STATX_DONT_SYNC) < 0 || fstat(other, STATX_INO, b, AT_STATX_DONT_SYNC) < 0
  ) {
    return false;
  }
  return a.ino === b.ino && a.devMajor === b.devMajor && a.devMinor === b.devMinor;
}
