/**
 * FUSE passthrough (Linux 6.9): the kernel reads, writes and maps a file of the backing itself, without asking us.
 *
 * The kernel wants all open files of an inode to agree: either all are passed through, by one registered backing file, or none is. So a
 * file that was open before passing through began, in restore mode for example, stays as it is until it is closed.
 *
 * A registered file is accessed as whoever registered it. That is the file's owner without file capabilities: no one gets past quotas or
 * keeps set-id bits that a write has to clear. A file with such bits is not registered, since root's writes keep them.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import {
  fuse_backing_map,
  FUSE_DEV_IOC_BACKING_CLOSE,
  FUSE_DEV_IOC_BACKING_OPEN,
} from "../ffi/fuse/kernel.ts";
import {
  AT_EMPTY_PATH,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECT,
  O_PATH,
  O_RDONLY,
  S_IFREG,
  S_ISGID,
  S_ISUID,
} from "../ffi/sys/constants.ts";
import { statfs, StatfsBuffer } from "../ffi/sys/dir.ts";
import { closeFd, ioctl, reopen, statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import type { Caller, Identity } from "./caller.ts";
import type { Handle } from "./handles.ts";
import { ATTRIBUTE_MASK, EMPTY_PATH, isOfBacking, type Node } from "./node.ts";

/** A file of the backing that the kernel knows. */
export interface Backing {
  /** What the kernel calls it by. */
  readonly id: number;
  /** How many open files are passed through. */
  users: number;
}

/**
 * File systems of this machine (linux/magic.h). Over the network a server decides about each access by who makes it, and whoever opened
 * the file first would be that for all.
 */
const LOCAL: ReadonlySet<bigint> = new Set([
  0xef53n, // ext2, ext3, ext4
  0x58465342n, // xfs
  0x9123683en, // btrfs
  0x01021994n, // tmpfs
  0xf2f52010n, // f2fs
  0xca451a4en, // bcachefs
]);

/** Flags that the kernel keeps when it passes a file through, also when fcntl(2) takes them away, as dd does. */
const LASTING = O_APPEND | O_DIRECT;

/** How many files stay registered when nobody has them open. */
const KEPT = 1024;

/** Which files of one mount are passed through. Single-threaded, on the mount's worker. */
export class Passthrough {
  readonly #caller: Caller;
  readonly #attributes = new StatxBuffer();
  readonly #argument = new Uint8Array(fuse_backing_map.size); // of both ioctls; `flags` and `padding` stay 0
  readonly #view = new DataView(this.#argument.buffer);
  readonly #registered = new Set<Node>();
  readonly #unused = new Map<Node, Backing>(); // longest unused first
  #device = -1;
  #local = false;
  #mayCross = true;

  /** Registers files as `caller` switches. */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /**
   * From now on files are passed through that are opened, if the backing is a file system of this machine.
   *
   * @param device `/dev/fuse` of a connection that has agreed to it; -1: it has not.
   * @param root a descriptor of the backing.
   * @param mayCross whether other file systems may be mounted on it.
   */
  begin(device: number, root: number, mayCross: boolean): void {
    const of = new StatfsBuffer();
    this.#local = statfs(root, of) >= 0 && LOCAL.has(of.type);
    this.#mayCross = mayCross;
    if (this.#local) this.#device = device;
  }

  /**
   * Whether there is nothing that close(2) has to ask us for: what cannot write has no error to be told, and a file system of this machine
   * tells all its errors before. What is mapped through the daemon is written back then, so that everybody sees it.
   */
  needsNoFlush({ node, flags, backing }: Handle): boolean {
    return node.type === S_IFREG && (backing !== undefined || (flags & O_ACCMODE) === O_RDONLY);
  }

  /**
   * Whether no file of the mount has anything to tell at close(2), as `needsNoFlush` has it of one. The kernel, once told by ENOSYS, asks no
   * more, and goes on to write back what is mapped.
   */
  get neverFlushes(): boolean {
    return this.#local && !this.#mayCross;
  }

  /** Whether a node is a file on the backing itself and not on what may be mounted on it. */
  #isLocal(node: Node): boolean {
    return this.#local && node.type === S_IFREG && isOfBacking(node.inode);
  }

  /**
   * Passes a new handle, opened with these flags, through if that can be. Leaves this thread with another identity where the file was not
   * registered yet. `attributes`: the file's, if they are known.
   */
  join(handle: Handle, flags: number, attributes?: StatxBuffer): void {
    const { node } = handle;
    if (this.#device < 0 || !this.#isLocal(node)) return;
    const known = node.backing;
    if (known === undefined || known.users === 0) {
      if (flags & LASTING) return;
      for (const other of node.handles!) if (other !== handle && other.backing === undefined) return;
    }
    const backing = known ?? this.#register(handle, attributes);
    if (backing === undefined) return;
    this.#registered.add(node);
    if (backing.users++ === 0) this.#unused.delete(node);
    handle.backing = node.backing = backing;
  }

  /** A handle is closed. */
  leave({ node, backing }: Handle): void {
    if (backing === undefined || --backing.users > 0) return;
    this.#unused.set(node, backing);
    if (this.#unused.size > KEPT) this.forget(this.#unused.keys().next().value!);
  }

  /**
   * Ends all registrations, while the device is still there: by itself the kernel would let go of the files some time later, and keep the
   * file system behind from being unmounted until then.
   */
  end(): void {
    for (const { backing } of this.#registered) this.#close(backing!);
    this.#registered.clear();
    this.#unused.clear();
    this.#device = -1;
  }

  /** Ends a file's registration if nobody has it open: the node goes, or gets another mode. */
  forget(node: Node): void {
    const { backing } = node;
    if (backing === undefined || backing.users > 0) return;
    this.#unused.delete(node);
    this.#registered.delete(node);
    node.backing = undefined;
    this.#close(backing);
  }

  #close({ id }: Backing): void {
    this.#caller.self();
    this.#view.setUint32(0, id, true);
    ioctl(this.#device, FUSE_DEV_IOC_BACKING_CLOSE, this.#argument);
  }

  #register({ node, fd }: Handle, attributes?: StatxBuffer): Backing | undefined {
    if (attributes === undefined) {
      attributes = this.#attributes;
      if (statx(fd, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, attributes) < 0) return undefined;
    }
    if (attributes.mode & (S_ISUID | S_ISGID)) return undefined;
    // The kernel keeps what it is given. An open file that writes would keep the file from being executed by others.
    let id = node.fd >= 0
      ? this.#registerAs(attributes, node.fd)
      : this.#registerAnew(attributes, fd, O_PATH | O_CLOEXEC);
    if (id === -Errno.EBADF) id = this.#registerAnew(attributes, fd, O_RDONLY | O_CLOEXEC); // before Linux 6.16
    // No right to, or a file system over too many others (overlay): it is served as without passthrough.
    return id > 0 ? { id, users: 0 } : undefined;
  }

  #registerAnew(owner: Identity, fd: number, flags: number): number {
    if ((flags & O_PATH) === 0) this.#caller.self();
    const again = reopen(fd, flags);
    if (again < 0) return again;
    const id = this.#registerAs(owner, again);
    closeFd(again);
    return id;
  }

  #registerAs(owner: Identity, fd: number): number {
    this.#caller.ownBacking(owner);
    fuse_backing_map.set.fd(this.#view, fd);
    return ioctl(this.#device, FUSE_DEV_IOC_BACKING_OPEN, this.#argument);
  }
}
