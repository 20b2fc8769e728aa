/**
 * A unix socket with the name, type, options and network namespace of another one, bound on another file system.
 *
 * A socket pins the mount by which it was bound, and there is no way to unbind it. So a fresh one is made, which takes the other's place
 * in every descriptor table that has it.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AF_UNIX,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_STATX_DONT_SYNC,
  AT_SYMLINK_NOFOLLOW,
  CLONE_FS,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RENAME_EXCHANGE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  S_IFMT,
  S_IFSOCK,
  SOCK_CLOEXEC,
  SOL_SOCKET,
  STATX_GID,
  STATX_MNT_ID,
  STATX_MODE,
  STATX_NLINK,
  STATX_TYPE,
  STATX_UID,
} from "../ffi/sys/constants.ts";
import { linkat, mkdirat, readlinkat, renameat2, unlinkat } from "../ffi/sys/dir.ts";
import { Fd } from "../ffi/sys/fd.ts";
import {
  fchmodat,
  fchownat,
  fstat,
  ioctl,
  openat,
  openat2,
  procFdPath,
  statx,
  StatxBuffer,
} from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { unshare } from "../ffi/sys/namespace.ts";
import { chroot, chrootTo, fchdir } from "../ffi/sys/root.ts";
import { bind, getsockname, getsockopt, socket } from "../ffi/sys/socket.ts";
import { inNetworkNamespace } from "./unix_sockets_netns.ts";
import { copyOptions } from "./unix_sockets_options.ts";

const SO_TYPE = 3;
const SIOCUNIXFILE = 0x89e0n;
const SIOCGSKNS = 0x894cn;
const SOCKADDR_UN = 110; // sizeof(struct sockaddr_un)
const SLASH = 0x2f;

/** The file of a bound socket, by the mount that it was bound on. */
export interface BoundFile {
  /** As readlink(2) of /proc/self/fd shows it: with ` (deleted)` at the end when it has lost that name. */
  readonly path: Uint8Array;
  /** The mount's id (statx(2) STATX_MNT_ID). */
  readonly mountId: number;
}

/**
 * The file that a socket is bound to; of a connection that was accepted, the listener's. Asks nothing of the file system. Needs
 * CAP_NET_ADMIN.
 *
 * @returns the file, or a negated error number: ENOENT when the socket is not bound to one.
 */
export function boundFile(socketFd: number): BoundFile | number {
  const raw = boundDescriptor(socketFd);
  if (raw < 0) return raw;
  using file = Fd.own(raw);
  const buffer = new Uint8Array(8192);
  const length = readlinkat(AT_FDCWD, procFdPath(file.raw), buffer);
  if (length < 0) return length;
  const out = new StatxBuffer();
  const result = fstat(file.raw, STATX_MNT_ID, out, AT_STATX_DONT_SYNC);
  return result < 0 ? result : { path: buffer.subarray(0, length), mountId: Number(out.mntId) };
}

/** An O_PATH descriptor of the file that a socket is bound to, the caller's, or a negated error number; asks no file system. */
export function boundDescriptor(socketFd: number): number {
  return ioctl(socketFd, SIOCUNIXFILE, 0n);
}

/** The bytes of a path's directory and of its last name. */
function split(path: Uint8Array): [directory: Uint8Array, name: Uint8Array] {
  const slash = path.lastIndexOf(SLASH);
  return [path.subarray(0, Math.max(slash, 0)), path.subarray(slash + 1)];
}

/** The components of the path in a `struct sockaddr_un`, with an empty one at the start when it is absolute. */
function components(address: Uint8Array): Uint8Array[] {
  const end = address.indexOf(0, 2);
  const path = address.subarray(2, end < 0 ? address.length : end);
  const parts: Uint8Array[] = [];
  for (let start = 0; start <= path.length;) {
    const slash = path.indexOf(SLASH, start);
    const stop = slash < 0 ? path.length : slash;
    parts.push(path.subarray(start, stop));
    start = stop + 1;
  }
  return parts;
}

const isDots = (name: Uint8Array, count: number) =>
  name.length === count && name.every((byte) => byte === 0x2e);

/** Directories that have been made and are to be removed, the last one first. */
class Scaffold implements Disposable {
  readonly #made: { parent: Fd; name: Uint8Array<ArrayBuffer> }[] = [];
  readonly #stack: DisposableStack = new DisposableStack();

  /** Makes a directory (one that is there already is taken as it is) and opens it. */
  enter(parent: number, name: Uint8Array, exclusive = false): number {
    const path = cstr(name);
    const made = mkdirat(parent, path, 0o700);
    if (made !== -Errno.EEXIST || exclusive) check(made, "mkdir", path);
    const open = () => openat(parent, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made === 0) this.#made.push({ parent: this.#stack.use(openedAgain(parent)), name: path });
    return this.#stack.use(Fd.own(check(open(), "open", path))).raw;
  }

  [Symbol.dispose](): void {
    for (const { parent, name } of this.#made.reverse()) unlinkat(parent.raw, name, AT_REMOVEDIR);
    this.#made.length = 0;
    this.#stack.dispose();
  }
}

function openedAgain(directory: number): Fd {
  return Fd.own(check(openat(directory, cstr("."), O_PATH | O_DIRECTORY | O_CLOEXEC), "open"));
}

/**
 * Directories below `base` in which the path of an address can be looked up, whatever it is, when `base` is the root.
 *
 * @returns the current directory for that, the directory of the last name, and that name.
 */
function addressTree(scaffold: Scaffold, base: number, address: Uint8Array): [number, number, Uint8Array] {
  const parts = components(address);
  const name = parts.pop()!;
  const chain = [base];
  // A relative path starts as many directories down as it can climb.
  if (parts[0]?.length !== 0) {
    for (const part of parts) {
      if (isDots(part, 2)) chain.push(scaffold.enter(chain.at(-1)!, new Uint8Array([0x64])));
    }
  }
  const start = chain.at(-1)!;
  for (const part of parts) {
    if (part.length === 0 || isDots(part, 1)) continue;
    if (!isDots(part, 2)) chain.push(scaffold.enter(chain.at(-1)!, part));
    else if (chain.length > 1) chain.pop();
  }
  return [start, chain.at(-1)!, name];
}

let ownFs = false;

/** Does something while the calling thread has another root and current directory. */
function inRoot<T>(root: number, cwd: number, action: () => T): T {
  // From now on this thread's root and current directory are its own.
  if (!ownFs) check(unshare(CLONE_FS), "unshare");
  ownFs = true;
  using home = Fd.own(check(openat(AT_FDCWD, cstr("/"), O_PATH | O_CLOEXEC), "open", "/"));
  using here = Fd.own(check(openat(AT_FDCWD, cstr("."), O_PATH | O_CLOEXEC), "open", "."));
  try {
    check(chrootTo(root), "chroot");
    check(fchdir(cwd), "fchdir");
    return action();
  } finally {
    check(fchdir(home.raw), "fchdir");
    check(chroot(cstr(".")), "chroot");
    check(fchdir(here.raw), "fchdir");
  }
}

/** What is to be replaced, and where its name is. */
export interface FreshOrder {
  /** A descriptor of the old socket. Stays the caller's. */
  readonly old: number;
  /** The root of the mount on which the fresh one is to be bound. Stays the caller's. */
  readonly root: number;
  /** The old one's name, relative to that root and without symbolic links; undefined when it has lost its name. */
  readonly path: Uint8Array | undefined;
}

let counter = 0;

/** A socket that is bound aside until `place` gives it its name. Until `keep` it can all be taken back by disposing of it. */
export class FreshUnixSocket implements Disposable {
  /** The socket, close-on-exec. It neither listens nor is it connected. */
  readonly fd: Fd;
  readonly #stack = new DisposableStack();
  readonly #parent: Fd;
  readonly #name: Uint8Array<ArrayBuffer> | undefined;
  readonly #aside: number;
  readonly #asideName: Uint8Array<ArrayBuffer>;
  /** Whether there is a name to be taken from another file: the node that the old socket's name led to. */
  readonly #replaces: boolean;
  #placed: "no" | "linked" | "exchanged" | "renamed" = "no";

  /**
   * Makes it. Makes a directory beside the old one's name for the time being, with the file system's permissions of the calling thread.
   *
   * @throws {SysError} of what cannot be done: EADDRINUSE when there is something at the path that is no socket; EMLINK when the socket
   * there has several names; EACCES, EROFS and the like when nothing can be made there. Nothing is left then.
   */
  constructor(order: FreshOrder) {
    const { old, root, path } = order;
    const option = new Int32Array(1);
    check(getsockopt(old, SOL_SOCKET, SO_TYPE, new Uint8Array(option.buffer)), "getsockopt");
    const address = new Uint8Array(SOCKADDR_UN);
    // The kernel counts the NUL also where there is no room for it.
    const length = Math.min(check(getsockname(old, address), "getsockname"), SOCKADDR_UN);
    if (length <= 2 || address[2] === 0) throw new SysError("getsockname", Errno.EINVAL);
    const [directory, name] = path === undefined ? [new Uint8Array()] : split(path);
    this.#name = name === undefined ? undefined : cstr(name);
    using undo = new DisposableStack();
    this.#parent = undo.use(directoryBelow(root, directory));
    const existing = this.#name === undefined ? undefined : this.#attributes(this.#parent.raw, this.#name);
    if (existing !== undefined && (existing.mode & S_IFMT) !== S_IFSOCK) {
      throw new SysError("bind", Errno.EADDRINUSE);
    }
    if (existing !== undefined && existing.nlink > 1) throw new SysError("bind", Errno.EMLINK);
    this.#replaces = existing !== undefined;
    const scaffold = undo.use(new Scaffold());
    const temporary = new TextEncoder().encode(`.spfs-socket-${Deno.pid}-${++counter}`);
    const base = scaffold.enter(this.#parent.raw, temporary, true);
    const [start, leaf, leafName] = addressTree(scaffold, base, address.subarray(0, length));
    this.#aside = leaf;
    this.#asideName = cstr(leafName);
    this.fd = undo.use(socketBeside(old, option[0]! | SOCK_CLOEXEC));
    inRoot(base, start, () => check(bind(this.fd.raw, address.subarray(0, length)), "bind"));
    undo.defer(() => void unlinkat(this.#aside, this.#asideName, 0));
    if (existing !== undefined) {
      check(fchownat(leaf, this.#asideName, existing.uid, existing.gid, AT_SYMLINK_NOFOLLOW), "fchownat");
      check(fchmodat(leaf, this.#asideName, existing.mode & 0o7777), "fchmodat");
    }
    copyOptions(old, this.fd.raw);
    this.#stack.use(undo.move());
  }

  #attributes(directory: number, name: Uint8Array): StatxBuffer | undefined {
    const out = new StatxBuffer();
    const mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID;
    const result = statx(directory, name, AT_SYMLINK_NOFOLLOW, mask, out);
    if (result === -Errno.ENOENT) return undefined;
    check(result, "statx", name);
    return out;
  }

  /** An O_PATH descriptor of its file, wherever that is at the moment. @throws {SysError} EMFILE. */
  file(): Fd {
    const [directory, name] = this.#placed === "no"
      ? [this.#aside, this.#asideName]
      : [this.#parent.raw, this.#name!];
    return Fd.own(check(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), "open", name));
  }

  /**
   * Gives it its name: from now on it is found there. What was there is kept aside. Does nothing when the old one has lost its name.
   *
   * @throws {SysError} when that fails; nothing has changed then.
   */
  place(): void {
    if (this.#name === undefined || this.#placed !== "no") return;
    const parent = this.#parent.raw;
    const aside = [this.#aside, this.#asideName] as const;
    // No flag of renameat2(2) is known to every file system: NFS has none.
    if (!this.#replaces) {
      check(linkat(...aside, parent, this.#name, 0), "link", this.#name);
      this.#placed = "linked";
      return;
    }
    const exchanged = renameat2(...aside, parent, this.#name, RENAME_EXCHANGE);
    if (exchanged === 0) {
      this.#placed = "exchanged";
      return;
    }
    if (exchanged !== -Errno.EINVAL) check(exchanged, "rename", this.#name);
    check(linkat(parent, this.#name, this.#aside, SPARE, 0), "link", this.#name);
    const renamed = renameat2(...aside, parent, this.#name, 0);
    if (renamed < 0) unlinkat(this.#aside, SPARE, 0);
    check(renamed, "rename", this.#name);
    this.#placed = "renamed";
  }

  /** Takes the name back, which is again what it was. @throws {SysError} when that fails. */
  unplace(): void {
    if (this.#name === undefined || this.#placed === "no") return;
    const parent = this.#parent.raw;
    const aside = [this.#aside, this.#asideName] as const;
    switch (this.#placed) {
      case "linked":
        check(unlinkat(parent, this.#name, 0), "unlink", this.#name);
        break;
      case "exchanged":
        check(renameat2(parent, this.#name, ...aside, RENAME_EXCHANGE), "rename", this.#name);
        break;
      case "renamed":
        check(linkat(parent, this.#name, ...aside, 0), "link", this.#name);
        check(renameat2(this.#aside, SPARE, parent, this.#name, 0), "rename", this.#name);
        break;
    }
    this.#placed = "no";
  }

  /** Makes it final: disposing of it closes this descriptor of the socket and removes what was kept aside, but takes nothing back. */
  keep(): void {
    if (this.#placed === "renamed") unlinkat(this.#aside, SPARE, 0);
    this.#placed = "no";
  }

  /** Closes it, and, without `keep`, takes everything back. @throws {SysError} as `unplace` does. */
  [Symbol.dispose](): void {
    try {
      this.unplace();
    } finally {
      this.#stack.dispose();
    }
  }
}

const SPARE = cstr(".spare");

function directoryBelow(root: number, path: Uint8Array): Fd {
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  const name = path.length === 0 ? cstr(".") : cstr(path);
  return Fd.own(check(openat2(root, name, { flags, resolve }), "openat2", name));
}

/** A socket in the network namespace of another one. @throws {SysError} EMFILE, EPERM without CAP_NET_ADMIN */
export function socketBeside(other: number, type: number): Fd {
  using namespace = Fd.own(check(ioctl(other, SIOCGSKNS, 0n), "ioctl SIOCGSKNS"));
  return inNetworkNamespace(namespace.raw, () => Fd.own(check(socket(AF_UNIX, type, 0), "socket")));
}
