/**
 * What is said between the main thread and a mount worker that reads CRIU's images.
 *
 * @module
 */

import type { Params } from "../control/protocol.ts";
import type { PlaceholderEntry } from "../fs/placeholder.ts";
import type { RootAttributes, WorkerError } from "./worker_messages.ts";

/** What to read for a mount's placeholder. */
export interface NodesRequest {
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

/** Which mounts of a tree are asked about. */
export interface NotedRequest {
  /** Where the images are. */
  readonly directory: Uint8Array;
  /** These mounts, by their keys or else their mountpoints. */
  readonly mounts: readonly { readonly mountpoint: Uint8Array; readonly key?: string | undefined }[];
  /** All of these types, of the mount namespace that CRIU was in. */
  readonly types: readonly string[];
}

/** What was noted at dump of a mount, as `mount.replace` takes it. */
export interface NotedMount {
  /** What was mounted. */
  readonly source: Uint8Array;
  /** The file system's type. */
  readonly type: string;
  /** Its options, separated by commas. */
  readonly options: string;
}

/** What was noted of them. */
export interface NotedMounts {
  /** Of each mount that was named; undefined where nothing was noted. */
  readonly named: readonly (NotedMount | undefined)[];
  /** The mounts of the types. */
  readonly found: readonly { readonly mountpoint: Uint8Array; readonly noted: NotedMount }[];
}

/** Reads images once, for any number of their mounts. May block for ever; the worker is then of no further use. */
export interface ReadNodesRequest {
  readonly type: "readNodes";
  /** All of one directory. */
  readonly mounts: readonly NodesRequest[];
}

/** What was read. */
export interface ReadNodesResult {
  /** Of each mount that was asked about. */
  readonly replies: readonly NodesReply[];
}

/** What was read for a mount; or why the images, which are well, say nothing that can be made of it. */
export type NodesReply =
  | { readonly ok: true; readonly nodes: ImageNodes }
  | { readonly ok: false; readonly error: WorkerError };

/** Reads what was noted beside images. May block for ever; the worker is then of no further use. */
export interface ReadNotedRequest extends NotedRequest {
  readonly type: "readNoted";
}
