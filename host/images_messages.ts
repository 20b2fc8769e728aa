/**
 * What is said between the main thread and a worker that reads CRIU's images.
 *
 * @module
 */

import type { Params } from "../control/protocol.ts";
import type { PlaceholderEntry } from "../fs/placeholder.ts";
import type { RootAttributes, WorkerError } from "./worker_messages.ts";

/** What to read. */
export interface ImagesRequest {
  /** Where the images are, and which of their mounts is meant. */
  readonly images: NonNullable<Params<"mount.create">["images"]>;
  /** The stand-in's mountpoint, which is meant where nothing else is said. */
  readonly mountpoint: Uint8Array;
}

/** What images say of a mount, as the placeholder takes it. */
export interface ImageNodes {
  /** The root directory; undefined when they say nothing of it. */
  readonly root: RootAttributes | undefined;
  /** The nodes, each after the directory that it is in. */
  readonly entries: readonly PlaceholderEntry[];
  /** Whether what images lack had been noted beside them. */
  readonly noted: boolean;
}

/** The answer; there is one for each worker. */
export type ImagesReply =
  | { readonly ok: true; readonly result: ImageNodes }
  | { readonly ok: false; readonly error: WorkerError };
