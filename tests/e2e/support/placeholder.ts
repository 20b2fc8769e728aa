/**
 * What a restore needs of a file system that is away, as it was recorded while that was there.
 *
 * @module
 */

import type { FileCreateParams } from "../../../control/wire.ts";

type WireEntry = FileCreateParams["entries"][number];

/**
 * The entries for `file.create` that stand for everything below a directory, whose contents are not taken: only types, modes, owners,
 * sizes and times, which is what CRIU compares. The directory must not be a mount of spfs.
 */
export function recordTree(directory: string): WireEntry[] {
  const entries: WireEntry[] = [];
  const record = (below: string) => {
    for (const { name } of Deno.readDirSync(`${directory}/${below}`)) {
      const path = below === "" ? name : `${below}/${name}`;
      if (path === "lost+found") continue;
      const stat = Deno.lstatSync(`${directory}/${path}`);
      const owned = {
        path,
        uid: stat.uid ?? 0,
        gid: stat.gid ?? 0,
        mtime: { sec: String(Math.floor((stat.mtime?.getTime() ?? 0) / 1000)) },
      };
      const mode = `0${((stat.mode ?? 0) & 0o7777).toString(8)}`;
      if (stat.isSymlink) {
        entries.push({ type: "symlink", ...owned, target: Deno.readLinkSync(`${directory}/${path}`) });
      } else if (stat.isDirectory) {
        entries.push({ type: "directory", ...owned, mode });
        record(path);
      } else if (stat.isFifo) {
        entries.push({ type: "fifo", ...owned, mode });
      } else if (stat.isFile) {
        entries.push({ type: "file", ...owned, mode, size: String(stat.size) });
      }
    }
  };
  record("");
  return entries;
}
