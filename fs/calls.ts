/**
 * The calls that operations make on the backing. An operation is a generator that yields each call and is given its result, so that the call
 * can be made by whoever is to wait for it: this thread, or another one while this thread serves others.
 *
 * Calls take descriptors, numbers and bytes alone, nothing that belongs to a thread.
 *
 * @module
 */
import {
  getdents64,
  linkat,
  mkdirat,
  mknodat,
  readlinkat,
  renameat2,
  statfs,
  StatfsBuffer,
  symlinkat,
  umask,
  unlinkat,
} from "../ffi/sys/dir.ts";
import {
  closeFd,
  copyFileRange,
  fallocate,
  fchmodFd,
  fchownat,
  fdatasync,
  fsync,
  ftruncate,
  ioctl,
  lseek,
  openat,
  pread,
  procFdPath,
  pwrite,
  reopen,
  statx,
  StatxBuffer,
  truncate,
  utimensat,
  writeToEnd,
} from "../ffi/sys/file.ts";
import { addressOf, type CString } from "../ffi/sys/libc.ts";
import { PollSet } from "../ffi/sys/poll.ts";
import { getxattr, listxattr, removexattr, setxattr } from "../ffi/sys/xattr.ts";
import { AT_FDCWD, AT_SYMLINK_FOLLOW } from "../ffi/sys/constants.ts";

let inForce = 0; // the umask of this thread; each thread that makes calls starts with 0

/**
 * From now on this thread makes things under a umask, which is the backing's to apply: where a directory has a default ACL it does not
 * count.
 */
export function useUmask(mask: number): void {
  if ((mask & 0o777) === inForce) return;
  inForce = mask & 0o777;
  umask(inForce);
}

const CALLS = {
  openat,
  reopen,
  close: closeFd,
  statx,
  statfs,
  pread,
  pwrite,
  writeToEnd,
  fsync,
  fdatasync,
  ftruncate,
  fallocate,
  copyFileRange,
  ioctl,
  getdents64,
  readlinkat,
  symlinkat,
  unlinkat,
  renameat2,
  fchmodFd,
  fchownat,
  utimensat,
  /** openat(2) of what may have to be made. */
  create: (mask: number, dirfd: number, name: CString, flags: number, mode: number): number => {
    useUmask(mask);
    return openat(dirfd, name, flags, mode);
  },
  /** mkdirat(2). */
  mkdir: (mask: number, dirfd: number, name: CString, mode: number): number => {
    useUmask(mask);
    return mkdirat(dirfd, name, mode);
  },
  /** mknodat(2). */
  mknod: (mask: number, dirfd: number, name: CString, mode: number, device: bigint): number => {
    useUmask(mask);
    return mknodat(dirfd, name, mode, device);
  },
  /** linkat(2) of a descriptor's file. */
  link: (fd: number, dirfd: number, name: CString): number =>
    linkat(AT_FDCWD, procFdPath(fd), dirfd, name, AT_SYMLINK_FOLLOW),
  /** truncate(2) of a descriptor's file. */
  truncate: (fd: number, size: bigint): number => truncate(procFdPath(fd), size),
  /** setxattr(2) of a descriptor's file. */
  setxattr: (fd: number, name: CString, value: Uint8Array, flags: number): number =>
    setxattr(procFdPath(fd), name, value, flags),
  /** getxattr(2) of a descriptor's file. */
  getxattr: (fd: number, name: CString, value: Uint8Array): number => getxattr(procFdPath(fd), name, value),
  /** listxattr(2) of a descriptor's file. */
  listxattr: (fd: number, names: Uint8Array): number => listxattr(procFdPath(fd), names),
  /** removexattr(2) of a descriptor's file. */
  removexattr: (fd: number, name: CString): number => removexattr(procFdPath(fd), name),
  /** lseek(2), which gives 0 and puts the new offset into `out`, an i64; or -errno. */
  lseek: (fd: number, offset: bigint, whence: number, out: Uint8Array): number => {
    const result = lseek(fd, offset, whence);
    if (result < 0n) return Number(result);
    new DataView(out.buffer, out.byteOffset).setBigInt64(0, result, true);
    return 0;
  },
  /** poll(2) without waiting: gives the events that are ready. */
  poll: (fd: number, events: number): number => {
    const set = new PollSet([{ fd, events }]);
    const ready = set.wait(0);
    return ready < 0 ? ready : set.revents(0);
  },
};

/** What can be called. */
export type CallName = keyof typeof CALLS;

/** One call, which has not been made yet. */
export interface Call {
  /** What is called. */
  readonly name: CallName;
  /** With what. */
  readonly args: readonly unknown[];
}

/** What an operation yields: a call to be made, or the result of one that has been made. */
export type Step = Call | number;

/**
 * An operation on the way: yields calls, is given the result of each in the kernel's convention,
 * and returns what came of it.
 */
export type Steps<T> = Generator<Step, T, number>;

let atOnce = false; // an operation is led to its end by `directly`

/** A call that is to be made by whoever gets it. */
export function pending<N extends CallName>(name: N, ...args: Parameters<(typeof CALLS)[N]>): Call {
  return { name, args };
}

/** A call to be yielded at once. Within {@linkcode directly} it is made here, and its result is to be yielded: that costs less. */
export function call<N extends CallName>(name: N, ...args: Parameters<(typeof CALLS)[N]>): Step {
  return atOnce ? (CALLS[name] as (...args: readonly unknown[]) => number)(...args) : pending(name, ...args);
}

/**
 * A call whose attributes are put into a buffer of its own, for buffers of attributes are shared between operations; `deliver` moves them to
 * where they were asked for, when the operation goes on.
 */
export function privately({ name, args }: Call): { call: Call; deliver(): void } {
  const moves: (() => void)[] = [];
  const own = args.map((argument) => {
    if (!(argument instanceof StatxBuffer)) return argument;
    const buffer = new StatxBuffer();
    moves.push(() => argument.bytes.set(buffer.bytes));
    return buffer;
  });
  return { call: { name, args: own }, deliver: () => moves.forEach((move) => move()) };
}

/** Bytes of this process's memory, to which another thread's call refers. */
interface Reference {
  readonly address: bigint;
  readonly length: number;
  /** The bytes of a struct that has a class of its own here. */
  readonly struct: boolean;
}

/** A call as a message to another thread of this process. What it refers to must stay where it is until the call is over. */
export interface CallMessage {
  /** What is called. */
  readonly name: CallName;
  /** With what: numbers, and references. */
  readonly args: readonly unknown[];
}

/** Makes a message of a call. */
export function toMessage({ name, args }: Call): CallMessage {
  return {
    name,
    args: args.map((argument) => {
      if (argument instanceof Uint8Array) return refer(argument, false);
      if (argument instanceof StatxBuffer || argument instanceof StatfsBuffer) {
        return refer(argument.bytes, true);
      }
      return argument;
    }),
  };
}

function refer(bytes: Uint8Array, struct: boolean): Reference {
  return { address: bytes.length === 0 ? 0n : addressOf(bytes), length: bytes.length, struct };
}

/** The call of a message. */
export function fromMessage({ name, args }: CallMessage): Call {
  return {
    name,
    args: args.map((argument) => {
      if (typeof argument !== "object" || argument === null) return argument;
      const { address, length, struct } = argument as Reference;
      const pointer = Deno.UnsafePointer.create(address);
      const bytes = pointer === null
        ? new Uint8Array(0)
        : new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, length));
      return struct ? { bytes } : bytes;
    }),
  };
}

/** Makes a call on this thread. Blocks as the backing does. Returns 0 or more, or -errno. */
export function make({ name, args }: Call): number {
  return (CALLS[name] as (...args: readonly unknown[]) => number)(...args);
}

/** Goes all the way on this thread. Blocks as the backing does. */
export function directly<T>(steps: Steps<T>): T {
  const before = atOnce;
  atOnce = true;
  try {
    let step = steps.next();
    while (!step.done) step = steps.next(typeof step.value === "number" ? step.value : make(step.value));
    return step.value;
  } finally {
    atOnce = before;
  }
}
