/**
 * Acting as the caller: each operation runs under the file system identity of the task that asked for it, so that new files belong to
 * it, and a server that refuses root (root_squash) sees whom it would see without us.
 *
 * The identity is the calling *thread's* (raw system calls; glibc would change all threads) and is switched only when it differs from
 * the one in force, because neighbouring requests mostly come from one user.
 *
 * @module
 */
import { check } from "../ffi/sys/libc.ts";
import { setfsgid, setfsuid, setgroups } from "../ffi/sys/identity.ts";
import { readProcFile } from "../ffi/sys/process.ts";

/** A file system identity. */
export interface Identity {
  /** fsuid. */
  readonly uid: number;
  /** fsgid. */
  readonly gid: number;
}

/** Root, whom servers may refuse. */
export const ROOT_IDENTITY: Identity = { uid: 0, gid: 0 };

const GROUPS_VALID_MS = 500;
const GROUPS_CACHED = 1024;
const decoder = new TextDecoder("latin1");

/** Reads the supplementary groups out of a `/proc/pid/status`. */
export function parseGroups(status: Uint8Array): number[] {
  const match = /^Groups:[ \t]*(.*)$/m.exec(decoder.decode(status));
  return match === null ? [] : match[1]!.split(" ").filter((word) => word !== "").map(Number);
}

/** Switches the file system identity of this thread. One for each mount worker; the thread must have started as root. */
export class Caller {
  #uid = 0;
  #gid = 0;
  #groups = "";
  readonly #known = new Map<number, Identity & { readonly groups: number[]; readonly until: number }>();

  /**
   * Takes on an identity. For users other than root the supplementary groups of task `pid` come along, read from /proc and remembered
   * for half a second; a task that /proc does not show has none.
   *
   * @throws {SysError} EPERM, EINVAL: the identity cannot be taken on (no CAP_SETUID, or not mapped); nothing may be done for it then.
   */
  become(uid: number, gid: number, pid: number): void {
    if (uid === 0) return this.#switch(0, gid, []);
    this.#switch(uid, gid, this.#groupsOf(pid, uid, gid));
  }

  /** Takes on an identity without supplementary groups. */
  becomeIdentity({ uid, gid }: Identity): void {
    this.#switch(uid, gid, []);
  }

  /** Back to root. */
  self(): void {
    this.#switch(0, 0, []);
  }

  #groupsOf(pid: number, uid: number, gid: number): number[] {
    const now = performance.now();
    const known = this.#known.get(pid);
    // A task that has become somebody else has other groups.
    if (known?.uid === uid && known.gid === gid && known.until > now) return known.groups;
    const status = pid === 0 ? -1 : readProcFile(`/proc/${pid}/status`);
    const groups = typeof status === "number" ? [] : parseGroups(status);
    if (this.#known.size >= GROUPS_CACHED) this.#known.clear();
    this.#known.set(pid, { uid, gid, groups, until: now + GROUPS_VALID_MS });
    return groups;
  }

  #switch(uid: number, gid: number, groups: number[]): void {
    if (uid === this.#uid && gid === this.#gid && groups.length === 0 && this.#groups === "") return;
    const list = groups.join();
    // Root first: only with its capabilities may the others be set.
    if (this.#uid !== 0 && (uid !== this.#uid || list !== this.#groups)) {
      check(setfsuid(0), "setfsuid");
      this.#uid = 0;
    }
    if (list !== this.#groups) {
      check(setgroups(Uint32Array.from(groups)), "setgroups");
      this.#groups = list;
    }
    if (gid !== this.#gid) {
      check(setfsgid(gid), "setfsgid");
      this.#gid = gid;
    }
    if (uid !== this.#uid) {
      check(setfsuid(uid), "setfsuid");
      this.#uid = uid;
    }
  }
}
