/**
 * The locks that a server holds for its clients, by its own kernel's list.
 *
 * @module
 */

/** Of the files of a directory, sorted: "NAME FIRST-LAST" for each POSIX lock, which all locks of NFS clients are to a server. */
export function serverLocks(directory: string): string[] {
  const names = new Map<number, string>();
  for (const { name } of Deno.readDirSync(directory)) {
    names.set(Deno.lstatSync(`${directory}/${name}`).ino!, name);
  }
  const { dev } = Deno.statSync(directory);
  const device = [dev >> 8, dev & 255].map((part) => part.toString(16).padStart(2, "0")).join(":");
  const locks: string[] = [];
  for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
    // "1: POSIX  ADVISORY  WRITE 812 fe:00:1234 10 19"
    const [, type, , , , file, first, last] = line.split(/\s+/);
    const [, on, ino] = /^(.*):(\d+)$/.exec(file ?? "") ?? [];
    const name = names.get(Number(ino));
    if (type === "POSIX" && on === device && name !== undefined) locks.push(`${name} ${first}-${last}`);
  }
  return locks.sort();
}
