import type { MountCreateParams } from "../control/wire.ts";
import { type SocketOptions, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { pathText } from "./text.ts";
import { UsageError } from "./usage.ts";

/** The options of `spfs mount`. */
export interface MountCommandOptions extends SocketOptions {
  /** Whether to print JSON. */
  json?: boolean;
  /** The mode to begin in. */
  mode?: MountCreateParams["mode"];
  /** The root directory's permission bits, octal. */
  rootMode?: string;
  /** The root directory's owner. */
  rootUid?: number;
  /** The root directory's group. */
  rootGid?: number;
  /** The most bytes of the placeholder, decimal. */
  size?: string;
  /** How long the kernel may keep attributes in proxy mode, in milliseconds. */
  attrTimeout?: number;
  /** Which pending signals end a wait. */
  interrupts?: MountCreateParams["interrupts"];
  /** False: device nodes do not work. */
  dev: boolean;
  /** False: set-id bits do not work. */
  suid: boolean;
  /** False: nothing can be executed. */
  exec: boolean;
  /** Nothing can be written through the mount. */
  readOnly?: boolean;
  /** The directory of images that the stand-in is populated from. */
  images?: string;
  /** The mount that is meant in them, by where it was. */
  imagesMountpoint?: string;
  /** By where it was in the mount namespace of this number. */
  imagesNamespace?: number;
  /** By its id at dump. */
  imagesMountId?: number;
  /** By CRIU's key for it. */
  imagesKey?: string;
}

/** `spfs mount`: makes a stand-in mount. A relative mountpoint is taken from the working directory. */
export async function mount(
  id: string,
  mountpoint: string,
  options: MountCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const params: MountCreateParams = {
    id,
    mountpoint: absolute(mountpoint),
    mode: options.mode,
    root: rootOf(options),
    size: options.size,
    attrTimeoutMs: options.attrTimeout,
    interrupts: options.interrupts,
    options: { dev: options.dev, suid: options.suid, exec: options.exec, readOnly: options.readOnly },
    images: imagesOf(options),
  };
  const result = await withClient(options, terminal, (client) => client.call("mount.create", params));
  if (options.json === true) return terminal.out(JSON.stringify(result) + "\n");
  const there = result.createdNow ? "" : " (was there)";
  const nodes = result.images === undefined ? "" : `, ${result.images.nodes} nodes of the images`;
  terminal.out(
    `${result.id}: ${
      pathText(result.mountpoint)
    } in ${result.mode} mode, device ${result.device}${nodes}${there}\n`,
  );
}

/** The root's attributes; undefined when nothing is said of them, so that images may have their say. */
function rootOf({ rootMode, rootUid, rootGid }: MountCommandOptions): MountCreateParams["root"] {
  if (rootMode === undefined && rootUid === undefined && rootGid === undefined) return undefined;
  return { mode: rootMode, uid: rootUid, gid: rootGid };
}

/** @throws {UsageError} when something is said of images, but not where they are */
function imagesOf(options: MountCommandOptions): MountCreateParams["images"] {
  const { imagesMountpoint: mountpoint, imagesNamespace: namespace, imagesMountId: mountId } = options;
  const choice = { mountpoint, namespace, mountId, key: options.imagesKey };
  if (options.images !== undefined) return { directory: absolute(options.images), ...choice };
  if (Object.values(choice).every((value) => value === undefined)) return undefined;
  throw new UsageError("which mount of the images is meant says nothing without --images");
}

/** A path as the daemon needs it: absolute. What is so already stays as it is, and the working directory is not looked at. */
export function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}
