/**
 * Which files this process has open. Deno opens and closes some of its own at any time, so that the lowest free number says nothing.
 *
 * @module
 */

/** How many descriptors are open on what is shown so: a path, "socket:[1]", "anon_inode:inotify". */
export function countOpen(shown: (link: string) => boolean): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (shown(Deno.readLinkSync(`/proc/self/fd/${name}`))) count++;
    } catch {
      // Closed meanwhile.
    }
  }
  return count;
}
