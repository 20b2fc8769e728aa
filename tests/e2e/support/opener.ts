/**
 * victims/opener.c, and the directory that it works in.
 *
 * @module
 */

import { victim } from "./victims.ts";

/** The program: one that needs no libraries, so that it runs in any root directory. */
export function opener(): string {
  return victim("opener", undefined, ["-static"]);
}

/** Fills an empty directory with what the program opens: nine files and directories, some of owners and times of their own. */
export function fillForOpener(directory: string): void {
  for (const name of ["work", "deep", "deep/er", "watched"]) Deno.mkdirSync(`${directory}/${name}`);
  const files = { long: 0o4751, direct: 0o640, path: 0o604, log: 0o600, "watched/file": 0o644 };
  for (const name of Object.keys(files)) {
    Deno.writeTextFileSync(`${directory}/${name}`, name === "direct" ? "d".repeat(8192) : "abc");
  }
  Deno.truncateSync(`${directory}/long`, 5 * 2 ** 30);
  Deno.utimeSync(`${directory}/path`, 1, 1234567890);
  Deno.chownSync(`${directory}/deep`, 12, 34);
  for (const [name, mode] of Object.entries({ ...files, work: 0o1711, deep: 0o751, "deep/er": 0o700 })) {
    Deno.chmodSync(`${directory}/${name}`, mode);
  }
}
