/**
 * Where else a stub is mounted: bind mounts of it, of its directories and of its files, in this mount namespace and in others.
 *
 * The calling thread enters the other namespaces and comes back before a function returns; it must have a file system context of its own
 * (unshare(CLONE_FS)). All of it is synchronous.
 *
 * @module
 */

import { Errno, errnoName, SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  CLONE_FS,
  CLONE_NEWNS,
  MNT_DETACH,
  MNT_EXPIRE,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  STATX_MNT_ID,
  UMOUNT_NOFOLLOW,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { fstat, openat, StatxBuffer } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { mountSetattr, moveMount, openTree, umount2 } from "../ffi/sys/mount.ts";
import { type MountinfoEntry, parseMountinfo, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { setns, unshare } from "../ffi/sys/namespace.ts";
import type { Obstacle, SourceMount } from "../swap/types.ts";
import { followers, type Located } from "./mount_propagation.ts";
import { type Swap, swapMounts } from "./mount_swap.ts";
import { NamespaceRoot } from "./namespace_root.ts";

/** A mount of a stub besides the one that was made for it, and what takes its place. */
export interface OtherMount extends Disposable {
  /** Where it is. */
  readonly mountpoint: Uint8Array;
  /** For a swap before it is replaced. */
  readonly source: SourceMount;
  /**
   * Puts the real one in its place; in front of it, when it is locked there.
   *
   * @throws {ControlError}, {SysError} when it cannot be
   */
  replace(): void;
}

/**
 * A mount of a stub that the kernel replaces with another one: it made it as a copy of that, and makes a copy of the real mount as well, in
 * its place, when that is attached.
 */
export interface FollowingMount extends Disposable {
  /** Where it is. */
  readonly mountpoint: Uint8Array;
  /** For a swap after it was replaced: it is mounted nowhere any more. @throws {SysError} EBUSY when it is where it was */
  sourceWhenDetached(): SourceMount;
}

/** The mounts of a stub besides the one that was made for it. */
export interface OtherMounts {
  /** To be replaced one by one. */
  readonly separate: OtherMount[];
  /**
   * The same where the kernel copies only mounts that are mounted somewhere (before Linux 6.15): what takes their place can be made, and
   * their users be moved, only after the real mount has taken the place of the stub's own.
   */
  readonly late: (FollowingMount & Pick<OtherMount, "replace">)[];
  /** Replaced by the kernel with the stub's own, or with one of `separate`. */
  readonly following: FollowingMount[];
}

/** A namespace, and a task to name it by. */
interface Namespace {
  readonly pid: number;
  readonly fd: Fd;
}

/** A mount of the stub in a namespace; none is this thread's own. */
interface Found extends Located {
  readonly namespace?: Namespace;
}

/**
 * The other mounts of a stub.
 *
 * @param own the id of the mount that was made for it
 * @param scope what is returned is disposed of with it
 * @param obstacles gets those that cannot be replaced
 */
export function otherMounts(
  swap: Swap,
  own: number,
  scope: DisposableStack,
  obstacles: Obstacle[],
): OtherMounts {
  const here = readMountinfo();
  const all = [here];
  const isStub = ({ major, minor }: MountinfoEntry) => major === swap.stub.major && minor === swap.stub.minor;
  const found: Found[] = here.filter(isStub).map((entry) => ({ entry, mounts: here }));
  using namespaces = new DisposableStack();
  for (const namespace of otherNamespaces()) {
    namespaces.use(namespace.fd);
    const mounts = mountsIn(namespace);
    if (mounts === undefined) continue;
    all.push(mounts);
    found.push(...mounts.filter(isStub).map((entry) => ({ entry, mounts, namespace })));
  }
  // The kernel replaces what follows the stub's own mount, never that.
  found.sort((one, other) => Number(other.entry.id === own) - Number(one.entry.id === own));
  const follow = followers(found, all);
  const ownOptions = found.find(({ entry }) => entry.id === own)?.entry.options ?? [];
  const others: OtherMounts = { separate: [], late: [], following: [] };
  for (const one of found) {
    const { entry, namespace } = one;
    if (entry.id === own) continue;
    if (follow.has(one)) {
      others.following.push(scope.use(new Following(entry, swap.stub, namespace?.fd.dup())));
      continue;
    }
    const obstacle = (why: string) => {
      const where = namespace === undefined ? "" : ` in the mount namespace of process ${namespace.pid}`;
      const reason = `cannot be replaced at ${pathText(entry.mountpoint)}${where}: ${why}`;
      obstacles.push({ pid: 0, comm: "", kind: "process", path: entry.mountpoint, reason });
    };
    try {
      const other = scope.use(new Separate(swap, entry, namespace?.fd.dup(), ownOptions));
      if (other.isLate) others.late.push(other);
      else others.separate.push(other);
      const reason = other.hindrance();
      if (reason !== undefined) obstacle(reason);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      obstacle(error.message);
    }
  }
  return others;
}

class Separate implements OtherMount, FollowingMount {
  readonly #entry: MountinfoEntry;
  readonly #swap: Swap;
  /** What it may not do besides what the stub's own may not; MOUNT_ATTR_*. */
  readonly #restrictions: number;
  /** What takes its place; undefined until that can be made. */
  #copy: Fd | undefined;
  readonly #namespace: Fd | undefined;
  #locked = false;
  /** Where it is the root of its namespace. */
  #root: NamespaceRoot | undefined;

  /** @throws {SysError} when the real file system has nothing at the place that is mounted there */
  constructor(
    swap: Swap,
    entry: MountinfoEntry,
    namespace: Fd | undefined,
    ownOptions: readonly string[],
  ) {
    using owned = new DisposableStack();
    if (namespace !== undefined) owned.use(namespace);
    this.#entry = entry;
    this.#swap = swap;
    this.#restrictions = restrictions(entry.options, ownOptions);
    this.#namespace = namespace;
    try {
      this.#copy = this.#makeCopy();
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== Errno.EINVAL) throw error;
    }
    owned.move();
  }

  /** Whether what takes its place could not be made yet. */
  get isLate(): boolean {
    return this.#copy === undefined;
  }

  get mountpoint(): Uint8Array {
    return this.#entry.mountpoint;
  }

  get source(): SourceMount {
    const { id, major, minor, mountpoint } = this.#entry;
    const takesRoots = this.#root !== undefined;
    return { id, major, minor, mountpoint, targetFd: this.#copy!.raw, takesRoots };
  }

  sourceWhenDetached(): SourceMount {
    // In front of one that is locked: that has its path as before.
    return this.#locked ? this.source : detached(this.#entry, this.#copy!);
  }

  #makeCopy(): Fd {
    const { root, mountpoint } = this.#entry;
    const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (root.length <= 1 ? AT_EMPTY_PATH : 0);
    const copy = Fd.own(
      check(openTree(this.#swap.mountFd, cstr(root.subarray(1)), flags), "open_tree", root),
    );
    const set = this.#restrictions;
    const restricted = set === 0 ? 0 : mountSetattr(copy.raw, cstr(""), AT_EMPTY_PATH, { set });
    if (restricted >= 0) return copy;
    copy.close();
    throw new SysError("mount_setattr", -restricted, { path: pathText(mountpoint) });
  }

  /**
   * Why it cannot be replaced, if so: the kernel keeps it in its place, since where the mounts of another user namespace were copied to, they
   * cover what is below them.
   *
   * @throws {SysError} when it is not seen at its place; of the root of a namespace when what is mounted on it has no place on the real one
   */
  hindrance(): string | undefined {
    if (this.#namespace === undefined) return undefined;
    return inNamespace(this.#namespace.raw, () => {
      using top = this.#open();
      if (pathText(this.mountpoint) === "/") {
        if (this.#copy === undefined) return "the root of a namespace only since Linux 6.15";
        this.#root = NamespaceRoot.prepare(top.raw, this.#entry.id, this.#copy.raw, mountsOfThread());
        return undefined;
      }
      // It is in use, by `top`, so that nothing is unmounted: what is locked is refused before it is found to be busy.
      const expired = umount2(cstr(this.mountpoint), MNT_EXPIRE | UMOUNT_NOFOLLOW);
      this.#locked = expired === -Errno.EINVAL;
      return this.#locked ? "its user namespace may not take it off" : undefined;
    });
  }

  replace(): void {
    const copy = this.#copy ??= this.#makeCopy();
    if (this.#namespace !== undefined) inNamespace(this.#namespace.raw, () => this.#replaceThere(copy.raw));
    else swapMounts({ ...this.#swap, mountFd: copy.raw, mountpoint: this.#entry.mountpoint });
  }

  /** The same in a namespace whose /proc, if it has one, does not know this process. */
  #replaceThere(copy: number): void {
    const { mountpoint } = this.#entry;
    using top = this.#open();
    if (this.#root !== undefined) return this.#root.replace(top.raw, copy, mountsOfThread());
    const [path, here] = [cstr(mountpoint), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH];
    const takeOff = () => check(umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW), "umount2", mountpoint);
    const flags = this.#locked ? here : here | MOVE_MOUNT_BENEATH;
    const moved = moveMount(copy, cstr(""), top.raw, cstr(""), flags);
    if (moved === -Errno.EINVAL && !this.#locked) { // before Linux 6.5
      takeOff();
      check(moveMount(copy, cstr(""), AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), "move_mount", mountpoint);
      return;
    }
    check(moved, "move_mount", mountpoint);
    if (!this.#locked) takeOff();
  }

  /** The root of this mount, in the namespace that it is in. @throws {SysError} EBUSY when another mount is there */
  #open(): Fd {
    const { mountpoint, id } = this.#entry;
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const top = Fd.own(check(openat(AT_FDCWD, cstr(mountpoint), flags), "openat", mountpoint));
    const stat = new StatxBuffer();
    const looked = fstat(top.raw, STATX_MNT_ID, stat, AT_STATX_DONT_SYNC);
    if (looked >= 0 && stat.mntId === BigInt(id)) return top;
    top.close();
    throw new SysError("statx", looked < 0 ? -looked : Errno.EBUSY, { path: pathText(mountpoint) });
  }

  [Symbol.dispose](): void {
    this.#root?.[Symbol.dispose]();
    this.#copy?.[Symbol.dispose]();
    this.#namespace?.[Symbol.dispose]();
  }
}

class Following implements FollowingMount {
  readonly #entry: MountinfoEntry;
  readonly #stub: Swap["stub"];
  readonly #namespace: Fd | undefined;
  #after: Fd | undefined;

  constructor(entry: MountinfoEntry, stub: Swap["stub"], namespace: Fd | undefined) {
    this.#entry = entry;
    this.#stub = stub;
    this.#namespace = namespace;
  }

  get mountpoint(): Uint8Array {
    return this.#entry.mountpoint;
  }

  sourceWhenDetached(): SourceMount {
    const { mountpoint } = this.#entry;
    const look = () => {
      const after = Fd.own(check(openat(AT_FDCWD, cstr(mountpoint), O_PATH | O_CLOEXEC), "open", mountpoint));
      const stat = new StatxBuffer();
      const looked = fstat(after.raw, STATX_MNT_ID, stat, AT_STATX_DONT_SYNC);
      const isStub = stat.devMajor === this.#stub.major && stat.devMinor === this.#stub.minor;
      if (looked >= 0 && !isStub) return after;
      after.close();
      throw new SysError("statx", looked < 0 ? -looked : Errno.EBUSY, { path: pathText(mountpoint) });
    };
    this.#after = this.#namespace === undefined ? look() : inNamespace(this.#namespace.raw, look);
    return detached(this.#entry, this.#after);
  }

  [Symbol.dispose](): void {
    this.#after?.[Symbol.dispose]();
    this.#namespace?.[Symbol.dispose]();
  }
}

/** A mount that is mounted nowhere any more: paths on it begin at its root. */
function detached({ id, major, minor }: MountinfoEntry, target: Fd): SourceMount {
  return { id, major, minor, mountpoint: new Uint8Array([0x2f]), targetFd: target.raw };
}

/** What a mount may be forbidden, as mountinfo and mount_setattr(2) have it. */
const forbidding: Readonly<Record<string, number>> = {
  ro: MOUNT_ATTR_RDONLY,
  nosuid: MOUNT_ATTR_NOSUID,
  nodev: MOUNT_ATTR_NODEV,
  noexec: MOUNT_ATTR_NOEXEC,
  nosymfollow: MOUNT_ATTR_NOSYMFOLLOW,
};

/** What is forbidden on a mount of the stub and is not on the stub's own: it is so on the real one that takes its place. */
function restrictions(options: readonly string[], own: readonly string[]): number {
  let set = 0;
  for (const option of options) if (!own.includes(option)) set |= forbidding[option] ?? 0;
  return set;
}

/** Every mount namespace that a process is in, but this thread's own. */
function otherNamespaces(): Namespace[] {
  const own = Deno.readLinkSync("/proc/thread-self/ns/mnt");
  const seen = new Set([own]);
  const found: Namespace[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const path = `/proc/${name}/ns/mnt`;
    let link: string;
    try {
      link = Deno.readLinkSync(path);
    } catch {
      continue; // It has ended, or is a thread of the kernel.
    }
    if (seen.has(link)) continue;
    const fd = openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    seen.add(link);
    found.push({ pid: Number(name), fd: Fd.own(fd) });
  }
  return found;
}

let hasOwnContext = false;
/** /proc of this program, for a thread that is elsewhere. */
let proc: Fd | undefined;

/** The mounts of the namespace that the thread is in. @throws {SysError} */
function mountsOfThread(): MountinfoEntry[] {
  const path = "thread-self/mountinfo";
  const bytes = readProcFile(path, proc!.raw);
  if (typeof bytes === "number") throw new SysError("open", -bytes, { path });
  return parseMountinfo(bytes);
}

/**
 * The mounts of another namespace. Of one that cannot be entered, as the process sees them that it was found by; the attempt to replace
 * them tells why it cannot be done.
 */
function mountsIn({ pid, fd }: Namespace): MountinfoEntry[] | undefined {
  try {
    return inNamespace(fd.raw, mountsOfThread);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  try {
    return readMountinfo(pid);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return undefined; // It has ended.
  }
}

/**
 * Does something in another mount namespace.
 *
 * @throws {SysError} EPERM without CAP_SYS_ADMIN there, or what `act` throws; {Error} when this thread cannot come back and must end
 */
function inNamespace<T>(namespace: number, act: () => T): T {
  if (!hasOwnContext) check(unshare(CLONE_FS), "unshare");
  hasOwnContext = true;
  proc ??= Fd.own(check(openat(AT_FDCWD, cstr("/proc"), O_PATH | O_CLOEXEC), "open", "/proc"));
  const path = "/proc/thread-self/ns/mnt";
  using own = Fd.own(check(openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC), "open", path));
  check(setns(namespace, CLONE_NEWNS), "setns");
  try {
    return act();
  } finally {
    const back = setns(own.raw, CLONE_NEWNS);
    // deno-lint-ignore no-unsafe-finally -- whatever else happened, nothing that this thread does now is done where it should be
    if (back < 0) throw new Error(`cannot come back from another mount namespace: ${errnoName(-back)}`);
  }
}
