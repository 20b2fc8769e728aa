/**
 * Making a mount: where, and by its worker.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { Params } from "../control/protocol.ts";
import { pathText } from "../ffi/sys/libc.ts";
import type { DaemonContext } from "./daemon_context.ts";
import { FuseConnection } from "./fuse_connection.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { removeUnfinished } from "./mount_ending.ts";
import type { MountHandle } from "./mount_handle.ts";
import type { MountThread } from "./mount_thread.ts";
import type { CreateRequest, CreateResult, RootAttributes } from "./worker_messages.ts";

/** What a root directory is like of which nothing is said. */
export const defaultRoot: RootAttributes = { mode: 0o755, uid: 0, gid: 0 };

/**
 * Mounts that are made at the same time and filled later. None is made before the mountpoints of all are checked: a path that leads through one of
 * them waits until that one is filled, and a worker that waits for another path checks no more of them.
 */
export class Layer {
  readonly #all = Promise.withResolvers<void>();
  #unchecked: number;
  #failure: unknown;

  /** So many mounts. */
  constructor(mounts: number) {
    this.#unchecked = mounts;
    this.#all.promise.catch(() => {}); // the failure is told by whom it happened to
  }

  /** The mountpoint of one more is checked, or it is there already. Resolves when that is so for all, rejects when one has failed. */
  checked(): Promise<void> {
    if (--this.#unchecked === 0) this.#all.resolve();
    return this.#all.promise;
  }

  /** Why the first of those that cannot be made cannot. */
  get failure(): unknown {
    return this.#failure;
  }

  /** One cannot be made. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#all.reject(error);
  }
}

/** How a mount of a restore is made. */
export interface Together {
  /** By which worker, which fills it later. */
  readonly thread: MountThread;
  /** With which others. */
  readonly layer: Layer;
}

/** Where mounts are and are being made: two must not be made at one path at a time. */
export class Mountpoints {
  readonly #mounts: () => Iterable<ManagedMount>;
  readonly #making = new Map<string, Place>();

  /** `mounts`: those that there are. */
  constructor(mounts: () => Iterable<ManagedMount>) {
    this.#mounts = mounts;
  }

  /**
   * Keeps a mountpoint for one mount. It was free when it was looked at, but another mount may have been made there since; and it must not lie
   * in a mount of the same worker or layer, for which it would wait on the way there and be waited for, nor such a mount in it.
   *
   * @param path without symlinks
   * @param place the mount's worker, and its layer
   * @returns what to {@linkcode Mountpoints.letGo} when it is made
   * @throws {ControlError} EBUSY, EDEADLK
   */
  reserve(path: Uint8Array, place: Place): string {
    const key = pathText(path);
    const there = [...this.#mounts()].filter((mount) => !mount.replaced);
    const others = new Map<string, Place>([
      ...there.map((mount) => [pathText(mount.path), { handle: mount.handle, layer: undefined }] as const),
      ...this.#making,
    ]);
    const refuse = (why: string, errno: string) => {
      throw new ControlError("system", `cannot mount on ${key}: ${why}`, { errno });
    };
    if (others.has(key)) refuse("another mount is made there", "EBUSY");
    for (const [other, beside] of others) {
      if (!isTogether(place, beside)) continue;
      for (const [inner, outer] of [[key, other], [other, key]] as const) {
        if (!liesIn(inner, outer)) continue;
        refuse(`of two stand-ins ${inner} lies in ${outer}: name both without symlinks`, "EDEADLK");
      }
    }
    this.#making.set(key, place);
    return key;
  }

  /** Ends {@linkcode Mountpoints.reserve}. */
  letGo(key: string): void {
    this.#making.delete(key);
  }

  /**
   * A path through a stub is one more request that waits: the mount could not be made before the stub is released.
   *
   * @throws {ControlError} `wrong_mode`
   */
  refuseInsideStub({ id, mountpoint }: Params<"mount.create">): void {
    const path = pathText(mountpoint);
    for (const mount of this.#mounts()) {
      if (mount.mode !== "stub" || mount.replaced || !liesIn(path, pathText(mount.path))) continue;
      const message = `${path} lies in mount ${mount.id}, which is in stub mode`;
      throw new ControlError("wrong_mode", message, { mount: id, path, mode: "stub" });
    }
  }
}

/** By whom a mount is made, and with which others. */
interface Place {
  readonly handle: MountHandle;
  readonly layer: Layer | undefined;
}

function isTogether(one: Place, other: Place): boolean {
  return one.handle.isBeside(other.handle) || (one.layer !== undefined && one.layer === other.layer);
}

function liesIn(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

/**
 * Lets a mount's worker mount; a worker that breaks while it does leaves nothing.
 *
 * @param path the mountpoint without symlinks
 */
export async function mountWith(
  handle: MountHandle,
  params: Params<"mount.create"> & { root: RootAttributes },
  path: Uint8Array,
  entries: CreateRequest["entries"],
  context: DaemonContext,
): Promise<CreateResult> {
  const { id, mode, root, size, attrTimeoutMs, interrupts, options } = params;
  try {
    const made = handle.call("create", {
      mountpoint: path,
      mode,
      source: context.ownerTag,
      root,
      ...(size !== undefined && { size }),
      ...(entries !== undefined && { entries }),
      attrTimeoutMs,
      options,
      interrupts,
    });
    FuseConnection.prepare(); // while the worker is busy
    return await made;
  } catch (error) {
    if (error instanceof ControlError && error.kind === "mount_lost") {
      await removeUnfinished(id, path, context);
    }
    throw error;
  }
}
