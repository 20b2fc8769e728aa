/**
 * CRIU's images: what a restore needs of file systems, before it happens.
 *
 * ```ts ignore
 * const images = readImages("/var/lib/checkpoints/1");
 * const mount = chooseMount(images, { mountpoint: new TextEncoder().encode("/mnt/net") });
 * for (const { type, path, size } of nodesOfMount(images, mount).nodes) console.log(type, pathText(path), size);
 * ```
 *
 * @module
 */

export type { BoundSocket, Ghost, ImageMount, NamedFile, Process, Remap, Watched } from "./entries.ts";
export { type Finding, type MountPlan, type MountReport, type MountState, reportOn } from "./findings.ts";
export { ImageError } from "./image_error.ts";
export { directorySource, type ImageSource } from "./image_source.ts";
export { type Images, inventoryName, readImages, readImagesFrom, type ReadImagesOptions } from "./images.ts";
export {
  chooseMount,
  type ChosenMount,
  type MountChoice,
  MountChoiceError,
  ownNamespaceNumber,
} from "./mounts.ts";
export { neededPaths } from "./needed.ts";
export { ImagePages, readImagePages } from "./pagemap.ts";
export { bytesOf, joined, keyOf, parentsOf, PathError, type PathKey } from "./names.ts";
export { type ImageNode, type NodeList, type NodeOrigin, nodesOfMount } from "./nodes.ts";
export { pathsOf, type Place, type RestoreOptions, restorePlaces } from "./places.ts";
export {
  type FileStat,
  type FileType,
  namespaceOf,
  NamespaceView,
  ownNamespace,
  type Side,
  type SideFile,
  type SideMount,
  type SideNamespace,
  topMounts,
} from "./side.ts";
