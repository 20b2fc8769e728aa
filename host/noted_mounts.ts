/**
 * What was noted at dump of a tree's mounts.
 *
 * @module
 */

import { chooseMount, keyOf, readImages, type Side, type SideMount, topMounts } from "../criu/mod.ts";
import { directoryName, imagesError } from "./image_nodes.ts";
import type { NotedMount, NotedMounts, NotedRequest } from "./images_messages.ts";
import { readSideOf } from "./side_file.ts";

/**
 * Reads what was noted. Blocks as reading files does.
 *
 * @throws {ControlError} `bad_images`; {SysError} when a file cannot be read
 */
export function readNotedMounts({ directory, mounts, types }: NotedRequest): NotedMounts {
  const place = directoryName(directory);
  try {
    const images = readImages(place);
    const side = readSideOf(images, place);
    if (side === undefined) return { named: mounts.map(() => undefined), found: [] };
    const named = mounts.map(({ mountpoint, key }) => {
      const id = key === undefined ? undefined : chooseMount(images, { key }).entry?.id;
      return noted(id === undefined ? mountedAt(side, mountpoint) : mountOf(side, id));
    });
    return { named, found: mountsOfTypes(side, types) };
  } catch (error) {
    throw imagesError(error, place);
  }
}

/** The mount that is seen at a path. */
function mountedAt(side: Side, mountpoint: Uint8Array): SideMount | undefined {
  const path = keyOf(mountpoint);
  const own = side.namespaces.filter(({ own }) => own);
  const namespaces = own.length > 0 ? own : side.namespaces;
  return namespaces.map(({ mounts }) => topMounts(mounts).get(path)).findLast((mount) => mount !== undefined);
}

function mountOf(side: Side, id: number): SideMount | undefined {
  return side.namespaces.flatMap(({ mounts }) => mounts).find((mount) => mount.id === id);
}

function mountsOfTypes(side: Side, types: readonly string[]): NotedMounts["found"] {
  const own = side.namespaces.filter(({ own }) => own).flatMap(({ mounts }) => mounts);
  return own.filter(({ fstype, root }) => types.includes(fstype) && keyOf(root) === "/")
    .filter((mount) => mountedAt(side, mount.mountpoint) === mount)
    .map((mount) => ({ mountpoint: mount.mountpoint, noted: noted(mount)! }));
}

/** What file systems report and mount(2) does not take: addresses that were resolved, and what the kernel adds by itself. */
const reported =
  /^(?:(?:addr|clientaddr|mountaddr|local_lock=none|fd|rootmode|user_id|group_id)(?:=|$)|seclabel$)/;

function noted(mount: SideMount | undefined): NotedMount | undefined {
  if (mount === undefined) return undefined;
  const { source, fstype: type, options, superOptions } = mount;
  const all = [...options, ...superOptions.split(",")].filter((option) =>
    option !== "" && !reported.test(option)
  );
  return { source, type, options: [...new Set(all)].join(",") };
}
