/**
 * Where else a stub is mounted: bind mounts of it, of its directories and of its files, in this mount namespace and in others.
 *
 * The calling thread enters the other namespaces and comes back before a function returns; it must have a file system context of its own
 * (unshare(CLONE_FS)). All of it is synchronous.
 *
 * @module
 */

import { Errno, SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  CLONE_FS,
  CLONE_NEWNS,
  MNT_DETACH,
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
import { moveMount, openTree, umount2 } from "../ffi/sys/mount.ts";
import { type MountinfoEntry, parseMountinfo, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { setns, unshare } from "../ffi/sys/namespace.ts";
import type { Obstacle, SourceMount } from "../swap/types.ts";
import { type Swap, swapBeneath } from "./mount_swap.ts";

/** A mount of a stub besides the one that was made for it, and what takes its place. */
export interface OtherMount extends Disposable {
  /**
   * Whether it is a copy that the kernel made when the stub was mounted, because the mounts they are on are peers, or this one's follows the
   * other's: then the kernel makes a copy of the real mount as well, in its place, when that is attached.
   */
  readonly propagated: boolean;
  /** For a swap before it is replaced. */
  readonly source: SourceMount;
  /** Puts the real one in its place. @throws {ControlError}, {SysError} when it cannot be; it is as it was then */
  replace(): void;
  /** For a swap after the kernel has replaced it: it is mounted nowhere any more. @throws {SysError} when nothing is there */
  sourceWhenDetached(): SourceMount;
}

/** A namespace, and a task to name it by. */
interface Namespace {
  readonly pid: number;
  readonly fd: Fd;
}

/**
 * The other mounts of a stub.
 *
 * @param own the id of the mount that was made for it
 * @param obstacles gets those that cannot be replaced
 */
export function otherMounts(swap: Swap, own: number, obstacles: Obstacle[]): OtherMount[] {
  const found: OtherMount[] = [];
  const here = readMountinfo();
  const group = peerGroup(here, here.find(({ id }) => id === own));
  const add = (mounts: MountinfoEntry[], entry: MountinfoEntry, namespace: Fd | undefined, where: string) => {
    try {
      const propagated = group !== undefined && follows(mounts, entry, group);
      found.push(new Other(swap, entry, namespace?.dup(), propagated));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const reason = `cannot be replaced at ${pathText(entry.mountpoint)}${where}: ${error.message}`;
      obstacles.push({ pid: 0, comm: "", kind: "process", path: entry.mountpoint, reason });
    }
  };
  const isStub = ({ id, major, minor }: MountinfoEntry) =>
    id !== own && major === swap.stub.major && minor === swap.stub.minor;
  for (const entry of here.filter(isStub)) add(here, entry, undefined, "");
  for (const { pid, fd } of otherNamespaces()) {
    using namespace = fd;
    const mounts = within(namespace.raw, mountsOfThread);
    for (const entry of mounts.filter(isStub)) {
      add(mounts, entry, namespace, ` in the mount namespace of process ${pid}`);
    }
  }
  return found;
}

/** The peer group of the mount that a mount is on, if that is shared. */
function peerGroup(mounts: readonly MountinfoEntry[], entry: MountinfoEntry | undefined): string | undefined {
  const parent = mounts.find(({ id }) => id === entry?.parent);
  return parent?.tags.find((tag) => tag.startsWith("shared:"))?.slice(7);
}

/** Whether what is mounted in a peer group is mounted on the mount that this one is on, too. */
function follows(mounts: readonly MountinfoEntry[], entry: MountinfoEntry, group: string): boolean {
  const parent = mounts.find(({ id }) => id === entry.parent);
  return parent?.tags.some((tag) => tag === `shared:${group}` || tag === `master:${group}`) ?? false;
}

class Other implements OtherMount {
  readonly propagated: boolean;
  readonly source: SourceMount;
  #after: Fd | undefined;
  readonly #swap: Swap;
  readonly #copy: Fd;
  readonly #namespace: Fd | undefined;

  /** @throws {SysError} when the real file system has nothing at the place that is mounted there */
  constructor(
    swap: Swap,
    { id, major, minor, root, mountpoint }: MountinfoEntry,
    namespace: Fd | undefined,
    propagated: boolean,
  ) {
    this.propagated = propagated;
    this.#namespace = namespace;
    const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (root.length <= 1 ? AT_EMPTY_PATH : 0);
    const copy = openTree(swap.mountFd, cstr(root.subarray(1)), flags);
    if (copy < 0) namespace?.close();
    this.#copy = Fd.own(check(copy, "open_tree", root));
    this.#swap = { ...swap, mountFd: this.#copy.raw, mountpoint };
    this.source = { id, major, minor, mountpoint, targetFd: this.#copy.raw };
  }

  replace(): void {
    if (this.#namespace === undefined) swapBeneath(this.#swap);
    else within(this.#namespace.raw, () => this.#replaceThere());
  }

  /** The same in a namespace whose /proc, if it has one, does not know this process. */
  #replaceThere(): void {
    const { mountpoint, id } = this.source;
    const path = cstr(mountpoint);
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    using top = Fd.own(check(openat(AT_FDCWD, path, flags), "openat", mountpoint));
    const stat = new StatxBuffer();
    check(fstat(top.raw, STATX_MNT_ID, stat, AT_STATX_DONT_SYNC), "statx", mountpoint);
    if (stat.mntId !== BigInt(id)) throw new SysError("statx", Errno.EBUSY, { path: pathText(mountpoint) });
    const beneath = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_BENEATH;
    check(moveMount(this.#copy.raw, cstr(""), top.raw, cstr(""), beneath), "move_mount", mountpoint);
    check(umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW), "umount2", mountpoint);
  }

  sourceWhenDetached(): SourceMount {
    const { mountpoint } = this.source;
    const open = () => openat(AT_FDCWD, cstr(mountpoint), O_PATH | O_CLOEXEC);
    const opened = this.#namespace === undefined ? open() : within(this.#namespace.raw, open);
    this.#after = Fd.own(check(opened, "open", mountpoint));
    // Paths on a mount that is mounted nowhere begin at its root.
    return { ...this.source, mountpoint: new Uint8Array([0x2f]), targetFd: this.#after.raw };
  }

  [Symbol.dispose](): void {
    this.#after?.[Symbol.dispose]();
    this.#copy[Symbol.dispose]();
    this.#namespace?.[Symbol.dispose]();
  }
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

/** Does something in another mount namespace. @throws {SysError} EPERM without CAP_SYS_ADMIN there */
function within<T>(namespace: number, act: () => T): T {
  if (!hasOwnContext) check(unshare(CLONE_FS), "unshare");
  hasOwnContext = true;
  proc ??= Fd.own(check(openat(AT_FDCWD, cstr("/proc"), O_PATH | O_CLOEXEC), "open", "/proc"));
  const path = "/proc/thread-self/ns/mnt";
  using own = Fd.own(check(openat(AT_FDCWD, cstr(path), O_RDONLY | O_CLOEXEC), "open", path));
  check(setns(namespace, CLONE_NEWNS), "setns");
  try {
    return act();
  } finally {
    check(setns(own.raw, CLONE_NEWNS), "setns");
  }
}
