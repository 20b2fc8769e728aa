/**
 * Which mounts the kernel replaces along with another one, because what is mounted on one carrier is mounted on its peers and slaves, too;
 * mount_namespaces(7), "Shared subtrees".
 *
 * @module
 */

import type { MountinfoEntry } from "../ffi/sys/mountinfo.ts";
import { relativeTo } from "../swap/procfs/names.ts";

/** A mount in a namespace. */
export interface Located {
  /** The mount. */
  readonly entry: MountinfoEntry;
  /** All mounts of its namespace. */
  readonly mounts: readonly MountinfoEntry[];
}

const latin1 = new TextDecoder("latin1");

/**
 * Those of some mounts that are replaced when the others are.
 *
 * @param located of two that follow each other the later one is told
 * @param namespaces all mounts of all namespaces: a peer group may be reached by way of one that has none of the mounts
 */
export function followers(
  located: readonly Located[],
  namespaces: readonly (readonly MountinfoEntry[])[],
): Set<Located> {
  const slaves = slaveGroups(namespaces);
  const spots = located.map(spotOf);
  const follows = (one: number, other: number): boolean => {
    const [spot, leader] = [spots[one]!, spots[other]!];
    if (spot.where === undefined || spot.where !== leader.where || leader.shared === undefined) return false;
    const reached = groupsBelow(leader.shared, slaves);
    return [spot.shared, spot.master].some((group) => group !== undefined && reached.has(group));
  };
  return new Set(
    located.filter((_, i) => located.some((_, j) => i !== j && follows(i, j) && !(i < j && follows(j, i)))),
  );
}

/** What a mount is on. */
interface Spot {
  /** The place on the carrier's file system, and what is mounted there; undefined when the carrier cannot be seen. */
  readonly where: string | undefined;
  /** The carrier's peer group. */
  readonly shared: string | undefined;
  /** The peer group that the carrier is a slave of. */
  readonly master: string | undefined;
}

function spotOf({ entry, mounts }: Located): Spot {
  const carrier = mounts.find(({ id }) => id === entry.parent);
  const below = carrier === undefined ? undefined : relativeTo(carrier.mountpoint, entry.mountpoint);
  if (carrier === undefined || below === undefined) {
    return { where: undefined, shared: undefined, master: undefined };
  }
  const root = latin1.decode(carrier.root);
  const path = `${root === "/" ? "" : root}/${latin1.decode(below)}`;
  const where = [carrier.major, carrier.minor, path, latin1.decode(entry.root)].join("\0");
  return { where, shared: groupOf(carrier, "shared:"), master: groupOf(carrier, "master:") };
}

function groupOf({ tags }: MountinfoEntry, prefix: string): string | undefined {
  return tags.find((tag) => tag.startsWith(prefix))?.slice(prefix.length);
}

/** For each peer group, those that are its slaves. */
function slaveGroups(namespaces: readonly (readonly MountinfoEntry[])[]): Map<string, Set<string>> {
  const slaves = new Map<string, Set<string>>();
  for (const entry of namespaces.flat()) {
    const [shared, master] = [groupOf(entry, "shared:"), groupOf(entry, "master:")];
    if (shared === undefined || master === undefined) continue;
    const known = slaves.get(master);
    if (known === undefined) slaves.set(master, new Set([shared]));
    else known.add(shared);
  }
  return slaves;
}

/** A peer group and all below it. */
function groupsBelow(group: string, slaves: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const found = new Set([group]);
  for (const one of found) for (const slave of slaves.get(one) ?? []) found.add(slave);
  return found;
}
