/**
 * Names in directories: making, removing, renaming and listing them, and what file system they are on. One function for each system call
 * of that name. All block as the call does. Each returns 0 or more, or a negated error number.
 *
 * @module
 */
import { NR } from "./arch.ts";
import { type CString, errno, symbol } from "./libc.ts";

const libc = {
  mkdirat: symbol("mkdirat", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
  unlinkat: symbol("unlinkat", { parameters: ["i32", "buffer", "i32"], result: "i32" }),
  renameat2: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "i32", "buffer", "u32"],
    result: "i32",
  }),
  linkat: symbol("linkat", { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" }),
  symlinkat: symbol("symlinkat", { parameters: ["buffer", "i32", "buffer"], result: "i32" }),
  mknodat: symbol("syscall", { parameters: ["i32", "i32", "buffer", "u32", "u32"], result: "i32" }),
  readlinkat: symbol("readlinkat", { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" }),
  getdents64: symbol("syscall", { parameters: ["i32", "i32", "buffer", "usize"], result: "i32" }),
  fstatfs: symbol("fstatfs", { parameters: ["i32", "buffer"], result: "i32" }),
  umask: symbol("umask", { parameters: ["u32"], result: "i32" }),
};

/** mkdirat(2). The umask counts. */
export function mkdirat(dirfd: number, path: CString, mode: number): number {
  const r = libc.mkdirat.call(dirfd, path as Uint8Array<ArrayBuffer>, mode);
  return r < 0 ? -errno[0] : r;
}

/** unlinkat(2); AT_REMOVEDIR for a directory. */
export function unlinkat(dirfd: number, path: CString, flags: number): number {
  const r = libc.unlinkat.call(dirfd, path as Uint8Array<ArrayBuffer>, flags);
  return r < 0 ? -errno[0] : r;
}

/** renameat2(2); `flags` are RENAME_*, EINVAL where the file system does not have one. */
export function renameat2(fromFd: number, from: CString, toFd: number, to: CString, flags: number): number {
  const r = libc.renameat2.call(
    NR.renameat2,
    fromFd,
    from as Uint8Array<ArrayBuffer>,
    toFd,
    to as Uint8Array<ArrayBuffer>,
    flags,
  );
  return r < 0 ? -errno[0] : r;
}

/**
 * linkat(2). An O_PATH descriptor is linked by its `procFdPath` with AT_SYMLINK_FOLLOW, or, with CAP_DAC_READ_SEARCH, by an empty path
 * with AT_EMPTY_PATH.
 */
export function linkat(fromFd: number, from: CString, toFd: number, to: CString, flags: number): number {
  const r = libc.linkat.call(
    fromFd,
    from as Uint8Array<ArrayBuffer>,
    toFd,
    to as Uint8Array<ArrayBuffer>,
    flags,
  );
  return r < 0 ? -errno[0] : r;
}

/** symlinkat(2): makes `path` a symbolic link that says `target`. */
export function symlinkat(target: CString, dirfd: number, path: CString): number {
  const r = libc.symlinkat.call(target as Uint8Array<ArrayBuffer>, dirfd, path as Uint8Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/** mknodat(2). `mode` has the type; `dev` is as `makedev` makes it, 0n for what is no device. The umask counts. */
export function mknodat(dirfd: number, path: CString, mode: number, dev: bigint): number {
  const r = libc.mknodat.call(
    NR.mknodat,
    dirfd,
    path as Uint8Array<ArrayBuffer>,
    mode,
    Number(BigInt.asUintN(32, dev)),
  );
  return r < 0 ? -errno[0] : r;
}

/** A device number as mknod(2) and FUSE have it, 32 bits: the kernel's `new_encode_dev`. */
export function makedev(major: number, minor: number): bigint {
  return BigInt(((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0);
}

/** readlinkat(2). Returns the length of the text, which has no NUL; as long as the buffer when it may have been cut off. */
export function readlinkat(dirfd: number, path: CString, buffer: Uint8Array): number {
  const r = libc.readlinkat.call(
    dirfd,
    path as Uint8Array<ArrayBuffer>,
    buffer as Uint8Array<ArrayBuffer>,
    BigInt(buffer.length),
  );
  return r < 0 ? -errno[0] : r;
}

/** getdents64(2). Returns the bytes filled, to be read by a DirentReader; 0 at the end. EINVAL when not even one entry fits. */
export function getdents64(fd: number, buffer: Uint8Array): number {
  const r = libc.getdents64.call(NR.getdents64, fd, buffer as Uint8Array<ArrayBuffer>, BigInt(buffer.length));
  return r < 0 ? -errno[0] : r;
}

/**
 * Walks the `struct linux_dirent64` records that `getdents64` filled in, without making an object for each. After `next` returned true
 * the fields tell of the current entry, `.` and `..` included.
 */
export class DirentReader {
  /** The type: DT_*. */
  type = 0;
  /** Where the name starts in the buffer. */
  nameStart = 0;
  /** Where it ends: the index of its NUL. */
  nameEnd = 0;
  #record = 0;
  #at: number;
  readonly #end: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** Starts before the first of the `length` bytes that were filled. */
  constructor(bytes: Uint8Array, length: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = length;
  }

  /** Goes to the next entry; false when there is none. */
  next(): boolean {
    const at = this.#at;
    if (at >= this.#end) return false;
    this.#record = at;
    this.type = this.#bytes[at + 18]!;
    this.nameStart = at + 19;
    this.#at = at + this.#view.getUint16(at + 16, true);
    // The NUL is in the record's last word, the rest of which may hold anything.
    let end = Math.max(at + 19, this.#at - 8);
    while (this.#bytes[end] !== 0) end++;
    this.nameEnd = end;
    return true;
  }

  // Read when they are asked for: kept as fields, both would be a new object for each entry.
  /** The inode number. */
  get ino(): bigint {
    return this.#view.getBigUint64(this.#record, true);
  }

  /** The cookie of the *next* entry: where lseek(2) continues after this one. All 64 bits count. */
  get off(): bigint {
    return this.#view.getBigInt64(this.#record + 8, true);
  }

  /** Whether the name is `.` or `..`. */
  get isDot(): boolean {
    const length = this.nameEnd - this.nameStart;
    return length <= 2 && this.#bytes[this.nameStart] === 0x2e &&
      (length === 1 || this.#bytes[this.nameStart + 1] === 0x2e);
  }

  /** A copy of the name's bytes, without the NUL. */
  name(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.subarray(this.nameStart, this.nameEnd));
  }
}

/** Where `statfs` puts its answer: `struct statfs` of 64-bit Linux. Blocks are in units of `frsize`. */
export class StatfsBuffer {
  /** The struct, 120 bytes. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(120));
  /** A view on `bytes`. */
  readonly view: DataView = new DataView(this.bytes.buffer);

  /** The magic number of the file system type (`linux/magic.h`). */
  get type(): bigint {
    return this.view.getBigInt64(0, true);
  }
  /** The preferred size of transfers in bytes. */
  get bsize(): number {
    return Number(this.view.getBigInt64(8, true));
  }
  /** All blocks. */
  get blocks(): bigint {
    return this.view.getBigUint64(16, true);
  }
  /** Free blocks. */
  get bfree(): bigint {
    return this.view.getBigUint64(24, true);
  }
  /** Free blocks for unprivileged users. */
  get bavail(): bigint {
    return this.view.getBigUint64(32, true);
  }
  /** All inodes. */
  get files(): bigint {
    return this.view.getBigUint64(40, true);
  }
  /** Free inodes. */
  get ffree(): bigint {
    return this.view.getBigUint64(48, true);
  }
  /** The longest name in bytes. */
  get namelen(): number {
    return Number(this.view.getBigInt64(64, true));
  }
  /** The unit of blocks in bytes. */
  get frsize(): number {
    return Number(this.view.getBigInt64(72, true));
  }
  /** Mount flags: ST_*. */
  get flags(): number {
    return Number(this.view.getBigInt64(80, true));
  }
}

/** fstatfs(2). The descriptor may be O_PATH. */
export function statfs(fd: number, out: StatfsBuffer): number {
  const r = libc.fstatfs.call(fd, out.bytes);
  return r < 0 ? -errno[0] : r;
}

/** umask(2): sets the mask of the whole process (of the thread after unshare(CLONE_FS)) and returns the one before. Never fails. */
export function umask(mask: number): number {
  return libc.umask.call(mask);
}
