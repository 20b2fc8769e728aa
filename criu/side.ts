/**
 * What images lack and is noted beside them at dump: the mounts of the tree's namespaces, and how named files and the directories that lead
 * to them were. Pure; how it is written down is not known here.
 *
 * @module
 */

import { keyOf, type PathKey } from "./names.ts";

/** The types of files. */
export type FileType = "file" | "directory" | "symlink" | "fifo" | "socket" | "char" | "block";

/** How a file is. */
export interface FileStat {
  /** Its type. */
  readonly type: FileType;
  /** Its permission bits. */
  readonly mode: number;
  /** Its owner. */
  readonly uid: number;
  /** Its group. */
  readonly gid: number;
  /** Its size in bytes. */
  readonly size: bigint;
  /** When it was last modified. */
  readonly mtime: { readonly sec: bigint; readonly nsec: number };
  /** Of a device: which one. */
  readonly rdev?: { readonly major: number; readonly minor: number } | undefined;
  /** Of a symlink: its text. */
  readonly target?: Uint8Array | undefined;
}

/** A file that was looked at. */
export interface SideFile {
  /** Its path in its mount namespace. */
  readonly path: Uint8Array;
  /** The mount that it is on, as far as its path tells. */
  readonly mountId: number;
  /** How it was; undefined when that could not be told. */
  readonly stat?: FileStat | undefined;
  /** Why it could not be told: an errno's name, or "ETIMEDOUT" when the file system did not answer. */
  readonly error?: string | undefined;
}

/** A mount, as /proc/PID/mountinfo told of it. */
export interface SideMount {
  /** Its id. */
  readonly id: number;
  /** That of the mount that it is on. */
  readonly parent: number;
  /** Its file system's device: the major number. */
  readonly major: number;
  /** The minor number. */
  readonly minor: number;
  /** What of the file system is mounted. */
  readonly root: Uint8Array;
  /** Where. */
  readonly mountpoint: Uint8Array;
  /** The mount's own options. */
  readonly options: readonly string[];
  /** The type. */
  readonly fstype: string;
  /** What was mounted. */
  readonly source: Uint8Array;
  /** The file system's options, separated by commas. */
  readonly superOptions: string;
}

/** A mount namespace of the tree. */
export interface SideNamespace {
  /** Whether it is that of whoever wrote this down, which is CRIU's, too. */
  readonly own: boolean;
  /** Its mounts. */
  readonly mounts: readonly SideMount[];
  /** The files that were looked at. */
  readonly files: readonly SideFile[];
}

/** What was noted beside the images. Its paths are such as {@linkcode keyOf} takes. */
export interface Side {
  /** What CRIU calls the dump that it was noted at; undefined when it was noted before that, or by a CRIU that does not say. */
  readonly run?: string | undefined;
  /** The tree's mount namespaces. */
  readonly namespaces: readonly SideNamespace[];
}

/** What lies at a path of a namespace, and on which mount. */
export class NamespaceView {
  /** The namespace. */
  readonly namespace: SideNamespace;
  readonly #mounts = new Map<PathKey, SideMount>();
  readonly #files = new Map<PathKey, SideFile>();

  /** Looks at a namespace. */
  constructor(namespace: SideNamespace) {
    this.namespace = namespace;
    for (const [path, mount] of topMounts(namespace.mounts)) this.#mounts.set(path, mount);
    for (const file of namespace.files) this.#files.set(keyOf(file.path), file);
  }

  /** The mount that is seen at exactly this path. */
  mountAt(path: PathKey): SideMount | undefined {
    return this.#mounts.get(path);
  }

  /** The mount that a path is on. */
  mountOf(path: PathKey): SideMount | undefined {
    for (let at = path.length; at > 0; at = path.lastIndexOf("/", at - 1)) {
      const mount = this.#mounts.get(path.slice(0, at) as PathKey);
      if (mount !== undefined) return mount;
    }
    return this.#mounts.get("/" as PathKey);
  }

  /** What was noted of a path. */
  fileAt(path: PathKey): SideFile | undefined {
    return this.#files.get(path);
  }
}

/** The mounts that can be seen: of several at one path the one on top, which is the parent of no other there. */
export function topMounts<
  M extends { readonly id: number; readonly parent: number; readonly mountpoint: Uint8Array },
>(
  mounts: readonly M[],
): Map<PathKey, M> {
  const stacks = new Map<PathKey, M[]>();
  for (const mount of mounts) {
    const path = keyOf(mount.mountpoint);
    const stack = stacks.get(path);
    if (stack === undefined) stacks.set(path, [mount]);
    else stack.push(mount);
  }
  const isBelow = (mount: M, stack: M[]) =>
    stack.some((other) => other.parent === mount.id && other.id !== mount.id);
  const top = new Map<PathKey, M>();
  for (const [path, stack] of stacks) {
    top.set(
      path,
      stack.findLast((mount) => !isBelow(mount, stack)) ?? stack[0]!,
    );
  }
  return top;
}

/** The namespace that whoever noted it was in; undefined when the tree was in others only. */
export function ownNamespace(side: Side | undefined): NamespaceView | undefined {
  const own = side?.namespaces.find((namespace) => namespace.own);
  return own === undefined ? undefined : new NamespaceView(own);
}

/** The namespace that a mount is in, by the mount's id and place: ids are used again. */
export function namespaceOf(
  side: Side | undefined,
  mount: { readonly id: number; readonly mountpoint: Uint8Array },
): NamespaceView | undefined {
  const path = keyOf(mount.mountpoint);
  const found = side?.namespaces.find((namespace) =>
    namespace.mounts.some((other) => other.id === mount.id && keyOf(other.mountpoint) === path)
  );
  return found === undefined ? undefined : new NamespaceView(found);
}
