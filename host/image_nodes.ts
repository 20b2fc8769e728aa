/**
 * What a stand-in's placeholder has to hold, read from CRIU's images.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { encodePath } from "../control/values.ts";
import {
  chooseMount,
  ImageError,
  type ImageNode,
  type MountChoice,
  MountChoiceError,
  nodesOfMount,
  readImages,
} from "../criu/mod.ts";
import { pathText } from "../ffi/sys/libc.ts";
import type { PlaceholderEntry } from "../fs/placeholder.ts";
import { readSideOf } from "./side_file.ts";
import type { ImageNodes, NodesRequest } from "./images_messages.ts";

/**
 * Reads the images of a directory. Blocks as reading files does.
 *
 * @returns what tells the nodes of one of their mounts; it throws {ControlError} `bad_images` when they lack the mount or what is needed to
 * make a node of it
 * @throws {ControlError} `bad_images` for images that are damaged or none
 * @throws {SysError} when they cannot be read
 */
export function readImageNodes(directory: Uint8Array): (mount: NodesRequest) => ImageNodes {
  const place = directoryName(directory);
  const naming = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw imagesError(error, place);
    }
  };
  // Every file that is mapped or executed is among the named ones; who maps it does not matter.
  const images = naming(() => readImages(place, { memory: false }));
  const side = naming(() => readSideOf(images, place));
  return ({ images: { directory: _, ...choice }, mountpoint }) =>
    naming(() => {
      const { root, nodes } = nodesOfMount(images, chooseMount(images, choiceOf(choice, mountpoint)), side);
      return {
        root: root && { mode: root.mode, ...ownerOf(root) },
        entries: nodes.map((node) => entryOf(node)),
        noted: side !== undefined,
      };
    });
}

/** The images' directory as text. @throws {ControlError} for a name that is no text, by which Deno opens nothing */
export function directoryName(directory: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(directory);
  } catch {
    const what = `the name of the images' directory is not UTF-8: ${pathText(directory)}`;
    throw new ControlError("bad_images", what, { path: encodePath(directory) });
  }
}

function choiceOf(
  { key, mountId, mountpoint, namespace }: Omit<NodesRequest["images"], "directory">,
  own: Uint8Array,
): MountChoice {
  if (key !== undefined) return { key };
  return mountId === undefined ? { mountpoint: mountpoint ?? own, namespace } : { mountId };
}

/** An error of images as one of the protocol; any other as it is. */
export function imagesError(error: unknown, directory: string): unknown {
  if (error instanceof ImageError) {
    const { file, offset } = error;
    const data = { path: `${directory}/${file}`, ...(offset !== undefined && { offset }) };
    return new ControlError("bad_images", `${directory}: ${error.message}`, data, { cause: error });
  }
  if (error instanceof MountChoiceError) {
    const data = { path: directory };
    return new ControlError("bad_images", `${directory}: ${error.message}`, data, { cause: error });
  }
  return error;
}

function ownerOf({ noted }: ImageNode): { uid: number; gid: number } {
  return { uid: noted?.uid ?? 0, gid: noted?.gid ?? 0 };
}

/** @throws {ControlError} for a device of which nobody knows which one it is */
function entryOf(node: ImageNode): PlaceholderEntry {
  const { path, type, mode, noted } = node;
  const owned = { path, ...ownerOf(node), ...(noted !== undefined && { mtime: noted.mtime }) };
  switch (type) {
    case "file":
      return { type, ...owned, mode, size: node.size ?? noted?.size ?? 0n };
    case "symlink":
      // CRIU opens the link itself, and asks for its type and permissions only.
      return { type, ...owned, target: noted?.target ?? new TextEncoder().encode("?") };
    case "char":
    case "block": {
      const rdev = noted?.rdev;
      if (rdev !== undefined) return { type, ...owned, mode, rdev };
      const what = `which device ${pathText(path)} is is not in the images, but noted by \`spfs dump-hook\``;
      throw new ControlError("bad_images", what, { path: encodePath(path) });
    }
    default:
      return { type, ...owned, mode };
  }
}
