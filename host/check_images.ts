/**
 * Whether a restore from images can go ahead on this machine as it is now.
 *
 * @module
 */

import {
  type MountReport,
  NamespaceView,
  pathsOf,
  readImages,
  reportOn,
  type RestoreOptions,
  restorePlaces,
} from "../criu/mod.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import { imagesError } from "./image_nodes.ts";
import { lookAt } from "./look.ts";
import { readSideOf } from "./side_file.ts";

/** What there is to say about a restore. */
export interface ImagesReport {
  /** Whether what images lack was noted beside them. */
  readonly noted: boolean;
  /** What there is to say about each mount that it needs something of. */
  readonly mounts: readonly MountReport[];
}

/**
 * Compares what images need with what is there. Does not hang when a file system does not answer; stand-ins of spfs are not asked.
 *
 * @param stallMs how long a file system may take to tell of one file, in milliseconds
 * @throws {ControlError} `bad_images`; {SysError} when the images cannot be read
 */
export async function checkImages(
  directory: string,
  options: RestoreOptions,
  stallMs: number,
): Promise<ImagesReport> {
  const read = () => {
    try {
      const images = readImages(directory);
      const side = readSideOf(images, directory);
      const places = restorePlaces(images, side, readMountinfo(), options);
      return { side, places };
    } catch (error) {
      throw imagesError(error, directory);
    }
  };
  const { side, places } = read();
  const seen = await lookAt({
    pid: undefined,
    paths: pathsOf(places),
    stallMs,
    spare: ({ fstype }) => fstype === "fuse.spfs" ? "stand-in" : undefined,
  });
  const view = new NamespaceView({ own: true, mounts: seen.mounts, files: seen.files });
  return { noted: side !== undefined, mounts: places.map((place) => reportOn(place, view)) };
}
