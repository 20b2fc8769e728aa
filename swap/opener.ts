/**
 * Opening on the target what is open on the source. Everything here happens before anything is changed, and ends with the swap's scope.
 *
 * A place is first reached by an O_PATH descriptor, to make sure that it is of the same type: opening a FIFO or a device of that name would
 * have effects. Files are opened as the process that has them, because a server may refuse root; then as root; then as their owner.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  F_SETFL,
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  SEEK_SET,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { nameToHandleAt, openByHandleAt } from "../ffi/sys/handles.ts";
import { closeFd, fcntlSet, fstat, lseek, openat, openat2, reopen, StatxBuffer } from "../ffi/sys/file.ts";
import { setfsgid, setfsuid, setgroups } from "../ffi/sys/identity.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { carryFifo, carryFile } from "./carry_file.ts";
import type { Description, Place } from "./inventory.ts";
import type { TaskStatus } from "./procfs/status.ts";
import { trueName } from "./true_name.ts";

/** Flags that matter only when a file is opened for the first time, or do not belong to the description. */
const ONCE = O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC | O_ASYNC;

const HERE = cstr(".");

/** Opens on the target. Keeps what it has opened until it is disposed of. */
export class Opener implements Disposable {
  readonly #open = new Map<string, number>();
  readonly #named = new Map<string, Place>();
  readonly #loose: number[] = [];
  readonly #stat = new StatxBuffer();
  readonly #unnamed: (place: Place) => number;

  /**
   * @param unnamed the target's file for one that has lost its name: an O_PATH descriptor that is taken over here, or a negated error
   * number; ENOENT lets it be looked for by handle and, if it is a regular file or a FIFO without any name, be carried over
   */
  constructor(unnamed: (place: Place) => number = () => -Errno.ENOENT) {
    this.#unnamed = unnamed;
  }

  /** A place by the name that it really has: what looks like one without a name may be one. */
  named(place: Place): Place {
    if (!place.deleted || place.links === 0) return place;
    const key = `${place.source.id}:${place.inode}/${String.fromCharCode(...place.path)}`;
    let known = this.#named.get(key);
    if (known === undefined) {
      const path = trueName(place);
      known = path === undefined ? place : { ...place, path, deleted: false };
      this.#named.set(key, known);
    }
    return known;
  }

  /**
   * An O_PATH descriptor of a place's counterpart, of the same type. It stays owned here.
   *
   * @returns a descriptor, or a negated error number: ENOENT; ESTALE when it is of another type
   */
  reach(shown: Place): number {
    const place = this.named(shown);
    const key = keyOf(place);
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const fd = place.deleted ? this.#reachUnnamed(place) : this.#walk(place);
    if (fd < 0) return fd;
    this.#open.set(key, fd);
    if (fstat(fd, STATX_BASIC_STATS, this.#stat) < 0) return -Errno.ESTALE;
    return (this.#stat.mode & S_IFMT) === (place.mode & S_IFMT) ? fd : -Errno.ESTALE;
  }

  #walk({ source, path }: Place): number {
    if (path.length === 0) {
      const root = openat(source.targetFd, HERE, O_PATH | O_CLOEXEC);
      // The root of a bind mount of a file.
      return root === -Errno.ENOTDIR ? reopen(source.targetFd, O_PATH | O_CLOEXEC) : root;
    }
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    return openat2(source.targetFd, cstr(path), { flags: O_PATH | O_NOFOLLOW | O_CLOEXEC, resolve });
  }

  /** A file without a name: as its server knows it; by its handle, on the same file system; a copy of it. */
  #reachUnnamed(place: Place): number {
    const told = this.#unnamed(place);
    if (told !== -Errno.ENOENT) return told;
    const old = openat(-100, cstr(place.link), O_PATH | O_CLOEXEC);
    if (old < 0) return old;
    try {
      const same = this.#byHandle(old, place);
      if (same >= 0) return same;
      if (place.links > 0) return -Errno.ENOENT; // who has it by another name would see another file
      const type = place.mode & S_IFMT;
      if (type === S_IFIFO) return carryFifo(old, place.source.targetFd);
      return type === S_IFREG ? carryFile(old, place.source.targetFd) : -Errno.ENOENT;
    } finally {
      closeFd(old);
    }
  }

  #byHandle(old: number, { source }: Place): number {
    const [before, after] = [new StatxBuffer(), new StatxBuffer()];
    if (fstat(old, STATX_BASIC_STATS, before) < 0) return -Errno.ENOENT;
    if (fstat(source.targetFd, STATX_BASIC_STATS, after) < 0) return -Errno.ENOENT;
    if (before.devMajor !== after.devMajor || before.devMinor !== after.devMinor) return -Errno.ENOENT;
    const handle = nameToHandleAt(old, null, AT_EMPTY_PATH);
    if (typeof handle === "number") return handle;
    const mount = openat(source.targetFd, HERE, O_RDONLY | O_CLOEXEC);
    if (mount < 0) return mount;
    const fd = openByHandleAt(mount, handle, O_PATH | O_CLOEXEC);
    closeFd(mount);
    return fd;
  }

  /**
   * A new open file description like one of the source, with its flags and its offset. It stays owned here.
   *
   * @param as whom to open it as
   * @returns a descriptor, or a negated error number: EAGAIN when somebody else has a lease that this breaks
   */
  description({ flags, position }: Description, shown: Place, as: TaskStatus): number {
    const place = this.named(shown);
    const wanted = flags & ~ONCE & ~((flags & O_TMPFILE) === O_TMPFILE ? O_TMPFILE : 0);
    const fd = this.#as(as, place, (path) => this.#reopen(place, path, wanted));
    if (fd < 0) return fd;
    this.#loose.push(fd);
    if (isRegular(place) && (flags & (O_PATH | O_NONBLOCK)) === 0) fcntlSet(fd, F_SETFL, wanted);
    if ((flags & O_PATH) === 0 && position !== 0n && lseek(fd, position, SEEK_SET) < 0n) return -Errno.ESPIPE;
    return fd;
  }

  #reopen(place: Place, path: number, wanted: number): number {
    // Somebody's lease on the target is not waited for, which takes up to 45 s.
    const flags = isRegular(place) && (wanted & O_PATH) === 0 ? wanted | O_NONBLOCK : wanted;
    const byName = (flags & (O_PATH | O_NOFOLLOW)) !== 0 && !place.deleted && place.path.length > 0;
    if (!byName) return reopen(path, (flags & ~O_NOFOLLOW) | O_NOCTTY | O_CLOEXEC);
    // By its name, so that the description shows O_NOFOLLOW if the old one does, as that of a symbolic link has to.
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    const safe = (flags & O_PATH) === 0 ? flags | O_NOCTTY : flags;
    return openat2(place.source.targetFd, cstr(place.path), { flags: safe | O_CLOEXEC, resolve });
  }

  /**
   * A descriptor for mapping a file, or for an executable; the same for all who want the same. It stays owned here.
   *
   * @param flags O_RDONLY or O_RDWR
   * @returns as `description`
   */
  file(place: Place, flags: number, as: TaskStatus): number {
    const key = `${flags}:${keyOf(place)}`;
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const fd = this.#as(as, place, (path) => reopen(path, flags | O_NONBLOCK | O_CLOEXEC));
    if (fd >= 0) this.#open.set(key, fd);
    return fd;
  }

  /** Keeps a descriptor that was made elsewhere. */
  keep(fd: number): number {
    this.#loose.push(fd);
    return fd;
  }

  /** Opens as a process, then as root, then as the file's owner. */
  #as({ uid, gid, groups }: TaskStatus, place: Place, open: (path: number) => number): number {
    const path = this.reach(place);
    if (path < 0) return path;
    const refused = (result: number) => result === -Errno.EACCES || result === -Errno.EPERM;
    if (uid[3] === 0 && gid[3] === 0) {
      const asRoot = open(path);
      if (!refused(asRoot)) return asRoot;
    } else {
      const asProcess = actAs(uid[3], gid[3], groups, () => open(path));
      if (!refused(asProcess)) return asProcess;
      const asRoot = open(path);
      if (!refused(asRoot)) return asRoot;
    }
    if (fstat(path, STATX_BASIC_STATS, this.#stat) < 0) return -Errno.EACCES;
    return actAs(this.#stat.uid, this.#stat.gid, [], () => open(path));
  }

  /** Closes what it keeps. */
  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeFd(fd);
    for (const fd of this.#loose) closeFd(fd);
    this.#open.clear();
    this.#loose.length = 0;
  }
}

function isRegular({ mode }: Place): boolean {
  return (mode & S_IFMT) === S_IFREG;
}

function keyOf(place: Place): string {
  if (place.deleted) return `${place.source.id}:${place.inode}`;
  return `${place.source.id}/${String.fromCharCode(...place.path)}`;
}

/** Does something with this thread's file system identity changed. @throws {SysError} EPERM when it cannot be had */
function actAs<T>(uid: number, gid: number, groups: readonly number[], act: () => T): T {
  check(setgroups(new Uint32Array(groups)), "setgroups");
  check(setfsgid(gid), "setfsgid");
  check(setfsuid(uid), "setfsuid");
  try {
    return act();
  } finally {
    check(setfsuid(0), "setfsuid");
    check(setfsgid(0), "setfsgid");
    // Root's own groups give it nothing that it does not have.
    check(setgroups(new Uint32Array()), "setgroups");
  }
}
