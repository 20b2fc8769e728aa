/**
 * Copying what only the placeholder holds, a file that is open but has no name, to the real file system.
 *
 * @module
 */
import { Errno, type SysError } from "../ffi/errno.ts";
import { makedev, mkdirat, mknodat, unlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import {
  closeFd,
  fchmodFd,
  fchownat,
  ftruncate,
  lseek,
  openat,
  pread,
  pwrite,
  reopen,
  statx,
  utimensat,
} from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  SEEK_DATA,
  SEEK_HOLE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { type Caller, type Identity, ROOT_IDENTITY } from "./caller.ts";
import { EMPTY_PATH, type Node } from "./node.ts";

const CHUNK = 1 << 20;

/**
 * Makes an unnamed copy of an unnamed node in the real file system: as root, or where a server refuses root as the node's owner, in the
 * first of `directories` that takes it.
 *
 * @returns an O_PATH descriptor of the copy.
 * @throws {SysError} what the last attempt failed with.
 */
export function carry(caller: Caller, node: Node, directories: readonly number[]): number {
  const like = new StatxBuffer();
  check(statx(node.fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, like), "statx", node.name);
  using from = node.type === S_IFREG ? Fd.own(openToRead(caller, node, like)) : undefined;
  try {
    using copy = Fd.own(asEither(caller, like, directories, (directory) => unnamedNode(like, directory)));
    if (from !== undefined) copyData(from.raw, copy.raw, like.size, node.name);
    dress(copy.raw, like, node.name);
    return check(reopen(copy.raw, O_PATH | O_CLOEXEC), "open", node.name);
  } finally {
    caller.self();
  }
}

function openToRead(caller: Caller, node: Node, owner: Identity): number {
  return asEither(
    caller,
    owner,
    [node.fd],
    (fd) => check(reopen(fd, O_RDONLY | O_CLOEXEC), "open", node.name),
  );
}

/** Calls `make` with each descriptor as root and then as the owner; leaves that identity in force that succeeded. */
function asEither(
  caller: Caller,
  owner: Identity,
  descriptors: readonly number[],
  make: (descriptor: number) => number,
): number {
  let refused: unknown;
  for (const descriptor of descriptors) {
    for (const identity of [ROOT_IDENTITY, owner]) {
      caller.becomeIdentity(identity);
      try {
        return make(descriptor);
      } catch (error) {
        const { errno } = error as Partial<SysError>;
        if (errno !== Errno.EACCES && errno !== Errno.EPERM) throw error;
        refused = error;
      }
    }
  }
  throw refused;
}

/** Gives a copy the owner, mode and times of what it is a copy of. */
function dress(copy: number, like: StatxBuffer, name: Uint8Array): void {
  const now = new StatxBuffer();
  check(statx(copy, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, now), "statx", name);
  if (now.uid !== like.uid || now.gid !== like.gid) {
    check(fchownat(copy, EMPTY_PATH, like.uid, like.gid, AT_EMPTY_PATH), "fchownat", name);
  }
  check(fchmodFd(copy, like.mode & 0o7777), "fchmod", name);
  const times = new DataView(new ArrayBuffer(32)); // struct timespec[2]
  times.setBigInt64(0, like.atimeSec, true);
  times.setBigInt64(8, BigInt(like.atimeNsec), true);
  times.setBigInt64(16, like.mtimeSec, true);
  times.setBigInt64(24, BigInt(like.mtimeNsec), true);
  check(utimensat(copy, EMPTY_PATH, new Uint8Array(times.buffer), AT_EMPTY_PATH), "utimensat", name);
}

let serial = 0;

/** A name that nothing else uses: a file on a server may be seen by others until it is unlinked. */
function temporaryName(): Uint8Array {
  return cstr(`.spfs-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}-${serial++}`);
}

/** A node without a name, of the same type as another. */
function unnamedNode(like: StatxBuffer, root: number): number {
  const type = like.mode & S_IFMT;
  if (type === S_IFDIR) return unnamedDirectory(root);
  return type === S_IFREG ? unnamedFile(root) : unnamedSpecial(root, type, like);
}

/** A FIFO, socket or device: the kernel keeps what goes through it, the node has its attributes. */
function unnamedSpecial(root: number, type: number, like: StatxBuffer): number {
  const name = temporaryName();
  const device = makedev(like.rdevMajor, like.rdevMinor);
  check(mknodat(root, name, type | 0o600, device), "mknodat", name);
  return unlinked(root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

/** Opens what was just made under a name, and takes the name away. */
function unlinked(root: number, name: Uint8Array, openFlags: number, unlinkFlags: number): number {
  const fd = openat(root, name, openFlags);
  const gone = unlinkat(root, name, unlinkFlags);
  if (gone < 0 && fd >= 0) closeFd(fd);
  check(gone, "unlinkat", name);
  return check(fd, "openat", name);
}

function unnamedFile(root: number): number {
  const fd = openat(root, cstr("."), O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
  if (fd !== -Errno.EOPNOTSUPP && fd !== -Errno.EISDIR) return check(fd, "openat", "O_TMPFILE");
  // NFS among others has no O_TMPFILE: a name that is gone again at once (silly-renamed there) does the same.
  const name = temporaryName();
  const made = check(openat(root, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600), "openat", name);
  const gone = unlinkat(root, name, 0);
  if (gone < 0) closeFd(made);
  check(gone, "unlinkat", name);
  return made;
}

function unnamedDirectory(root: number): number {
  const name = temporaryName();
  check(mkdirat(root, name, 0o700), "mkdirat", name);
  return unlinked(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, AT_REMOVEDIR);
}

/** Copies data and holes. */
function copyData(from: number, to: number, size: bigint, name: Uint8Array): void {
  check(ftruncate(to, size), "ftruncate", name);
  const buffer = new Uint8Array(CHUNK);
  for (let at = 0n; at < size;) {
    const data = lseek(from, at, SEEK_DATA);
    if (data === BigInt(-Errno.ENXIO)) return; // only a hole is left
    check(data, "lseek", name);
    const end = check(lseek(from, data, SEEK_HOLE), "lseek", name);
    for (at = data; at < end;) {
      const rest = end - at;
      const length = check(
        pread(from, buffer, rest < CHUNK ? Number(rest) : CHUNK, at),
        "pread",
        name,
      );
      if (length === 0) return;
      for (let done = 0; done < length;) {
        done += check(
          pwrite(to, buffer.subarray(done, length), length - done, at + BigInt(done)),
          "pwrite",
          name,
        );
      }
      at += BigInt(length);
    }
  }
}
