/**
 * What the entries of CRIU's images say, as far as restoring file systems needs it. The numbers of fields are those of CRIU's
 * `images/*.proto`; what is not read here is passed over.
 *
 * @module
 */

import { ImageError } from "./image_error.ts";
import { eachField, type FieldValue, type Message, pathOf, required, textOf } from "./message.ts";
import { bytesOf, resolved } from "./names.ts";

/** An opened, mapped or used file or directory, by the path that CRIU opens. */
export interface NamedFile {
  /** What other entries call it. */
  readonly id: number;
  /** Its path in the mount namespace of the process. Of a file without a name: the one it had. */
  readonly name: Uint8Array;
  /** The mount it is on; undefined in CRIU's own mount namespace. */
  readonly mountId: number | undefined;
  /** O_* flags. */
  readonly flags: number;
  /** The size that CRIU asks for; undefined where it does not. */
  readonly size: bigint | undefined;
  /** Type and permissions, S_IF* and all, that CRIU asks for; undefined where it does not. */
  readonly mode: number | undefined;
}

/** A unix socket that is bound to a path; CRIU makes its node. */
export interface BoundSocket {
  /** Its path, as far as that can be told from its text: the process may have written symlinks into it. */
  readonly name: Uint8Array;
  /** The mount it is on; undefined where CRIU does not say. */
  readonly mountId: number | undefined;
}

/** What inotify or fanotify watches; CRIU opens it by its path. */
export interface Watched {
  /** Its path. */
  readonly path: Uint8Array;
  /** The mount it is on; undefined where CRIU does not say. */
  readonly mountId: number | undefined;
  /** IN_* or FAN_* bits. */
  readonly mask: number;
}

/** What a process has, by the ids of named files. */
export interface Process {
  /** Its id in its pid namespace. */
  readonly pid: number;
  /** Its working directory. */
  cwd: number | undefined;
  /** Its root directory. */
  root: number | undefined;
  /** Its executable. */
  exe: number | undefined;
  /** Files that are mapped. */
  readonly mapped: Set<number>;
}

/** How a file that has lost its name comes back: by another name that was made for it, or from its content. */
export interface Remap {
  /** The named file that it is about. */
  readonly file: number;
  /** Whether the other one is a link that CRIU made at dump, a ghost, or a directory of a process below /proc. */
  readonly kind: "link" | "ghost" | "procfs";
  /** The named file of the link; the number of the ghost. */
  readonly target: number;
}

/** A file without a name, whose content is in an image; CRIU makes it. */
export interface Ghost {
  /** Type and permissions. */
  readonly mode: number;
  /** The size of a file; of what is none it means nothing. */
  readonly size: bigint;
}

/** A mount of a mount namespace other than CRIU's own. */
export interface ImageMount {
  /** Its id in mountinfo, at dump. */
  readonly id: number;
  /** That of the mount that it is on. */
  readonly parent: number;
  /** Its file system's device, at dump, as the kernel's dev_t. */
  readonly device: number;
  /** What of the file system is mounted. */
  readonly root: Uint8Array;
  /** Where. */
  readonly mountpoint: Uint8Array;
  /** CRIU's number for the file system's type; 0 for one it does not know. */
  readonly fstype: number;
  /** What was mounted, as far as CRIU says it. */
  readonly source: Uint8Array;
  /** Whether somebody else provides it at restore. */
  readonly external: boolean;
  /** By which key. */
  readonly key: string | undefined;
}

/** fd_types of `fdinfo.proto`, as far as a path belongs to them. */
const fileTypes = { reg: 1, unix: 5, inotify: 8, fanotify: 12 } as const;

/** Where the entries of `files.img` go. */
export interface FilesVisitor {
  /** A named file. */
  named(file: NamedFile): void;
  /** A bound unix socket. */
  socket(socket: BoundSocket): void;
  /** Something that is watched. */
  watched(watched: Watched): void;
}

/** Reads an entry of `files.img`. @throws {ImageError} */
export function readFileEntry(entry: Message, visitor: FilesVisitor): void {
  let type: number | undefined;
  let id: number | undefined;
  const parts: Partial<Record<keyof typeof fileTypes, Message>> = {};
  eachField(entry, (field, value) => {
    if (field === 1) type = value.uint32();
    else if (field === 2) id = value.uint32();
    else if (field === 3) parts.reg = value.message();
    else if (field === 13) parts.inotify = value.message();
    else if (field === 14) parts.fanotify = value.message();
    else if (field === 16) parts.unix = value.message();
  });
  required(entry, "a type", type);
  required(entry, "an id", id);
  const part = (name: keyof typeof fileTypes) =>
    type === fileTypes[name] ? required(entry, `its ${name} part`, parts[name]) : undefined;
  const [reg, unix, inotify, fanotify] = [part("reg"), part("unix"), part("inotify"), part("fanotify")];
  if (reg !== undefined) visitor.named(readNamed(reg));
  if (unix !== undefined) readSocket(unix, visitor);
  if (inotify !== undefined) readInotify(inotify, visitor);
  if (fanotify !== undefined) readFanotify(fanotify, visitor);
}

function readNamed(message: Message): NamedFile {
  let id: number | undefined;
  let name: Uint8Array | undefined;
  let flags: number | undefined;
  let size: bigint | undefined;
  let mode: number | undefined;
  let mountId = -1;
  eachField(message, (field, value) => {
    if (field === 1) id = value.uint32();
    else if (field === 2) flags = value.uint32();
    else if (field === 6) name = pathOf(message, value);
    else if (field === 7) mountId = value.sint32();
    else if (field === 8) size = value.uint64();
    else if (field === 10) mode = value.uint32();
  });
  return {
    id: required(message, "an id", id),
    name: required(message, "a name", name),
    flags: required(message, "flags", flags),
    mountId: mountId < 0 ? undefined : mountId,
    size,
    mode,
  };
}

const slash = 0x2f;

function readSocket(message: Message, visitor: FilesVisitor): void {
  let name: Uint8Array | undefined;
  let directory: Uint8Array | undefined;
  let mountId: number | undefined;
  eachField(message, (field, value) => {
    if (field === 11) name = socketName(message, value);
    else if (field === 14) directory = pathOf(message, value);
    else if (field === 17) mountId = value.sint32();
  });
  const bound = required(message, "a name", name);
  if (bound.length === 0) return; // not bound, or in the abstract namespace
  const isRelative = bound[0] !== slash;
  // Without a directory CRIU binds it in its own.
  if (isRelative && (directory === undefined || directory.length === 0)) return;
  const path = isRelative ? [...directory!, slash, ...bound] : bound;
  visitor.socket({
    name: bytesOf(resolved(path)),
    mountId: mountId === undefined || mountId < 0 ? undefined : mountId,
  });
}

/** A socket's path; empty for what is no path: in the abstract namespace names begin with a NUL. */
function socketName(message: Message, value: FieldValue): Uint8Array {
  const bytes = value.bytes();
  if (bytes.length > 108) throw new ImageError(message.file, message.offset, "a socket's name is too long");
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function readInotify(message: Message, visitor: FilesVisitor): void {
  eachField(message, (field, value) => {
    if (field !== 5) return;
    const watch = value.message();
    let mask: number | undefined;
    let handle: Message | undefined;
    eachField(watch, (field, value) => {
      if (field === 3) mask = value.uint32();
      else if (field === 7) handle = value.message();
    });
    readHandle(required(watch, "a file handle", handle), required(watch, "a mask", mask), visitor);
  });
}

function readFanotify(message: Message, visitor: FilesVisitor): void {
  eachField(message, (field, value) => {
    if (field !== 6) return;
    const mark = value.message();
    let mask: number | undefined;
    let inode: Message | undefined;
    eachField(mark, (field, value) => {
      if (field === 4) mask = value.uint32();
      else if (field === 7) inode = value.message();
    });
    if (inode === undefined) return; // It is a whole mount that is watched.
    let handle: Message | undefined;
    eachField(inode, (field, value) => {
      if (field === 2) handle = value.message();
    });
    readHandle(required(inode, "a file handle", handle), required(mark, "a mask", mask), visitor);
  });
}

/** A file handle without a path is opened by its number, as it can only be on the very file system that it is of. */
function readHandle(handle: Message, mask: number, visitor: FilesVisitor): void {
  let path: Uint8Array | undefined;
  let mountId: number | undefined;
  eachField(handle, (field, value) => {
    if (field === 4) path = pathOf(handle, value);
    else if (field === 5) mountId = value.uint32();
  });
  if (path !== undefined && path.length > 0) visitor.watched({ path, mountId, mask });
}

/** Reads an entry of `remap-fpath.img`; undefined for a kind that is not CRIU's. @throws {ImageError} */
export function readRemap(entry: Message): Remap | undefined {
  let file: number | undefined;
  let target: number | undefined;
  let type = -1;
  eachField(entry, (field, value) => {
    if (field === 1) file = value.uint32();
    else if (field === 2) target = value.uint32();
    else if (field === 3) type = value.uint32();
  });
  const ids = { file: required(entry, "a file", file), target: required(entry, "a target", target) };
  // Before there were types the highest bit told ghosts from links.
  if (type < 0) {
    const isGhost = (ids.target & 0x8000_0000) !== 0;
    return { ...ids, target: ids.target & 0x7fff_ffff, kind: isGhost ? "ghost" : "link" };
  }
  const kind = (["link", "ghost", "procfs"] as const)[type];
  return kind === undefined ? undefined : { ...ids, kind };
}

/**
 * Reads the head of a `ghost-file-N.img`.
 *
 * @param content how many bytes follow it: the content, unless there are holes in that
 * @throws {ImageError}
 */
export function readGhost(entry: Message, content: number): Ghost {
  let mode: number | undefined;
  let size: bigint | undefined;
  eachField(entry, (field, value) => {
    if (field === 3) mode = value.uint32();
    else if (field === 10) size = value.uint64();
  });
  return { mode: required(entry, "a mode", mode), size: size ?? BigInt(content) };
}

/** Reads the entry of an `fs-PID.img`. @throws {ImageError} */
export function readFs(entry: Message, process: Process): void {
  let cwd: number | undefined;
  let root: number | undefined;
  eachField(entry, (field, value) => {
    if (field === 1) cwd = value.uint32();
    else if (field === 2) root = value.uint32();
  });
  process.cwd = required(entry, "a working directory", cwd);
  process.root = required(entry, "a root directory", root);
}

/** Of a mapping's status (CRIU's `image.h`): it maps a file, privately or shared. */
const VMA_FILE_PRIVATE = 1 << 6;
const VMA_FILE_SHARED = 1 << 7;

/** Reads the entry of an `mm-PID.img`. @throws {ImageError} */
export function readMm(entry: Message, process: Process): void {
  let exe: number | undefined;
  eachField(entry, (field, value) => {
    if (field === 12) exe = value.uint32();
    else if (field === 14) readMapping(value.message(), process);
  });
  process.exe = required(entry, "an executable", exe);
}

function readMapping(message: Message, process: Process): void {
  let file: number | undefined;
  let status: number | undefined;
  eachField(message, (field, value) => {
    if (field === 4) file = Number(value.uint64());
    else if (field === 7) status = value.uint32();
  });
  const kind = required(message, "a status", status);
  if ((kind & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) === 0) return;
  process.mapped.add(required(message, "a file", file));
}

/** Reads an entry of a `mountpoints-N.img`. @throws {ImageError} */
export function readMount(entry: Message): ImageMount {
  let id: number | undefined;
  let parent: number | undefined;
  let device: number | undefined;
  let fstype: number | undefined;
  let root: Uint8Array | undefined;
  let mountpoint: Uint8Array | undefined;
  let source: Uint8Array | undefined;
  let external = false;
  let key: Uint8Array | undefined;
  eachField(entry, (field, value) => {
    if (field === 1) fstype = value.uint32();
    else if (field === 2) id = value.uint32();
    else if (field === 3) device = value.uint32();
    else if (field === 4) parent = value.uint32();
    else if (field === 6) root = pathOf(entry, value);
    else if (field === 7) mountpoint = pathOf(entry, value);
    else if (field === 8) source = textOf(entry, value);
    else if (field === 13) external = value.uint32() !== 0;
    else if (field === 18) key = textOf(entry, value);
  });
  return {
    id: required(entry, "an id", id),
    parent: required(entry, "a parent", parent),
    device: required(entry, "a device", device),
    fstype: required(entry, "a type", fstype),
    root: required(entry, "a root", root),
    mountpoint: required(entry, "a mountpoint", mountpoint),
    source: required(entry, "a source", source),
    external: external || key !== undefined,
    key: key === undefined ? undefined : new TextDecoder().decode(key),
  };
}
