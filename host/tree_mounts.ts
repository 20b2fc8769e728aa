/**
 * What a process tree uses of file systems that a dump or a restore depends on.
 *
 * @module
 */

import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { SysError } from "../ffi/errno.ts";
import { Candidates, withDescendants } from "../swap/candidates.ts";
import { readLink } from "../swap/task_files.ts";
import { readSide } from "./side_file.ts";

/** A process that uses a stand-in. */
export interface StubUser {
  /** The process. */
  readonly pid: number;
  /** Where the stand-in is, as the process sees it. */
  readonly mountpoint: Uint8Array;
}

/** A mount of a network file system. */
export interface NetworkMount {
  /** Where it was, as the tree saw it. */
  readonly mountpoint: Uint8Array;
  /** Its type. */
  readonly type: string;
  /** What was mounted. */
  readonly source: Uint8Array;
}

/** The type of stand-ins in mountinfo. */
const stubType = "fuse.spfs";

/** File systems of which the data come from elsewhere. FUSE's are: which of them do not cannot be told. */
const networkTypes: ReadonlySet<string> = new Set([
  "nfs",
  "nfs4",
  "cifs",
  "smb3",
  "ceph",
  "9p",
  "afs",
  "coda",
  "lustre",
  "beegfs",
  "gfs2",
  "ocfs2",
  "pvfs2",
  "virtiofs",
]);

/** Whether a file system of this type may be away when a tree is restored. */
export function isNetworkType(type: string): boolean {
  return networkTypes.has(type) || (/^fuse(?:\.|blk$|$)/.test(type) && type !== stubType);
}

/**
 * The processes of a tree that use stand-ins which are still in place; those of a mount namespace of their own use what is mounted in it.
 * Reads /proc only.
 *
 * @throws {SysError} ESRCH when there is no such process
 */
export function stubUsers(root: number): StubUser[] {
  const own = namespaceOf("self");
  const found: StubUser[] = [];
  for (const pid of withDescendants([root], true)) {
    const stubs = mountsOf(pid).filter(({ fstype }) => fstype === stubType);
    const isOwn = namespaceOf(pid) === own;
    const used = stubs.find((stub) => {
      if (!isOwn) return true;
      return new Candidates({ kind: "referring" }, [{ ...stub, targetFd: -1 }], []).refers(pid);
    });
    if (used !== undefined) found.push({ pid, mountpoint: used.mountpoint });
  }
  return found;
}

function mountsOf(pid: number): ReturnType<typeof readMountinfo> {
  try {
    return readMountinfo(pid);
  } catch (error) {
    // It has ended.
    if (error instanceof SysError) return [];
    throw error;
  }
}

function namespaceOf(pid: number | "self"): string {
  const link = readLink(`/proc/${pid}/ns/mnt`);
  return link === undefined ? "" : new TextDecoder().decode(link);
}

/**
 * The network file systems that files of a tree are on, by what was noted beside its images. Blocks as reading files does.
 *
 * @throws {ImageError} when that cannot be read
 */
export function notedNetworkMounts(directory: string): NetworkMount[] {
  return (readSide(directory)?.namespaces ?? []).flatMap(({ mounts, files }) => {
    const used = new Set(files.map(({ mountId }) => mountId));
    return mounts.filter(({ id, fstype }) => used.has(id) && isNetworkType(fstype))
      .map(({ mountpoint, fstype, source }) => ({ mountpoint, type: fstype, source }));
  });
}
