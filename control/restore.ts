/**
 * The schemas of the methods that take a whole restore by CRIU from stage to stage. Each function builds its schema anew.
 *
 * @module
 */

import * as z from "zod/mini";
import { absolutePath, count, milliseconds, mountId, reportedPath } from "./codecs.ts";

/** The most mounts of a restore. */
const maxMounts = 256;

const pid = () => z.int().check(z.minimum(1), z.maximum(0x7fff_ffff));

/** Parameters of another method, as far as they are given here; checked as that method's when everything is put together. */
const partial = () => z.record(z.string(), z.unknown());

const restoreMount = () =>
  z.strictObject({
    id: z.optional(mountId),
    mountpoint: absolutePath,
    at: z.optional(absolutePath),
    key: z.optional(z.string().check(z.minLength(1), z.maxLength(4096))),
    create: z.optional(partial()),
    replace: z.optional(partial()),
  });

/** What is to be delayed, and how: the content of the configuration file. */
export const restoreConfig = () =>
  z.strictObject({
    mounts: z._default(z.array(restoreMount()).check(z.maxLength(maxMounts)), []),
    types: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(64))), []),
    create: z._default(partial(), {}),
    replace: z._default(partial(), {}),
  });

/** Parameters of `restore.prepare`. */
export const prepareParams = () =>
  z.strictObject({
    images: absolutePath,
    config: restoreConfig(),
    process: z.optional(pid()),
    fillWithinMs: z.optional(milliseconds.check(z.maximum(86_400_000))),
    alone: z.optional(z.boolean()),
  });

/** Result of `restore.prepare`. */
export const prepareResult = () =>
  z.object({
    mounts: z.array(z.object({
      id: mountId,
      mountpoint: reportedPath,
      source: reportedPath,
      type: z.string(),
      nodes: z.optional(count),
      noted: z.optional(z.boolean()),
    })),
  });

/** Parameters of `restore.check`. */
export const checkParams = () => z.strictObject({ init: z.optional(pid()) });

/** Parameters of `restore.block`. */
export const blockParams = () =>
  z.strictObject({ serveWithinMs: z._default(milliseconds.check(z.maximum(86_400_000)), 1000) });

/** Parameters of `restore.release`. */
export const releaseParams = () =>
  z.strictObject({ init: z.optional(pid()), resume: z._default(z.boolean(), false) });

/** What the stages after `restore.prepare` answer. */
export const stageResult = () =>
  z.object({ mounts: z.array(z.object({ id: mountId, mode: z.enum(["restore", "stub", "proxy"]) })) });
