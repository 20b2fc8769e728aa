/**
 * The nodes that a stand-in of a mount needs so that CRIU can restore: exact types, permissions and sizes, and the directories that lead to
 * them. Pure.
 *
 * Left out is what CRIU makes itself: files that have lost their names (ghosts, and names that are links of `link_remap.N`) and sockets. The
 * directories that these are made in are here.
 *
 * @module
 */

import { pathText } from "../ffi/sys/libc.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK } from "../ffi/sys/constants.ts";
import type { NamedFile } from "./entries.ts";
import { ImageError } from "./image_error.ts";
import type { Images } from "./images.ts";
import { type ChosenMount, MountScope } from "./mounts.ts";
import { bytesOf, keyOf, parentsOf, type PathKey } from "./names.ts";
import type { FileStat, FileType, Side } from "./side.ts";

/** How a node's attributes are known. */
export type NodeOrigin =
  /** CRIU compares them. */
  | "image"
  /** They were noted at dump; CRIU needs the node but compares nothing. */
  | "side"
  /** Nobody knows: CRIU needs the node but compares nothing. */
  | "guess";

/** A node of a stand-in. */
export interface ImageNode {
  /** Its path below the mount's root, without a slash in front; empty for the root itself. */
  readonly path: Uint8Array<ArrayBuffer>;
  /** Its type. */
  readonly type: FileType;
  /** Its permission bits. */
  readonly mode: number;
  /** The size of a regular file that CRIU compares; undefined where it does not. */
  readonly size: bigint | undefined;
  /** How type and mode are known. */
  readonly origin: NodeOrigin;
  /** How it was at dump, of which owner and time are taken; undefined when that was not noted. */
  readonly noted: FileStat | undefined;
}

/** The nodes of a mount. */
export interface NodeList {
  /** The root directory; undefined when nothing is known of it. */
  readonly root: ImageNode | undefined;
  /** All others, each after the directory that it is in. */
  readonly nodes: readonly ImageNode[];
  /** How many files CRIU makes itself on the mount, and how many bytes of content they bring along. */
  readonly made: { readonly files: number; readonly bytes: bigint };
}

interface Draft {
  type: FileType;
  mode: number;
  size: bigint | undefined;
  origin: NodeOrigin;
}

/**
 * The nodes of a mount.
 *
 * @param side what was noted at dump, if anything: owners, times, the attributes of directories that only lead somewhere
 * @throws {ImageError} for a path that is two things at once
 */
export function nodesOfMount(images: Images, mount: ChosenMount, side?: Side): NodeList {
  return new Collection(images, mount, side).list();
}

class Collection {
  readonly #images: Images;
  readonly #mount: ChosenMount;
  readonly #scope: MountScope;
  readonly #drafts = new Map<PathKey, Draft>();
  /** Named files that are used as directories; those of images without modes are told by that. */
  readonly #directories = new Set<number>();
  #made = { files: 0, bytes: 0n };

  constructor(images: Images, mount: ChosenMount, side: Side | undefined) {
    this.#images = images;
    this.#mount = mount;
    this.#scope = new MountScope(images, mount, side);
    for (const { cwd, root } of images.processes) {
      for (const id of [cwd, root]) if (id !== undefined) this.#directories.add(id);
    }
  }

  list(): NodeList {
    const linked = new Map<number, NamedFile>();
    for (const { kind, file, target } of this.#images.remaps.values()) {
      if (kind === "link") linked.set(target, this.#images.files.get(file)!);
    }
    for (const file of this.#images.files.values()) {
      const place = this.#placeOf(file);
      if (place === undefined) continue;
      const remap = this.#images.remaps.get(file.id);
      if (remap === undefined) this.#addNamed(file, place, linked.get(file.id));
      else this.#noteMade(remap.kind === "ghost" ? this.#images.ghosts.get(remap.target)?.size : 0n, place);
    }
    for (const { name, mountId } of this.#images.sockets) {
      const place = this.#scope.place(keyOf(name), mountId);
      if (place !== undefined && place !== "/") this.#addParents(place);
    }
    for (const { path, mountId, mask } of this.#images.watched) {
      const place = this.#scope.place(keyOf(path), mountId);
      if (place !== undefined) this.#addGuess(place, watchesDirectory(mask) ? "directory" : "file");
    }
    this.#addMountpoints();
    return { ...this.#nodes(), made: this.#made };
  }

  #placeOf(file: NamedFile): PathKey | undefined {
    // Named files without a mount are in CRIU's own namespace.
    if (file.mountId === undefined && this.#mount.entry !== undefined) return undefined;
    return this.#scope.place(keyOf(file.name), file.mountId);
  }

  #noteMade(bytes: bigint | undefined, place: PathKey): void {
    this.#made = { files: this.#made.files + 1, bytes: this.#made.bytes + (bytes ?? 0n) };
    if (place !== "/") this.#addParents(place);
  }

  /** @param original what the file is a link of, whose size and permissions CRIU asks for under this name */
  #addNamed(file: NamedFile, place: PathKey, original: NamedFile | undefined): void {
    const mode = original?.mode ?? file.mode;
    if (mode === undefined || mode === 0) {
      this.#addGuess(place, this.#directories.has(file.id) ? "directory" : "file");
      return;
    }
    const type = typeOf(mode);
    const size = type === "file" ? original?.size ?? file.size : undefined;
    this.#add(place, { type, mode: mode & 0o7777, size, origin: "image" });
  }

  /** Adds a node of which CRIU compares nothing; what was noted of it, if anything, is better than the guess. */
  #addGuess(place: PathKey, type: FileType): void {
    const stat = this.#scope.noted(place)?.stat;
    if (stat === undefined) {
      this.#add(place, {
        type,
        mode: type === "directory" ? 0o755 : 0o644,
        size: undefined,
        origin: "guess",
      });
      return;
    }
    this.#add(place, { type: stat.type, mode: stat.mode, size: undefined, origin: "side" });
  }

  #add(place: PathKey, draft: Draft): void {
    if (place !== "/") this.#addParents(place);
    const there = this.#drafts.get(place);
    if (there === undefined) {
      this.#drafts.set(place, draft);
    } else if (there.origin !== "image" && draft.origin === "image") {
      this.#drafts.set(place, draft);
    } else if (draft.origin === "image") {
      if (there.type !== draft.type) this.#contradict(place, there.type, draft.type);
      // Of files that are only appended to CRIU does not ask for the size.
      there.size ??= draft.size;
    } else if (there.origin === "guess" && draft.type === "directory") {
      this.#drafts.set(place, draft);
    }
  }

  #addParents(place: PathKey): void {
    this.#addDirectory("/" as PathKey);
    for (const parent of parentsOf(place)) this.#addDirectory(parent);
  }

  #addDirectory(place: PathKey): void {
    const there = this.#drafts.get(place);
    if (there?.type === "directory") return;
    if (there?.origin === "image") this.#contradict(place, there.type, "directory");
    const stat = this.#scope.noted(place)?.stat;
    const isNoted = stat?.type === "directory";
    this.#drafts.set(place, {
      type: "directory",
      mode: isNoted ? stat.mode : 0o755,
      size: undefined,
      origin: isNoted ? "side" : "guess",
    });
  }

  #contradict(place: PathKey, one: FileType, other: FileType): never {
    const what = `${pathText(bytesOf(place))} is a ${one} and a ${other} at once`;
    throw new ImageError("files.img", undefined, what);
  }

  /** What CRIU mounts on the mount needs something to be mounted on: for a mount of a single file, a file. */
  #addMountpoints(): void {
    const files = new Set<string>();
    for (const { name, mountId, mode } of this.#images.files.values()) {
      if (mountId !== undefined && mode !== undefined && typeOf(mode) !== "directory") {
        files.add(`${mountId} ${keyOf(name)}`);
      }
    }
    for (const { place, mountId, mountpoint } of this.#scope.mountpoints()) {
      this.#addGuess(place, files.has(`${mountId} ${mountpoint}`) ? "file" : "directory");
    }
  }

  #nodes(): { root: ImageNode | undefined; nodes: ImageNode[] } {
    const nodes: ImageNode[] = [];
    let root: ImageNode | undefined;
    // A directory's path sorts before those below it.
    for (const place of [...this.#drafts.keys()].sort()) {
      const draft = this.#drafts.get(place)!;
      const stat = this.#scope.noted(place)?.stat;
      const node = {
        ...draft,
        path: relative(place),
        noted: stat?.type === draft.type ? stat : undefined,
      };
      if (place === "/") root = node;
      else nodes.push(node);
    }
    if (root !== undefined && root.type !== "directory") {
      this.#contradict("/" as PathKey, root.type, "directory");
    }
    return { root, nodes };
  }
}

function relative(place: PathKey): Uint8Array<ArrayBuffer> {
  return bytesOf(place.slice(1));
}

function typeOf(mode: number): FileType {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "char";
    case S_IFBLK:
      return "block";
    default:
      return "file";
  }
}

/** IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE: what happens in directories; FAN_* has the same numbers. */
const inDirectories = 0x40 | 0x80 | 0x100 | 0x200;

/** Whether a watch looks like one of a directory. */
function watchesDirectory(mask: number): boolean {
  return (mask & inDirectories) !== 0;
}
