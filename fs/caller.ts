/**
 * Acting as the caller: each operation runs under the file system identity of the task that asked for it, so that new files belong to
 * it, and a server that refuses root (root_squash) sees whom it would see without us.
 *
 * The identity is the calling *thread's* (raw system calls; glibc would change all threads) and is switched only when it differs from
 * the one in force, because neighbouring requests mostly come from one user.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import {
  AT_FDCWD,
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_MKNOD,
  CAP_SYS_ADMIN,
  CAP_SYS_RESOURCE,
  STATX_BASIC_STATS,
} from "../ffi/sys/constants.ts";
import { statx } from "../ffi/sys/file.ts";
import { type Capabilities, capget, capset, setfsgid, setfsuid, setgroups } from "../ffi/sys/identity.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";

/** A file system identity. */
export interface Identity {
  /** fsuid. */
  readonly uid: number;
  /** fsgid. */
  readonly gid: number;
}

/** Root, whom servers may refuse. */
export const ROOT_IDENTITY: Identity = { uid: 0, gid: 0 };

/** What a task may do: its groups, and which capabilities it has. */
interface Credentials {
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** Effective capabilities; bit N is CAP_* N. */
  readonly effective: bigint;
}

/** Whom calls are made as. */
export type Acting = Identity & Credentials;

/**
 * The capabilities that file systems look at. All others stay as they are, CAP_SETFCAP too: the kernel has us take away a file's
 * capabilities in the name of anybody who writes to it, and lets nobody ask for that who may not.
 */
const OF_FILES: bigint = [
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_SYS_ADMIN,
  CAP_SYS_RESOURCE,
  CAP_MKNOD,
].reduce((set, capability) => set | 1n << BigInt(capability), 0n);

/** Root, with all that it may do. */
export const ROOT_ACTING: Acting = { uid: 0, gid: 0, groups: [], effective: OF_FILES };

const VALID_MS = 500;
const CACHED = 1024;
const NO_GROUPS: readonly number[] = [];
const decoder = new TextDecoder("latin1");

/** Reads the supplementary groups out of a `/proc/pid/status`. */
export function parseGroups(status: Uint8Array): number[] {
  const match = /^Groups:[ \t]*(.*)$/m.exec(decoder.decode(status));
  return match === null ? [] : match[1]!.split(" ").filter((word) => word !== "").map(Number);
}

/** Reads the effective capabilities out of a `/proc/pid/status`. */
export function parseCapabilities(status: Uint8Array): bigint {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(decoder.decode(status));
  return match === null ? 0n : BigInt(`0x${match[1]}`);
}

/** What the owner of a registered file keeps: the right to register. */
const REGISTRAR: bigint = 1n << BigInt(CAP_SYS_ADMIN);

/** Whom a mount's calls are made as. The thread must have started as root. */
export class Caller {
  /** Nothing is switched from here on, it is only noted as whom other threads are to make the calls. */
  noting = false;
  /** What is noted. */
  acting: Acting = ROOT_ACTING;
  readonly #known = new Map<number, Identity & Credentials & { readonly until: number }>();

  /**
   * Takes on an identity. The supplementary groups of task `pid`, for users other than root, and its capabilities come along, read from
   * /proc and remembered for half a second. A task that /proc does not show has no groups, and capabilities if it is root's.
   *
   * @throws {SysError} EPERM, EINVAL: the identity cannot be taken on (no CAP_SETUID, or not mapped); nothing may be done for it then.
   */
  become(uid: number, gid: number, pid: number): void {
    const { groups, effective } = this.#credentialsOf(pid, uid, gid);
    this.#switch(uid, gid, groups, effective);
  }

  /** Takes on an identity without supplementary groups; with capabilities if it is root's. */
  becomeIdentity({ uid, gid }: Identity): void {
    this.#switch(uid, gid, NO_GROUPS, uid === 0 ? OF_FILES : 0n);
  }

  /** As the owner of a file that is registered with the kernel, which takes CAP_SYS_ADMIN and keeps whom it was registered by. */
  ownBacking({ uid, gid }: Identity): void {
    this.#switch(uid, gid, NO_GROUPS, REGISTRAR);
  }

  /** Back to root. */
  self(): void {
    this.#switch(0, 0, NO_GROUPS, OF_FILES);
  }

  /** Takes on what another thread's caller has noted. @throws {SysError} EPERM, EINVAL */
  act({ uid, gid, groups, effective }: Acting): void {
    this.#switch(uid, gid, groups, effective);
  }

  #credentialsOf(pid: number, uid: number, gid: number): Credentials {
    const now = performance.now();
    const known = this.#known.get(pid);
    // A task that has become somebody else has other groups.
    if (known?.uid === uid && known.gid === gid && known.until > now) return known;
    const status = pid === 0 ? -1 : readProcFile(`/proc/${pid}/status`);
    const found = typeof status === "number"
      ? { groups: NO_GROUPS, effective: uid === 0 ? OF_FILES : 0n }
      : { groups: uid === 0 ? NO_GROUPS : parseGroups(status), effective: capabilitiesOf(status, pid, uid) };
    if (this.#known.size >= CACHED) this.#known.clear();
    this.#known.set(pid, { uid, gid, ...found, until: now + VALID_MS });
    return found;
  }

  #switch(uid: number, gid: number, groups: readonly number[], effective: bigint): void {
    if (this.noting) this.acting = { uid, gid, groups, effective };
    else inForce.become(uid, gid, groups, effective);
  }
}

/** The file system identity of this thread, which the mounts that it serves have in common. */
class ThreadIdentity {
  #uid = 0;
  #gid = 0;
  #groups = "";
  #effective: bigint | undefined; // of OF_FILES; undefined: whatever the last change of user has left
  #own: Capabilities | undefined;

  /** Switches what differs. @throws {SysError} EPERM, EINVAL */
  become(uid: number, gid: number, groups: readonly number[], effective: bigint): void {
    if (uid === this.#uid && gid === this.#gid && effective === this.#effective) {
      if (groups.length === 0 && this.#groups === "") return;
    }
    this.#own ??= ownCapabilities(); // while they are whole
    const list = groups.join();
    if (list !== this.#groups) {
      check(setgroups(Uint32Array.from(groups)), "setgroups");
      this.#groups = list;
    }
    if (gid !== this.#gid) {
      check(setfsgid(gid), "setfsgid");
      this.#gid = gid;
    }
    if (uid !== this.#uid) {
      this.#effective = undefined; // the kernel takes capabilities away, or gives them back
      check(setfsuid(uid), "setfsuid");
      this.#uid = uid;
    }
    if (effective === this.#effective) return;
    const { permitted, inheritable, effective: before } = this.#own;
    const next = (before & ~OF_FILES) | (before & effective & OF_FILES);
    check(capset({ effective: next, permitted, inheritable }), "capset");
    this.#effective = effective;
  }
}

const inForce = new ThreadIdentity();

/** What counts of a task's capabilities. A user's that come of a user namespace of its own are good for that one's files alone. */
function capabilitiesOf(status: Uint8Array, pid: number, uid: number): bigint {
  const effective = parseCapabilities(status) & OF_FILES;
  return effective === 0n || uid === 0 || isOfOurNamespace(pid) ? effective : 0n;
}

function isOfOurNamespace(pid: number): boolean {
  const [its, ours] = [new StatxBuffer(), new StatxBuffer()];
  return statx(AT_FDCWD, cstr(`/proc/${pid}/ns/user`), 0, STATX_BASIC_STATS, its) >= 0 &&
    statx(AT_FDCWD, cstr("/proc/self/ns/user"), 0, STATX_BASIC_STATS, ours) >= 0 && its.ino === ours.ino;
}

/** The capabilities of this thread, which has not switched yet. */
function ownCapabilities(): Capabilities {
  const own = capget();
  if (typeof own === "number") throw new SysError("capget", -own);
  return own;
}
