/**
 * The jobs of a namespace worker, as plain data. Descriptor numbers carry ownership to the receiver of the message.
 *
 * @module
 */

import type { FileSystemSpec } from "./detached_mount.ts";
import type { Unmounted } from "./forced_unmount.ts";
import type { Swap, SwapMethod } from "./mount_swap.ts";
import type { Repair } from "./dead_mounts.ts";
import type { WorkerError } from "./worker_messages.ts";

/** Where private areas are made. */
export interface AreaPlace {
  /** A directory of mode 0700. */
  readonly runtimeDirectory: string;
  /** The source of an area's mount. */
  readonly ownerTag: string;
}

/** Every job with its result. */
export interface NamespaceJobs {
  /** Mounts a file system detached, in another network namespace if one is given by its path; the result is a descriptor. */
  mount: { job: FileSystemSpec & { readonly network?: Uint8Array | undefined }; result: number };
  /** Makes a private area for a mount helper. */
  openArea: { job: AreaPlace; result: { readonly path: string; readonly target: string } };
  /** Takes a detached copy of what a helper mounted at an area's target, and the area away; the result is a descriptor. */
  adopt: { job: { readonly path: string; readonly target: string }; result: number };
  /** Takes an area away. */
  closeArea: { job: { readonly path: string }; result: undefined };
  /** Puts a detached mount in a stub's place. The descriptor stays the caller's. */
  swap: { job: Swap; result: SwapMethod };
  /** Aborts a FUSE connection whose server does not answer, and takes its mounts away. */
  forceUnmount: {
    job: { readonly major: number; readonly minor: number; readonly source: string };
    result: readonly Unmounted[];
  };
  /** Takes the mounts of dead daemons away. */
  unmountDead: { job: Record<string, never>; result: readonly Repair[] };
  /** Closes a descriptor, which may unmount what it is of, and may block for that. */
  close: { job: { readonly fd: number }; result: undefined };
}

/** The name of a job. */
export type NamespaceJob = keyof NamespaceJobs;

/** A job as it is posted to the worker; the next one follows its reply. */
export type NamespaceRequest = {
  [J in NamespaceJob]: { readonly name: J; readonly job: NamespaceJobs[J]["job"] };
}[NamespaceJob];

/** The worker's modules are loaded; posted first. */
export interface NamespaceLoaded {
  readonly loaded: true;
}

/** The answer to a job. */
export type NamespaceReply =
  | { readonly ok: true; readonly result: NamespaceJobs[NamespaceJob]["result"] }
  | { readonly ok: false; readonly error: WorkerError };
