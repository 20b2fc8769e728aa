/**
 * The entries of `file.create`: one strict object per file type, so that a key which means nothing for the type is refused.
 *
 * @module
 */

import * as z from "zod/mini";
import { bytes, id32, int64, mode, relativePath, size, text } from "./codecs.ts";

/**
 * The schema of one node for `file.create` to make, built anew. Defaults: mode 0644 (directories 0755), owner 0:0, mtime now, size that of `data`
 * or 0.
 */
export function fileEntry() {
  const time = z.strictObject({
    sec: int64,
    nsec: z._default(z.int().check(z.minimum(0), z.maximum(999_999_999)), 0),
  });
  const device = z.strictObject({
    major: z.int().check(z.minimum(0), z.maximum(0xfff)),
    minor: z.int().check(z.minimum(0), z.maximum(0xf_ffff)),
  });
  const xattrName = z.string().check(z.minLength(1), z.maxLength(255));
  const owned = {
    path: relativePath,
    uid: z._default(id32, 0),
    gid: z._default(id32, 0),
    mtime: z.optional(time),
    xattrs: z.optional(z.record(xattrName, bytes)),
  };
  const fileMode = z.prefault(mode, "0644");
  return z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("file"),
      ...owned,
      mode: fileMode,
      size: z.optional(size),
      data: z.optional(bytes),
    }).check(z.refine((entry) => entry.size === undefined || (entry.data?.length ?? 0) <= entry.size, {
      path: ["size"],
      error: "is less than the length of data",
    })),
    z.strictObject({ type: z.literal("directory"), ...owned, mode: z.prefault(mode, "0755") }),
    z.strictObject({ type: z.literal("symlink"), ...owned, target: text }),
    z.strictObject({ type: z.literal("fifo"), ...owned, mode: fileMode }),
    z.strictObject({ type: z.literal("socket"), ...owned, mode: fileMode }),
    z.strictObject({ type: z.literal("char"), ...owned, mode: fileMode, rdev: device }),
    z.strictObject({ type: z.literal("block"), ...owned, mode: fileMode, rdev: device }),
    z.strictObject({ type: z.literal("link"), path: relativePath, target: relativePath }),
  ], {
    error: (issue) =>
      issue.code === "invalid_union"
        ? "expected one of file, directory, symlink, fifo, socket, char, block, link"
        : undefined,
  });
}

/** One node for `file.create`, decoded: paths and data as bytes, size as bigint, modes as numbers, defaults filled in. */
export type FileEntry = z.output<ReturnType<typeof fileEntry>>;
