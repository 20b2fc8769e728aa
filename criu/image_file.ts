/**
 * The form that CRIU's images have in common: magic numbers, then entries, each with its length in front.
 *
 * @module
 */

import { ImageError } from "./image_error.ts";
import type { ImageSource } from "./image_source.ts";
import type { Message } from "./message.ts";

/** What the images that are read here begin with, after what all but the inventory have in common. */
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

/** A kind of image. */
export type ImageKind = keyof typeof magics;

const commonMagic = 0x54564319;

/** The longest image that is read; the descriptions of half a million open files are shorter. */
const maxImage = 64 * 1024 * 1024;

/** The longest first entry of a ghost file that is read: a symlink's text is the longest thing in it. */
const maxGhostHead = 64 * 1024;

/**
 * Visits the entries of an image, one at a time; does nothing when there is no such file. What is visited is not kept: an image of
 * millions of empty entries takes no more memory than it is long.
 *
 * @returns whether there is such a file
 * @throws {ImageError} when it is too long, cut off, or of another kind; {SysError}
 */
export function eachEntry(
  source: ImageSource,
  name: string,
  kind: ImageKind,
  visit: (entry: Message) => void,
): boolean {
  const read = source.read(name, maxImage);
  if (read === undefined) return false;
  const { bytes, size } = read;
  if (size > maxImage) throw new ImageError(name, undefined, `${size} bytes, more than ${maxImage}`);
  for (let at = checkMagic(name, bytes, kind); at < bytes.length;) {
    const entry = entryAt(name, bytes, at, size);
    visit(entry);
    at = entry.offset + entry.bytes.length;
  }
  return true;
}

/**
 * The first entry of an image that has no more, or has data behind it, and how many bytes these are; undefined when there is no such file.
 *
 * @throws {ImageError} when it is cut off, or of another kind; {SysError}
 */
export function readFirstEntry(
  source: ImageSource,
  name: string,
  kind: ImageKind,
): { entry: Message; rest: number } | undefined {
  const read = source.read(name, kind === "ghost" ? maxGhostHead : maxImage);
  if (read === undefined) return undefined;
  const { bytes, size } = read;
  const entry = entryAt(name, bytes, checkMagic(name, bytes, kind), size);
  return { entry, rest: size - entry.offset - entry.bytes.length };
}

/** Where the first entry begins. */
function checkMagic(name: string, bytes: Uint8Array, kind: ImageKind): number {
  const expected = kind === "inventory" ? [magics.inventory] : [commonMagic, magics[kind]];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const [index, magic] of expected.entries()) {
    if (bytes.length < index * 4 + 4) throw new ImageError(name, bytes.length, "cut off in its head");
    const found = view.getUint32(index * 4, true);
    if (found !== magic) {
      const text = `begins with 0x${found.toString(16)}, not with 0x${magic.toString(16)}`;
      throw new ImageError(name, index * 4, `no ${kind} image of CRIU: ${text}`);
    }
  }
  return expected.length * 4;
}

function entryAt(name: string, bytes: Uint8Array, at: number, size: number): Message {
  if (bytes.length - at < 4) throw new ImageError(name, at, "cut off in the length of an entry");
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
  if (length > bytes.length - at - 4) {
    throw new ImageError(name, at, `an entry of ${length} bytes, but the file has ${size - at - 4} more`);
  }
  return { file: name, offset: at + 4, bytes: bytes.subarray(at + 4, at + 4 + length) };
}
