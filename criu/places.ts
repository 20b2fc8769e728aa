/**
 * Where on this machine what a restore needs is to be found. Pure.
 *
 * @module
 */

import type { Images } from "./images.ts";
import { type ChosenMount, ownNamespaceNumber } from "./mounts.ts";
import { joined, keyOf, type PathKey } from "./names.ts";
import { neededPaths } from "./needed.ts";
import { type NodeList, nodesOfMount } from "./nodes.ts";
import { namespaceOf, NamespaceView, ownNamespace, type Side, type SideMount, topMounts } from "./side.ts";

/** What the command line of the restore is going to say. */
export interface RestoreOptions {
  /** CRIU's `--root`: where the root of the tree's mount namespace is. */
  readonly root: PathKey;
  /** CRIU's `--external mnt[KEY]:PATH`: paths by keys. */
  readonly externals: ReadonlyMap<string, PathKey>;
}

/** A mount of the tree, with what a restore needs of it. */
export interface Place {
  /** The number of its namespace. */
  readonly namespace: number;
  /** Where the processes saw it. */
  readonly mountpoint: PathKey;
  /** The key by which CRIU is told where it is. */
  readonly key: string | undefined;
  /** Where it is on this machine; undefined when nobody says. */
  readonly path: PathKey | undefined;
  /** The mount as it was at dump; undefined when that was not noted. */
  readonly atDump: SideMount | undefined;
  /** What is needed of it. */
  readonly list: NodeList;
}

/**
 * The mounts that a restore does not make itself, and needs something of.
 *
 * @param side what was noted at dump
 * @param now the mounts of this machine, which stand for those of the dump where nothing was noted
 * @throws {ImageError} for a path that is two things at once
 */
export function restorePlaces(
  images: Images,
  side: Side | undefined,
  now: readonly SideMount[],
  options: RestoreOptions,
): Place[] {
  return [...ownPlaces(images, side, now), ...privatePlaces(images, side, options)];
}

/** The mounts of CRIU's own namespace on which there is something that is needed. */
function ownPlaces(images: Images, side: Side | undefined, now: readonly SideMount[]): Place[] {
  const noted = ownNamespace(side);
  const present = { own: true, mounts: now, files: [] };
  const view = noted ?? new NamespaceView(present);
  const known = noted === undefined ? { namespaces: [present] } : side;
  const mounts = new Map<PathKey, SideMount>();
  for (const path of neededPaths(images).get(ownNamespaceNumber) ?? []) {
    const mount = view.mountOf(path);
    if (mount !== undefined) mounts.set(keyOf(mount.mountpoint), mount);
  }
  return [...mounts].sort(([one], [other]) => one < other ? -1 : 1).map(([mountpoint, mount]) => {
    const chosen: ChosenMount = { namespace: ownNamespaceNumber, mountpoint, entry: undefined };
    return {
      namespace: ownNamespaceNumber,
      mountpoint,
      key: undefined,
      path: mountpoint,
      atDump: noted && mount,
      list: nodesOfMount(images, chosen, known),
    };
  }).filter(({ list }) => list.nodes.length > 0 || list.root !== undefined);
}

/** The root mounts of private namespaces, and their external mounts; all others are made by CRIU. */
function privatePlaces(images: Images, side: Side | undefined, options: RestoreOptions): Place[] {
  return [...images.namespaces].flatMap(([namespace, mounts]) => {
    const root = topMounts(mounts).get("/" as PathKey);
    return mounts.flatMap((entry): Place[] => {
      if (entry !== root && !entry.external) return [];
      const mountpoint = keyOf(entry.mountpoint);
      const { key } = entry;
      const path = entry === root ? options.root : key === undefined ? undefined : options.externals.get(key);
      const list = nodesOfMount(images, { namespace, mountpoint, entry }, side);
      const view = namespaceOf(side, entry);
      const atDump = view?.namespace.mounts.find(({ id }) => id === entry.id);
      return [{ namespace, mountpoint, key, path, atDump, list }];
    }).sort((one, other) => one.mountpoint < other.mountpoint ? -1 : 1);
  });
}

/** Every path of this machine that has to be looked at, in order. */
export function pathsOf(places: readonly Place[]): PathKey[] {
  const paths = new Set<PathKey>();
  for (const { path, list } of places) {
    if (path === undefined) continue;
    paths.add(path);
    for (const node of list.nodes) paths.add(joined(path, keyOf(node.path)));
  }
  return [...paths].sort();
}
