/**
 * The cgroups of a task as `/proc/PID/cgroup` tells them: see cgroups(7).
 *
 * @module
 */
import { Cursor } from "./cursor.ts";

/** Where a task is in one hierarchy. */
export interface CgroupEntry {
  /** The hierarchy's number; 0 for version 2. */
  readonly hierarchy: number;
  /** The controllers of a hierarchy of version 1, or its name: `name=systemd`. None for version 2. */
  readonly controllers: readonly string[];
  /**
   * The path below the root of the hierarchy, as seen from the reader's cgroup namespace (`/..` leads out of it). Ends with ` (deleted)`
   * when a task that has ended is in a cgroup of version 2 that was removed.
   */
  readonly path: Uint8Array<ArrayBuffer>;
}

const COLON = 0x3a;

/**
 * Reads the text of a cgroup file. A path may contain anything but newlines, which the kernel does not let into names of cgroups.
 *
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseCgroup(bytes: Uint8Array): CgroupEntry[] {
  const entries: CgroupEntry[] = [];
  const cursor = new Cursor(bytes, "cgroup");
  while (!cursor.done) {
    const end = cursor.lineEnd();
    const hierarchy = cursor.number(10);
    cursor.expect(":");
    const colon = bytes.indexOf(COLON, cursor.at);
    if (colon < 0 || colon > end) cursor.fail("no path");
    const controllers = String.fromCharCode(...bytes.subarray(cursor.at, Math.min(colon, cursor.at + 4096)));
    cursor.at = colon + 1;
    if (!cursor.looksAt("/")) cursor.fail("no path");
    const path = bytes.slice(cursor.at, end);
    entries.push({ hierarchy, controllers: controllers === "" ? [] : controllers.split(","), path });
    cursor.at = end + 1;
  }
  return entries;
}
