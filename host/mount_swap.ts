/**
 * Putting a detached mount in the place of a stub mount.
 *
 * {@linkcode swapBeneath} is invisible: whoever looks sees the stub or the real file system, never anything else. It needs Linux 6.5.
 * The two others are for what that refuses; between their two steps the bare mountpoint can be seen, for some ten microseconds
 * ({@linkcode swapAside}) or milliseconds ({@linkcode swapDetached}).
 *
 * All of it is synchronous, runs on a namespace worker, and asks only the kernel, never a file system. A stub is recognised by the
 * device number of its superblock, which a copy of its mount shares. When one of these functions throws, the stub is where it was and
 * the descriptor of the real mount can be used for another attempt.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { SysError } from "../ffi/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_STATX_DONT_SYNC,
  MNT_DETACH,
  MOVE_MOUNT_BENEATH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  STATX_MNT_ID,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { dup3, fstat, openat, procFdPath, StatxBuffer } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { mountSetattr, moveMount, openTree, umount2 } from "../ffi/sys/mount.ts";
import { type MountinfoEntry, readMountinfo } from "../ffi/sys/mountinfo.ts";
import { mountIdOf } from "./detached_mount.ts";
import { openArea } from "./private_area.ts";

/** What is to be swapped. */
export interface Swap {
  /** The real mount, attached nowhere. Stays the caller's. */
  readonly mountFd: number;
  /** Where the stub is: an absolute path without symlinks. */
  readonly mountpoint: Uint8Array;
  /** The device of the stub's superblock. */
  readonly stub: { readonly major: number; readonly minor: number };
  /** Where private areas may be made: a directory of mode 0700. */
  readonly runtimeDirectory: string;
  /** The owner tag, for private areas. */
  readonly ownerTag: string;
}

/** How a swap was made. */
export type SwapMethod = "beneath" | "aside" | "detached";

/** The ways of swapping, the best first, with the errnos of their first step by which the kernel says that it cannot do that here. */
const methods: readonly (readonly [SwapMethod, (swap: Swap) => void])[] = [
  ["beneath", swapBeneath],
  ["aside", swapAside],
  ["detached", swapDetached],
];

/** The kernel refused the first step of a way of swapping, and nothing has happened. */
export class SwapRefused extends SysError {
  override readonly name = "SwapRefused";
}

/**
 * Swaps in the best way that the kernel accepts here, and tells which it was.
 *
 * @throws {ControlError} kind `system` with errno and `rolledBack`; EBUSY: something else is mounted on the mountpoint or below it
 */
export function swapMounts(swap: Swap): SwapMethod {
  let refused: SwapRefused | undefined;
  for (const [name, run] of methods) {
    try {
      run(swap);
      return name;
    } catch (error) {
      if (!(error instanceof SwapRefused)) throw error;
      refused = error;
    }
  }
  throw swapError(swap, refused, true);
}

/**
 * Attaches the real mount below the stub, where nobody sees it, and takes the stub off.
 *
 * @throws {SwapRefused} EINVAL before Linux 6.5, and where the kernel does not allow it
 * @throws {ControlError} as {@linkcode swapMounts}
 */
export function swapBeneath(swap: Swap): void {
  using stub = openStub(swap);
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_BENEATH;
  firstStep(moveMount(swap.mountFd, cstr(""), stub.raw, cstr(""), flags), "move_mount", swap);
  try {
    // What was mounted on the stub since it was looked at would have been lifted instead of the stub.
    const above = readMountinfo().filter((entry) => BigInt(entry.parent) === mountIdOf(swap.mountFd));
    const isStub = (entry: MountinfoEntry) => BigInt(entry.id) === mountIdOf(stub.raw);
    if (above.length !== 1 || !isStub(above[0]!)) throw busy(swap, "something was mounted on the stub");
    check(umount2(procFdPath(stub.raw), MNT_DETACH), "umount2", swap.mountpoint);
  } catch (error) {
    undoBeneath(swap, stub.raw);
    throw swapError(swap, error, true);
  }
}

/**
 * Takes the real mount out again from below the stub. There is no call for it: the stub would go with what carries it. So the stub is
 * put aside, which lets the real mount be seen, then below the real mount, and the real mount is taken off.
 *
 * @throws {ControlError} `rolledBack` false: the stub is on its mountpoint, with the real mount below it or in front of it
 */
export function undoBeneath(swap: Swap, stub: number): void {
  try {
    using area = openArea(swap.runtimeDirectory, swap.ownerTag);
    const real = swap.mountFd;
    // The kernel moves no mount away from a shared one.
    check(mountSetattr(real, cstr(""), AT_EMPTY_PATH, { propagation: MS_PRIVATE }), "mount_setattr");
    const from = MOVE_MOUNT_F_EMPTY_PATH;
    check(moveMount(stub, cstr(""), AT_FDCWD, cstr(area.target), from), "move_mount", area.target);
    const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
    using copy = Fd.own(check(openTree(real, cstr(""), flags), "open_tree"));
    const beneath = MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_BENEATH;
    check(moveMount(stub, cstr(""), real, cstr(""), from | beneath), "move_mount", swap.mountpoint);
    check(umount2(procFdPath(real), MNT_DETACH), "umount2", swap.mountpoint);
    // A mount that was taken off cannot be attached again; its copy, never attached, can.
    check(dup3(copy.raw, real, O_CLOEXEC), "dup3");
  } catch (error) {
    throw swapError(swap, error, false);
  }
}

/**
 * Moves the stub into a private area and the real mount to the mountpoint.
 *
 * @throws {SwapRefused} EINVAL when the stub is on a shared mount
 * @throws {ControlError} as {@linkcode swapMounts}
 */
export function swapAside(swap: Swap): void {
  using stub = openStub(swap);
  using area = openArea(swap.runtimeDirectory, swap.ownerTag);
  const from = MOVE_MOUNT_F_EMPTY_PATH;
  const mountpoint = cstr(swap.mountpoint);
  firstStep(moveMount(stub.raw, cstr(""), AT_FDCWD, cstr(area.target), from), "move_mount", swap);
  const moved = moveMount(swap.mountFd, cstr(""), AT_FDCWD, mountpoint, from);
  if (moved >= 0) return; // the stub goes with the area
  const back = moveMount(stub.raw, cstr(""), AT_FDCWD, mountpoint, from);
  throw swapError(swap, new SysError("move_mount", -moved, { path: pathText(swap.mountpoint) }), back >= 0);
}

/**
 * Takes the stub off and attaches the real mount. A copy of the stub's mount is kept to be put back.
 *
 * @throws {ControlError} as {@linkcode swapMounts}
 */
export function swapDetached(swap: Swap): void {
  using stub = openStub(swap);
  const mountpoint = cstr(swap.mountpoint);
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  const opened = openTree(stub.raw, cstr(""), flags);
  using copy = Fd.own(firstStep(opened, "open_tree", swap));
  firstStep(umount2(procFdPath(stub.raw), MNT_DETACH), "umount2", swap);
  const moved = moveMount(swap.mountFd, cstr(""), AT_FDCWD, mountpoint, MOVE_MOUNT_F_EMPTY_PATH);
  if (moved >= 0) return;
  const back = moveMount(copy.raw, cstr(""), AT_FDCWD, mountpoint, MOVE_MOUNT_F_EMPTY_PATH);
  throw swapError(swap, new SysError("move_mount", -moved, { path: pathText(swap.mountpoint) }), back >= 0);
}

/** Opens the root of the stub's mount and makes sure that it may be replaced: it is on top, and nothing is mounted in it. */
function openStub(swap: Swap): Fd {
  const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  const stub = Fd.own(check(openat(AT_FDCWD, cstr(swap.mountpoint), flags), "openat", swap.mountpoint));
  try {
    const stat = new StatxBuffer();
    check(fstat(stub.raw, STATX_MNT_ID, stat, AT_STATX_DONT_SYNC), "statx", swap.mountpoint);
    const mounts = readMountinfo();
    const own = mounts.find((entry) => BigInt(entry.id) === stat.mntId);
    if (own === undefined || own.major !== swap.stub.major || own.minor !== swap.stub.minor) {
      throw busy(swap, own === undefined ? "the stub is not mounted any more" : `${describe(own)} is there`);
    }
    const inside = mounts.find((entry) => entry.parent === own.id);
    if (inside !== undefined) {
      throw busy(swap, `${describe(inside)} is mounted at ${pathText(inside.mountpoint)}`);
    }
    if (pathText(own.mountpoint) === "/") {
      const message = "/ is the root of the mount namespace and cannot be replaced";
      throw new ControlError("system", message, { errno: "EINVAL", rolledBack: true });
    }
    return stub;
  } catch (error) {
    stub.close();
    throw error;
  }
}

function describe(entry: MountinfoEntry): string {
  return `${entry.fstype} of ${pathText(entry.source)}`;
}

function busy(swap: Swap, why: string): ControlError {
  const path = pathText(swap.mountpoint);
  const data = { errno: "EBUSY", path, rolledBack: true };
  return new ControlError("system", `cannot replace the mount at ${path}: ${why}`, data);
}

/** The result of the step with which a way of swapping begins: as long as that fails, nothing has happened. */
function firstStep(result: number, syscall: string, swap: Swap): number {
  if (result >= 0) return result;
  throw new SwapRefused(syscall, -result, { path: pathText(swap.mountpoint) });
}

function swapError(swap: Swap, cause: unknown, rolledBack: boolean): ControlError {
  if (cause instanceof ControlError) {
    return new ControlError(cause.kind, cause.message, { ...cause.data, rolledBack });
  }
  const path = pathText(swap.mountpoint);
  const reason = cause instanceof Error ? cause.message : String(cause);
  const system = cause instanceof SysError ? { errno: cause.code, syscall: cause.syscall } : { errno: "EIO" };
  const message = `cannot replace the mount at ${path}: ${reason}`;
  return new ControlError("system", message, { ...system, path, rolledBack });
}
