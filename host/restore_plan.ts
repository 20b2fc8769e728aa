/**
 * From what is to be delayed to the orders for it. Pure.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { Params } from "../control/protocol.ts";
import { decodeParams } from "../control/validation.ts";
import { encodePath } from "../control/values.ts";
import { pathText } from "../ffi/sys/libc.ts";
import type { NotedMount, NotedMounts } from "./images_messages.ts";

type Config = Params<"restore.prepare">["config"];

/** A mount that is to be delayed. */
export type RestoreMount = Config["mounts"][number];

/** The orders for a mount. */
export interface MountOrders {
  /** What makes the stand-in. */
  readonly create: Params<"mount.create">;
  /** What replaces it, held. */
  readonly replace: Params<"mount.replace">;
}

/** Keys that the orders have from elsewhere. */
const taken = {
  create: ["id", "mountpoint", "mode", "images"],
  replace: ["mount", "hold", "wait"],
} as const;

/** Whether what was noted at dump has a part in the orders. */
export function needsNoted({ mounts, types, replace }: Config): boolean {
  const isWhole = (given: Record<string, unknown>) =>
    given["source"] !== undefined && given["type"] !== undefined;
  return types.length > 0 || mounts.some((mount) => !isWhole({ ...replace, ...mount.replace }));
}

/** Nothing was noted at dump, or nobody has looked. */
export const nothingNoted: NotedMounts = { named: [], found: [] };

/**
 * The orders for the mounts of a restore, in order.
 *
 * @param noted what was noted at dump of the mounts that are named, and of those of the types
 * @throws {ControlError} `invalid_params`, naming the mount and the key
 */
export function planRestore(
  images: Uint8Array,
  config: Config,
  { named, found }: NotedMounts,
): MountOrders[] {
  const ids = new Set<string>();
  const isNamed = (path: Uint8Array) => config.mounts.some(({ mountpoint }) => samePath(mountpoint, path));
  const mounts: [RestoreMount, NotedMount | undefined][] = [
    ...config.mounts.map((mount, at): [RestoreMount, NotedMount | undefined] => [mount, named[at]]),
    ...found.filter(({ mountpoint }) => !isNamed(mountpoint)).map(
      ({ mountpoint, noted }): [RestoreMount, NotedMount] => [{ mountpoint }, noted],
    ),
  ];
  return mounts.map(([mount, noted]) => {
    const id = mount.id ?? freeId(pathText(mount.mountpoint), ids);
    if (ids.has(id)) throw new ControlError("invalid_params", `config: two mounts have the id ${id}`);
    ids.add(id);
    return ordersFor(id, images, config, mount, noted);
  });
}

/**
 * Orders in layers: each of the mounts of one lies on a mount of the layer before, as far as the mountpoints' names tell it, and those of the first
 * on none.
 */
export function layersOf(orders: readonly MountOrders[]): MountOrders[][] {
  const layers: MountOrders[][] = [];
  const isOn = ({ create: one }: MountOrders, { create: other }: MountOrders) =>
    one !== other && isBelow(one.mountpoint, other.mountpoint);
  for (const order of orders) {
    const depth = orders.filter((other) => isOn(order, other)).length;
    (layers[depth] ??= []).push(order);
  }
  return layers.filter((layer) => layer !== undefined);
}

/**
 * Whether what is to replace a stand-in is said by the mountpoint of another one, which serves it then until it is replaced itself: a bind mount of
 * a directory there, an overlay of some.
 */
export function isFromAnother({ create, replace }: MountOrders, orders: readonly MountOrders[]): boolean {
  const said = `${pathText(replace.source)} ${replace.options ?? ""}`;
  return orders.some(({ create: { id, mountpoint } }) =>
    id !== create.id && said.includes(pathText(mountpoint))
  );
}

function ordersFor(
  id: string,
  images: Uint8Array,
  config: Config,
  mount: RestoreMount,
  noted: NotedMount | undefined,
): MountOrders {
  const { mountpoint, at, key } = mount;
  const directory = encodePath(images);
  const which = key === undefined ? { mountpoint: encodePath(mountpoint) } : { key };
  const create = { ...config.create, ...mount.create };
  const replace = {
    ...(noted && { source: encodePath(noted.source), type: noted.type, options: noted.options }),
    ...config.replace,
    ...mount.replace,
  };
  return naming(`config: mount ${id}`, () => {
    const place = at ?? mountpoint;
    if (pathText(place) !== "/" && isBelow(images, place)) {
      throw new ControlError("invalid_params", `would cover the images, which are in ${pathText(images)}`);
    }
    refuseTaken(create, "create");
    refuseTaken(replace, "replace");
    if (replace.source === undefined) {
      const message = "has no source, and none was noted at dump (spfs dump-hook, spfs record)";
      throw new ControlError("invalid_params", message);
    }
    return {
      create: decodeParams("mount.create", {
        ...create,
        id,
        mountpoint: encodePath(at ?? mountpoint),
        images: { directory, ...which },
      }),
      replace: decodeParams("mount.replace", { ...replace, mount: id, hold: true }),
    };
  });
}

function isBelow(path: Uint8Array, directory: Uint8Array): boolean {
  return `${pathText(path)}/`.startsWith(`${pathText(directory).replace(/\/+$/, "")}/`);
}

function samePath(one: Uint8Array, other: Uint8Array): boolean {
  const plain = (path: Uint8Array) => pathText(path).replace(/(?<=.)\/+$/, "");
  return plain(one) === plain(other);
}

function refuseTaken(given: Record<string, unknown>, what: keyof typeof taken): void {
  const key = taken[what].find((key) => given[key] !== undefined);
  if (key !== undefined) {
    throw new ControlError("invalid_params", `${what}.${key}: is not for the configuration`);
  }
}

function naming<T>(what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    throw new ControlError(error.kind, `${what}: ${error.message}`, error.data);
  }
}

/** A name made of a path: "/mnt/net" becomes "mnt-net". */
function freeId(path: string, used: ReadonlySet<string>): string {
  const plain = path.replace(/^\/+|\/+$/g, "").replaceAll(/[^A-Za-z0-9._:-]+/g, "-").slice(0, 56) || "root";
  let id = plain === "all" ? "all-" : plain;
  for (let n = 2; used.has(id); n++) id = `${plain}-${n}`;
  return id;
}
