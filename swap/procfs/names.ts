/**
 * What readlink(2) of `/proc/PID/fd/N`, `exe`, `cwd`, `root` and `map_files/` says. Nothing is escaped there: names are bytes.
 *
 * @module
 */

const encoder = new TextEncoder();

/** What the kernel puts behind the path of a file that has lost its name. */
export const deletedSuffix: Uint8Array<ArrayBuffer> = encoder.encode(" (deleted)");

const SLASH = 0x2f;
const MEMFD = encoder.encode("/memfd:");
const ANON = encoder.encode("anon_inode:");
/** Longer than any name that the kernel makes up. */
const LONGEST_SPECIAL = 256;

/** A path as a link shows it. */
export interface ShownPath {
  /** The path without the suffix. */
  readonly path: Uint8Array<ArrayBuffer>;
  /** Whether there was one. */
  readonly deleted: boolean;
}

/**
 * Takes ` (deleted)` off a path, once. A file whose name really ends like that looks the same while it exists, and the link does not tell
 * which it is: the caller has to ask for the number of links, or look whether the whole path leads to the same inode.
 */
export function splitDeleted(path: Uint8Array): ShownPath {
  const length = path.length - deletedSuffix.length;
  const deleted = length >= 0 && startsWith(path, deletedSuffix, length);
  return { path: path.slice(0, deleted ? length : path.length), deleted };
}

/**
 * The path of something on a mount, relative to where that is mounted.
 *
 * @param mountpoint absolute, without a slash at its end unless it is `/`.
 * @param path absolute.
 * @returns without a slash at its beginning, empty for the mountpoint itself, undefined if the path does not lead below it.
 */
export function relativeTo(mountpoint: Uint8Array, path: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const prefix = mountpoint.length === 1 && mountpoint[0] === SLASH ? 0 : mountpoint.length;
  if (prefix > 0 && !startsWith(path, mountpoint, 0)) return undefined;
  if (prefix > 0 && path.length === prefix) return new Uint8Array();
  return path[prefix] === SLASH ? path.slice(prefix + 1) : undefined;
}

/** What a link leads to. */
export type Link =
  /** A path, possibly with the suffix. */
  | { readonly kind: "path" }
  /** A pipe without a name. */
  | { readonly kind: "pipe"; readonly ino: bigint }
  /** A socket, of any family. */
  | { readonly kind: "socket"; readonly ino: bigint }
  /** A namespace: `net`, `mnt`, `pid` and so on. */
  | { readonly kind: "namespace"; readonly name: string; readonly ino: bigint }
  /** A file that is only a descriptor: `[eventpoll]`, `inotify`, `[io_uring]`, with the brackets that most of them have. */
  | { readonly kind: "anon"; readonly name: string }
  /** memfd_create(2), with the name that was given. */
  | { readonly kind: "memfd"; readonly name: Uint8Array<ArrayBuffer> }
  /** Nothing of these. */
  | { readonly kind: "other" };

/** The kinds of links. */
export type LinkKind = Link["kind"];

/**
 * Tells by its target what a link leads to. Only a path begins with a slash, with one exception: a memfd looks like a file `memfd:NAME`
 * that was removed from `/`, and only its mount (fdinfo's `mnt_id`, which is no mount of any namespace) tells them apart.
 */
export function classifyLink(target: Uint8Array): Link {
  if (target[0] === SLASH) {
    if (!startsWith(target, MEMFD, 0)) return { kind: "path" };
    const { path, deleted } = splitDeleted(target);
    return deleted ? { kind: "memfd", name: path.slice(MEMFD.length) } : { kind: "path" };
  }
  if (target.length > LONGEST_SPECIAL) return { kind: "other" };
  const text = String.fromCharCode(...target);
  if (startsWith(target, ANON, 0)) return { kind: "anon", name: text.slice(ANON.length) };
  const [, name, digits] = /^([a-z_]+):\[(\d{1,20})\]$/.exec(text) ?? [];
  if (name === undefined || digits === undefined) return { kind: "other" };
  const ino = BigInt(digits);
  return name === "pipe" || name === "socket" ? { kind: name, ino } : { kind: "namespace", name, ino };
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array, at: number): boolean {
  if (bytes.length < at + prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}
