/**
 * Which paths a restore looks at, and which of them therefore have to be known. Pure.
 *
 * @module
 */

import type { Images } from "./images.ts";
import { ownNamespaceNumber } from "./mounts.ts";
import { keyOf, parentsOf, type PathKey } from "./names.ts";

/**
 * The paths that images name, and the directories that lead to them, by the numbers of their mount namespaces. What the images do not tell
 * the mount of is in the only namespace there is, and in CRIU's own where there are several.
 */
export function neededPaths(images: Images): Map<number, Set<PathKey>> {
  const byMount = new Map<number, number>();
  for (const [namespace, mounts] of images.namespaces) {
    for (const { id } of mounts) byMount.set(id, namespace);
  }
  const [only, ...others] = images.namespaces.keys();
  const vague = only === undefined || others.length > 0 ? ownNamespaceNumber : only;
  const needed = new Map<number, Set<PathKey>>();
  const add = (namespace: number, path: PathKey) => {
    let paths = needed.get(namespace);
    if (paths === undefined) needed.set(namespace, paths = new Set());
    paths.add("/" as PathKey);
    for (const parent of parentsOf(path)) paths.add(parent);
    paths.add(path);
  };
  for (const { name, mountId } of images.files.values()) {
    // Named files without a mount are in CRIU's own namespace.
    add(mountId === undefined ? ownNamespaceNumber : byMount.get(mountId) ?? ownNamespaceNumber, keyOf(name));
  }
  for (const { name, mountId } of images.sockets) add(byMount.get(mountId ?? -1) ?? vague, keyOf(name));
  for (const { path, mountId } of images.watched) add(byMount.get(mountId ?? -1) ?? vague, keyOf(path));
  for (const [namespace, mounts] of images.namespaces) {
    for (const { mountpoint } of mounts) add(namespace, keyOf(mountpoint));
  }
  return needed;
}
