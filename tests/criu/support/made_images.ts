/**
 * Images that are made up: a tree as it is said here, in the form that CRIU writes.
 *
 * @module
 */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ImageSource } from "../../../criu/mod.ts";

/** A field: what it says is told by its type. `signed` is for CRIU's sint32. */
export type Value = number | bigint | string | Uint8Array | Message | readonly Message[] | { signed: number };

/** A message: values by the numbers of their fields. */
export interface Message {
  readonly [field: number]: Value | undefined;
}

/** A message in protobuf's form. */
export function encode(message: Message): Uint8Array {
  const writer = new BinaryWriter();
  const delimited = (field: number, bytes: Uint8Array) =>
    writer.tag(field, WireType.LengthDelimited).bytes(bytes);
  for (const [key, value] of Object.entries(message)) {
    const field = Number(key);
    if (value === undefined) continue;
    if (typeof value === "number" || typeof value === "bigint") {
      writer.tag(field, WireType.Varint).uint64(value);
    } else if (typeof value === "string") delimited(field, new TextEncoder().encode(value));
    else if (value instanceof Uint8Array) delimited(field, value);
    else if (Array.isArray(value)) { for (const part of value) delimited(field, encode(part)); }
    else if ("signed" in value) writer.tag(field, WireType.Varint).sint32(value.signed as number);
    else delimited(field, encode(value as Message));
  }
  return writer.finish();
}

const common = 0x54564319;

/** An image: magic numbers, and entries with their lengths. */
export function image(magic: number, entries: readonly (Message | Uint8Array)[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const word = (value: number) => parts.push(new Uint8Array(new Uint32Array([value]).buffer));
  if (magic !== magics.inventory) word(common);
  word(magic);
  for (const entry of entries) {
    const encoded = entry instanceof Uint8Array ? entry : encode(entry);
    word(encoded.length);
    parts.push(encoded);
  }
  return concat(parts);
}

/** Bytes one after the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The magic numbers, as CRIU's magic.h has them. */
export const magics = {
  inventory: 0x58313116,
  files: 0x56303138,
  remaps: 0x59133954,
  ghost: 0x52583605,
  fs: 0x51403912,
  mm: 0x57492820,
  mounts: 0x55563928,
  pagemap: 0x56084025,
} as const;

/** An entry of files.img for a regular file, directory, FIFO or device. */
export function named(
  id: number,
  name: string | Uint8Array,
  more: { mode?: number; size?: bigint; mountId?: number; flags?: number } = {},
): Message {
  const { mode, size, mountId, flags = 0 } = more;
  const reg = {
    1: id,
    2: flags,
    3: 0,
    5: {},
    6: name,
    7: mountId === undefined ? undefined : { signed: mountId },
    8: size,
    10: mode,
  };
  return { 1: 1, 2: id, 3: reg };
}

/** An entry of files.img for a bound unix socket. */
export function socket(
  id: number,
  name: string,
  more: { directory?: string; mountId?: number } = {},
): Message {
  const { directory, mountId } = more;
  const unix = { 11: name, 14: directory, 17: mountId === undefined ? undefined : { signed: mountId } };
  return { 1: 5, 2: id, 16: unix };
}

/** An entry of files.img for an inotify instance. */
export function inotify(
  id: number,
  watches: readonly { path?: string; mask: number; mountId?: number }[],
): Message {
  const wd = watches.map(({ path, mask, mountId }) => ({
    3: mask,
    7: { 1: 8, 2: 1, 4: path, 5: mountId },
  }));
  return { 1: 8, 2: id, 13: { 1: id, 2: 0, 5: wd } };
}

/** An entry of files.img for a fanotify instance with marks of inodes. */
export function fanotify(id: number, marks: readonly { path: string; mask: number }[]): Message {
  const mark = marks.map(({ path, mask }) => ({ 2: 1, 4: mask, 7: { 1: 1, 2: { 1: 8, 2: 1, 4: path } } }));
  return { 1: 12, 2: id, 14: { 1: id, 6: [...mark, { 2: 2, 4: 1, 8: { 1: 7 } }] } };
}

/** An entry of a mountpoints image. */
export function mount(
  id: number,
  parent: number,
  mountpoint: string,
  more: { device?: number; root?: string; fstype?: number; key?: string; source?: string } = {},
): Message {
  const { device = id, root = "/", fstype = 16, key, source = "none" } = more;
  return { 1: fstype, 2: id, 3: device, 4: parent, 5: 0, 6: root, 7: mountpoint, 8: source, 9: "", 18: key };
}

/** What images of a tree are made of. */
export interface Tree {
  /** Entries of files.img. */
  readonly files?: readonly Message[];
  /** [file, target, kind], as remap-fpath.img has them. */
  readonly remaps?: readonly (readonly [number, number, number | undefined])[];
  /** What CRIU calls the dump. */
  readonly run?: string;
  /** The content of ghosts by their numbers. */
  readonly ghosts?: Readonly<Record<number, string>>;
  /** Processes: ids of files. */
  readonly processes?: readonly {
    pid: number;
    cwd: number;
    root: number;
    exe: number;
    mappings?: readonly { file: number; status: number; flags: number }[];
    /** Entries of its pagemap image, behind the head. */
    pages?: readonly Message[];
  }[];
  /** Mounts by the numbers of their namespaces. */
  readonly namespaces?: Readonly<Record<number, readonly Message[]>>;
}

/** The images of a tree, by their names. */
export function imagesOf(tree: Tree): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const run = tree.run === undefined ? {} : { 13: new TextEncoder().encode(tree.run) };
  files.set("inventory.img", image(magics.inventory, [{ 1: 2, ...run }]));
  if (tree.files !== undefined) files.set("files.img", image(magics.files, tree.files));
  if (tree.remaps !== undefined) {
    const entries = tree.remaps.map(([file, target, kind]) => ({ 1: file, 2: target, 3: kind }));
    files.set("remap-fpath.img", image(magics.remaps, entries));
  }
  for (const [number, content] of Object.entries(tree.ghosts ?? {})) {
    const head = image(magics.ghost, [{ 1: 0, 2: 0, 3: 0o100600 }]);
    const name = `ghost-file-${Number(number).toString(16)}.img`;
    files.set(name, concat([head, new TextEncoder().encode(content)]));
  }
  for (const { pid, cwd, root, exe, mappings = [], pages } of tree.processes ?? []) {
    files.set(`fs-${pid}.img`, image(magics.fs, [{ 1: cwd, 2: root }]));
    const vmas = mappings.map(({ file, status, flags }) => ({ 3: 0, 4: file, 6: flags, 7: status }));
    files.set(`mm-${pid}.img`, image(magics.mm, [{ 12: exe, 14: vmas }]));
    if (pages !== undefined) files.set(`pagemap-${pid}.img`, image(magics.pagemap, [{ 1: 1 }, ...pages]));
  }
  for (const [number, mounts] of Object.entries(tree.namespaces ?? {})) {
    files.set(`mountpoints-${number}.img`, image(magics.mounts, mounts));
  }
  return files;
}

/** Files of the memory as a source of images. */
export function memorySource(files: ReadonlyMap<string, Uint8Array>): ImageSource {
  return {
    names: () => [...files.keys()],
    read(name, most) {
      const bytes = files.get(name);
      return bytes && { bytes: bytes.slice(0, most), size: bytes.length };
    },
  };
}
