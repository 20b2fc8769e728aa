/**
 * The entries of `file.create` as clients write them. Types only.
 *
 * @module
 */

import type { WireBytes, WireInt64, WireMode, WirePath } from "./values.ts";

/** A time stamp. */
export interface WireTime {
  /** Seconds since 1970. */
  sec: WireInt64;
  /** Nanoseconds; 0 when absent. */
  nsec?: number | undefined;
}

/** What every entry but a link may say. */
export interface EntryBase {
  /** Where, relative to the mount's root. */
  path: WirePath;
  /** The owner; 0 when absent. */
  uid?: number | undefined;
  /** The group; 0 when absent. */
  gid?: number | undefined;
  /** When it was last modified; now when absent. */
  mtime?: WireTime | undefined;
  /** Extended attributes by name. */
  xattrs?: Record<string, WireBytes> | undefined;
}

/** A regular file. */
export interface FileEntry extends EntryBase {
  /** The type. */
  type: "file";
  /** Permission bits; "0644" when absent. */
  mode?: WireMode | undefined;
  /** The size; what `data` lacks is a hole. That of `data`, or 0, when absent. */
  size?: WireInt64 | undefined;
  /** The content's beginning. */
  data?: WireBytes | undefined;
}

/** A directory. */
export interface DirectoryEntry extends EntryBase {
  /** The type. */
  type: "directory";
  /** Permission bits; "0755" when absent. */
  mode?: WireMode | undefined;
}

/** A symbolic link. */
export interface SymlinkEntry extends EntryBase {
  /** The type. */
  type: "symlink";
  /** The link's text. */
  target: WirePath;
}

/** A FIFO. */
export interface FifoEntry extends EntryBase {
  /** The type. */
  type: "fifo";
  /** Permission bits; "0644" when absent. */
  mode?: WireMode | undefined;
}

/** A bound unix socket. */
export interface SocketEntry extends EntryBase {
  /** The type. */
  type: "socket";
  /** Permission bits; "0644" when absent. */
  mode?: WireMode | undefined;
}

/** A character device. */
export interface CharEntry extends EntryBase {
  /** The type. */
  type: "char";
  /** Permission bits; "0644" when absent. */
  mode?: WireMode | undefined;
  /** The device. */
  rdev: { major: number; minor: number };
}

/** A block device. */
export interface BlockEntry extends EntryBase {
  /** The type. */
  type: "block";
  /** Permission bits; "0644" when absent. */
  mode?: WireMode | undefined;
  /** The device. */
  rdev: { major: number; minor: number };
}

/** Another name for a node that exists. */
export interface LinkEntry {
  /** The type. */
  type: "link";
  /** Where, relative to the mount's root. */
  path: WirePath;
  /** The existing name, relative to the mount's root. */
  target: WirePath;
}

/** A node for `file.create` to make. */
export type WireEntry =
  | FileEntry
  | DirectoryEntry
  | SymlinkEntry
  | FifoEntry
  | SocketEntry
  | CharEntry
  | BlockEntry
  | LinkEntry;
