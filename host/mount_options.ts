/**
 * The options of a mount as people write them (`ro,noatime,vers=4.2`), sorted into attributes of the mount and parameters of the file
 * system. Pure.
 *
 * @module
 */

import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_RELATIME,
  MOUNT_ATTR_STRICTATIME,
} from "../ffi/sys/constants.ts";

/** A parameter of a file system: a name alone, or with a value. */
export type FsParameter = readonly [key: string, value: string | undefined];

/** Options, sorted. */
export interface SortedOptions {
  /** MOUNT_ATTR_* bits of the mount itself. */
  readonly attributes: number;
  /** What fsconfig(2) is given, in order. */
  readonly parameters: readonly FsParameter[];
  /** Everything as one text, for mount(8) and its helpers. */
  readonly text: string;
}

/** Attribute bits by option: what is set, and what is cleared before. */
const attributes: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [MOUNT_ATTR_RDONLY, 0],
  rw: [0, MOUNT_ATTR_RDONLY],
  nosuid: [MOUNT_ATTR_NOSUID, 0],
  suid: [0, MOUNT_ATTR_NOSUID],
  nodev: [MOUNT_ATTR_NODEV, 0],
  dev: [0, MOUNT_ATTR_NODEV],
  noexec: [MOUNT_ATTR_NOEXEC, 0],
  exec: [0, MOUNT_ATTR_NOEXEC],
  nosymfollow: [MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, MOUNT_ATTR_NOSYMFOLLOW],
  nodiratime: [MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, MOUNT_ATTR_NODIRATIME],
  noatime: [MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME],
  strictatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  relatime: [MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME],
  atime: [MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME],
  norelatime: [0, 0],
  nostrictatime: [0, 0],
};

/** Attributes that the file system is to know of as well: a mount of a read-only medium needs a read-only superblock. */
const alsoParameters: ReadonlySet<string> = new Set(["ro", "rw"]);

/** What mount(8) and fstab(5) use and no file system has heard of. */
const forPeople =
  /^(?:defaults|auto|noauto|nofail|_netdev|user|nouser|users|nousers|owner|noowner|group|nogroup|comment=.*|x-.*|X-.*)$/;

/**
 * Splits a comma-separated list; a value in double quotes may hold commas, as mount(8) has it.
 *
 * @throws {RangeError} for a quote that is not closed
 */
function split(text: string): string[] {
  const options: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at <= text.length; at++) {
    const char = text[at];
    if (char === '"') quoted = !quoted;
    if (char !== undefined && (char !== "," || quoted)) continue;
    if (at > start) options.push(text.slice(start, at));
    start = at + 1;
  }
  if (quoted) throw new RangeError("a double quote is not closed");
  return options;
}

/**
 * Sorts flags and options; what comes later wins, and options come after flags.
 *
 * @param flags mount flags by name, such as "ro" and "noatime"
 * @param options a comma-separated list, such as "vers=4.2,soft"
 * @throws {RangeError} for a quote that is not closed, an option without a name, or a NUL
 */
export function sortOptions(flags: readonly string[], options: string | undefined): SortedOptions {
  if (options?.includes("\0")) throw new RangeError("has a NUL");
  const given = [...flags, ...split(options ?? "")];
  const parameters: FsParameter[] = [];
  let bits = 0;
  for (const option of given) {
    if (forPeople.test(option)) continue;
    const attribute = Object.hasOwn(attributes, option) ? attributes[option] : undefined;
    if (attribute !== undefined) bits = (bits & ~attribute[1]) | attribute[0];
    if (attribute !== undefined && !alsoParameters.has(option)) continue;
    const equals = option.indexOf("=");
    if (equals === 0) throw new RangeError(`"${option}" has no name`);
    if (equals < 0) parameters.push([option, undefined]);
    else parameters.push([option.slice(0, equals), option.slice(equals + 1).replaceAll('"', "")]);
  }
  return { attributes: bits, parameters, text: given.join(",") };
}
