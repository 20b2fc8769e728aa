/**
 * How it is written down what images lack: JSON, in the words of the control protocol (file names as text or base64, 64-bit integers as
 * decimal strings, permission bits in octal).
 *
 * @module
 */

import * as z from "zod/mini";
import { count, id32, int64, mode, reportedPath, uint64 } from "../control/codecs.ts";
import { keyOf, PathError } from "../criu/mod.ts";

const fileType = z.enum(["file", "directory", "symlink", "fifo", "socket", "char", "block"]);

const path = reportedPath.check(z.refine((bytes) => {
  try {
    keyOf(bytes);
    return true;
  } catch (error) {
    if (error instanceof PathError) return false;
    throw error;
  }
}, { error: "is no path" }));

/** How a file is. */
export const fileStat = z.object({
  type: fileType,
  mode,
  uid: id32,
  gid: id32,
  size: uint64,
  mtime: z.object({ sec: int64, nsec: z.int().check(z.minimum(0), z.maximum(999_999_999)) }),
  rdev: z.optional(z.object({ major: count, minor: count })),
  target: z.optional(reportedPath),
});

const sideFile = z.object({
  path,
  mountId: count,
  stat: z.optional(fileStat),
  error: z.optional(z.string()),
});

const sideMount = z.object({
  id: count,
  parent: count,
  major: count,
  minor: count,
  root: path,
  mountpoint: path,
  options: z.array(z.string()),
  fstype: z.string(),
  source: reportedPath,
  superOptions: z.string(),
});

/** The version of the format. Another one is not read. */
export const sideVersion = 1;

/** The whole file. Keys that are not known are passed over, so that later versions of the program may add some. */
export const sideFormat = z.object({
  version: z.literal(sideVersion),
  program: z.object({ name: z.string(), version: z.string() }),
  recorded: z.string(),
  run: z.optional(z.string()),
  namespaces: z.array(z.object({
    own: z.boolean(),
    mounts: z.array(sideMount),
    files: z.array(sideFile),
  })),
});
