/**
 * Notes beside images what they lack: the mounts of the tree's mount namespaces, and how the files are that it uses.
 *
 * @module
 */

import {
  type ImageMount,
  type Images,
  inventoryName,
  keyOf,
  neededPaths,
  ownNamespaceNumber,
  parentsOf,
  PathError,
  type PathKey,
  readImages,
  type SideFile,
  type SideNamespace,
} from "../criu/mod.ts";
import { Errno, SysError } from "../ffi/errno.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { withDescendants } from "../swap/candidates.ts";
import { readLink } from "../swap/task_files.ts";
import { imagesError } from "./image_nodes.ts";
import { lookAt } from "./look.ts";
import { writeSide } from "./side_file.ts";

/** What is to be noted. */
export interface RecordOrder {
  /** The root of the process tree, as this program's /proc has it. */
  readonly pid: number;
  /** The directory of the images. */
  readonly directory: string;
  /** How long a file system may take to tell of one file, in milliseconds. */
  readonly stallMs: number;
}

/** What was noted. */
export interface Recorded {
  /** Whether it was the images that told which files are used; otherwise, before there are any, /proc did. */
  readonly fromImages: boolean;
  /** How many mount namespaces the tree has. */
  readonly namespaces: number;
  /** How many files were looked at and told of. */
  readonly files: number;
  /** Those that could not be. */
  readonly unknown: readonly SideFile[];
}

interface TreeNamespace {
  readonly own: boolean;
  /** A process that is in it. */
  readonly pid: number;
  /** All that are. */
  readonly pids: number[];
}

/**
 * Notes what is known of a tree, and writes it down. Does not hang when a file system does not answer.
 *
 * @throws {ControlError} `bad_images` for damaged ones, `system` when nothing can be looked at
 * @throws {SysError} ESRCH when there is no such process; {Error} of the operating system when nothing can be written
 */
export async function record({ pid, directory, stallMs }: RecordOrder): Promise<Recorded> {
  const namespaces = treeNamespaces(pid);
  const images = hasImages(directory) ? readFrom(directory) : undefined;
  const needed = images === undefined ? undefined : neededPaths(images);
  const noted: SideNamespace[] = [];
  for (const namespace of namespaces) {
    const paths = images === undefined || needed === undefined
      ? openPaths(namespace.pids)
      : needed.get(numberOf(namespace, images)) ?? [];
    const seen = await lookAt({ pid: namespace.own ? undefined : namespace.pid, paths, stallMs });
    noted.push({
      own: namespace.own,
      mounts: seen.mounts,
      files: seen.files.filter((file) => !isGone(file)),
    });
  }
  writeSide(directory, { run: images?.run, namespaces: noted });
  const files = noted.flatMap((namespace) => namespace.files);
  return {
    fromImages: images !== undefined,
    namespaces: noted.length,
    files: files.filter(({ stat }) => stat !== undefined).length,
    unknown: files.filter(({ stat }) => stat === undefined),
  };
}

/** Names that are gone are nothing to wonder at: their files come back from ghosts. */
function isGone({ error }: SideFile): boolean {
  return error === "ENOENT" || error === "ENOTDIR";
}

function hasImages(directory: string): boolean {
  try {
    return Deno.statSync(`${directory}/${inventoryName}`).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** @throws {ControlError} `bad_images`; {SysError} */
function readFrom(directory: string): Images {
  try {
    return readImages(directory);
  } catch (error) {
    throw imagesError(error, directory);
  }
}

/** The mount namespaces of a tree. @throws {SysError} ESRCH */
function treeNamespaces(root: number): TreeNamespace[] {
  const nameOf = (link: Uint8Array | undefined) => link && new TextDecoder().decode(link);
  const own = nameOf(readLink("/proc/self/ns/mnt"));
  const found = new Map<string, TreeNamespace>();
  for (const pid of withDescendants([root], true)) {
    const name = nameOf(readLink(`/proc/${pid}/ns/mnt`));
    if (name === undefined) continue; // It has ended.
    const there = found.get(name);
    if (there === undefined) found.set(name, { own: name === own, pid, pids: [pid] });
    else there.pids.push(pid);
  }
  if (found.size === 0) throw new SysError("open", Errno.ESRCH, { path: `/proc/${root}` });
  return [...found.values()];
}

/** The number that the images have for a namespace: they know its mounts by their ids. -1 when they do not have it. */
function numberOf({ own, pid }: TreeNamespace, images: Images): number {
  if (own) return ownNamespaceNumber;
  const ids = new Map(readMountinfo(pid).map((mount) => [mount.id, keyOf(mount.mountpoint)]));
  const isHere = ({ id, mountpoint }: ImageMount) => ids.get(id) === keyOf(mountpoint);
  for (const [number, mounts] of images.namespaces) if (mounts.some(isHere)) return number;
  return -1;
}

/** What processes have open, map, run and stand in, and the directories that lead there, by the names that /proc has for it. */
function openPaths(pids: readonly number[]): Set<PathKey> {
  const paths = new Set<PathKey>();
  const add = (link: Uint8Array | undefined) => {
    if (link?.[0] !== 0x2f) return; // no file: a pipe, a socket
    try {
      const path = keyOf(link);
      if (path.endsWith(" (deleted)")) return;
      for (const parent of parentsOf(path)) paths.add(parent);
      paths.add(path);
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
    }
  };
  paths.add("/" as PathKey);
  for (const pid of pids) {
    const process = `/proc/${pid}`;
    for (const place of ["cwd", "root", "exe"]) add(readLink(`${process}/${place}`));
    for (const folder of ["fd", "map_files"]) {
      for (const name of namesIn(`${process}/${folder}`)) add(readLink(`${process}/${folder}/${name}`));
    }
  }
  return paths;
}

function namesIn(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return []; // The process has ended.
  }
}
