/**
 * Which mount of the images is meant, and what belongs to it. Pure.
 *
 * @module
 */

import { pathText } from "../ffi/sys/libc.ts";
import type { ImageMount } from "./entries.ts";
import type { Images } from "./images.ts";
import { below, joined, keyOf, type PathKey, resolved } from "./names.ts";
import { namespaceOf, type NamespaceView, ownNamespace, type Side, type SideFile } from "./side.ts";

/** CRIU's own mount namespace, of whose mounts images say nothing. */
export const ownNamespaceNumber = 0;

/**
 * Which mount is meant. By `key`, the one of CRIU's `--external mnt[PATH]:KEY`; by `mountId`, its id at dump; else by `mountpoint`, in the
 * namespace of that number (CRIU's, {@linkcode ownNamespaceNumber} for its own), or where there is only one in which it can be.
 */
export type MountChoice =
  | { readonly key: string }
  | { readonly mountId: number }
  | { readonly mountpoint: Uint8Array; readonly namespace?: number | undefined };

/** The images have no mount, or several, that fit the choice. */
export class MountChoiceError extends Error {
  /** The error's name. */
  override readonly name = "MountChoiceError";
}

/** A mount of the tree that was dumped. */
export interface ChosenMount {
  /** The number of its namespace. */
  readonly namespace: number;
  /** Where it was. */
  readonly mountpoint: PathKey;
  /** What the images say of it; undefined in CRIU's own namespace. */
  readonly entry: ImageMount | undefined;
}

/** Finds the mount that is meant. @throws {MountChoiceError} */
export function chooseMount(images: Images, choice: MountChoice): ChosenMount {
  const all = [...images.namespaces].flatMap(([namespace, mounts]) =>
    mounts.map((entry) => ({ namespace, mountpoint: keyOf(entry.mountpoint), entry }))
  );
  if ("key" in choice) return only(all.filter(({ entry }) => entry.key === choice.key), `key ${choice.key}`);
  if ("mountId" in choice) {
    return only(all.filter(({ entry }) => entry.id === choice.mountId), `id ${choice.mountId}`);
  }
  const mountpoint = resolved(choice.mountpoint);
  const { namespace } = choice;
  if (namespace === ownNamespaceNumber || (namespace === undefined && images.namespaces.size === 0)) {
    return { namespace: ownNamespaceNumber, mountpoint, entry: undefined };
  }
  const found = all.filter((mount) =>
    mount.mountpoint === mountpoint && (namespace === undefined || mount.namespace === namespace) &&
    !isCovered(mount, all)
  );
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  return only(found, `mountpoint ${pathText(choice.mountpoint)}${where}`);
}

/** Whether another mount lies on exactly this one. */
function isCovered(mount: Found, all: readonly Found[]): boolean {
  return all.some((other) =>
    other.namespace === mount.namespace && other.entry.parent === mount.entry.id &&
    other.mountpoint === mount.mountpoint && other.entry.id !== mount.entry.id
  );
}

type Found = ChosenMount & { readonly entry: ImageMount };

function only(found: readonly Found[], what: string): Found {
  const [mount, ...others] = found;
  if (mount === undefined) throw new MountChoiceError(`the images have no mount with ${what}`);
  if (others.length === 0) return mount;
  const places = found.map(({ namespace, entry }) => `id ${entry.id} in namespace ${namespace}`).join(", ");
  throw new MountChoiceError(`the images have several mounts with ${what}: ${places}`);
}

/** What belongs to a mount: which of the images' paths are on its file system, and where there. */
export class MountScope {
  readonly #chosen: ChosenMount;
  readonly #view: NamespaceView | undefined;
  /** Mounts of the same file system, by their ids. */
  readonly #same = new Map<number, Found>();
  /** Mounts that lie on one of these. */
  readonly #on: Found[] = [];
  readonly #namespaces: Images["namespaces"];
  /** What was noted of files by paths that lead through other mounts of the same file system, by their places. */
  readonly #notedElsewhere = new Map<PathKey, SideFile>();

  /** What belongs to a mount of the images. */
  constructor(images: Images, chosen: ChosenMount, side: Side | undefined) {
    this.#chosen = chosen;
    this.#namespaces = images.namespaces;
    const { entry } = chosen;
    this.#view = entry === undefined ? ownNamespace(side) : namespaceOf(side, entry);
    if (entry === undefined) return;
    const all: Found[] = [...images.namespaces].flatMap(([namespace, mounts]) =>
      mounts.map((other) => ({ namespace, mountpoint: keyOf(other.mountpoint), entry: other }))
    );
    const root = keyOf(entry.root);
    for (const mount of all) {
      const isSame = mount.entry.device === entry.device &&
        below(keyOf(mount.entry.root), root) !== undefined;
      if (isSame || mount.entry.id === entry.id) this.#same.set(mount.entry.id, mount);
    }
    for (const mount of all) {
      if (mount.entry.id !== mount.entry.parent && this.#same.has(mount.entry.parent)) this.#on.push(mount);
    }
    for (const mount of this.#same.values()) if (mount.entry.id !== entry.id) this.#takeNoted(mount, side);
  }

  #takeNoted({ entry: { id, mountpoint } }: Found, side: Side | undefined): void {
    for (const file of namespaceOf(side, { id, mountpoint })?.namespace.files ?? []) {
      const place = file.mountId === id ? this.place(keyOf(file.path), id) : undefined;
      if (place !== undefined) this.#notedElsewhere.set(place, file);
    }
  }

  /** What was noted at dump of a path below the mount. */
  noted(path: PathKey): SideFile | undefined {
    return this.#view?.fileAt(joined(this.#chosen.mountpoint, path)) ?? this.#notedElsewhere.get(path);
  }

  /**
   * Where on the mount a path of a process is; undefined when it is elsewhere.
   *
   * @param mountId the mount that the images say it is on; undefined in CRIU's own namespace, and where they do not say
   */
  place(path: PathKey, mountId: number | undefined): PathKey | undefined {
    const { entry, mountpoint } = this.#chosen;
    if (entry === undefined) {
      if (mountId !== undefined && this.#isPrivate(mountId)) return undefined;
      const there = below(path, mountpoint);
      if (there === undefined || this.#view === undefined) return there;
      const mount = this.#view.mountOf(path);
      return mount === undefined || mount === this.#view.mountOf(mountpoint) ? there : undefined;
    }
    const mount = mountId === undefined ? this.#mountByPath(path) : this.#same.get(mountId);
    if (mount === undefined) return undefined;
    const there = below(path, mount.mountpoint);
    if (there === undefined) return undefined;
    return below(joined(keyOf(mount.entry.root), there), keyOf(entry.root));
  }

  /** Places on the mount at which others lie, in the same namespaces: each has to have a node. Those of bind mounts of it, too. */
  mountpoints(): { place: PathKey; mountId: number; mountpoint: PathKey }[] {
    const found: { place: PathKey; mountId: number; mountpoint: PathKey }[] = [];
    const add = (place: PathKey | undefined, mount: Found) => {
      if (place !== undefined && place !== "/") {
        found.push({ place, mountId: mount.entry.id, mountpoint: mount.mountpoint });
      }
    };
    for (const mount of this.#same.values()) add(this.place(mount.mountpoint, mount.entry.id), mount);
    for (const mount of this.#on) add(this.place(mount.mountpoint, mount.entry.parent), mount);
    return found;
  }

  #isPrivate(mountId: number): boolean {
    return [...this.#namespaces.values()].some((mounts) => mounts.some(({ id }) => id === mountId));
  }

  /** The mount of the chosen one's namespace that a path is on, if that is one of the same file system. */
  #mountByPath(path: PathKey): Found | undefined {
    let best: Found | undefined;
    const consider = (mount: Found) => {
      if (mount.namespace !== this.#chosen.namespace || below(path, mount.mountpoint) === undefined) return;
      const isOnTop = best === undefined || mount.mountpoint.length > best.mountpoint.length ||
        (mount.mountpoint === best.mountpoint && mount.entry.parent === best.entry.id);
      if (isOnTop) best = mount;
    };
    for (const entry of this.#namespaces.get(this.#chosen.namespace) ?? []) {
      consider({ namespace: this.#chosen.namespace, mountpoint: keyOf(entry.mountpoint), entry });
    }
    return best !== undefined && this.#same.has(best.entry.id) ? best : undefined;
  }
}
