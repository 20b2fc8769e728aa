/**
 * What is said between one who wants to know how files are and the process that looks at them: lines of JSON.
 *
 * @module
 */

import type { WireBytes, WirePath } from "../control/values.ts";

/** The first line of who looks: the mounts of its namespace, as mountinfo has them. */
export interface LookBegin {
  /** The text of mountinfo. */
  readonly mountinfo: WireBytes;
}

/** The only line that it is sent: what to look at, in this order. */
export type LookOrder = readonly WirePath[];

/** A line for each path, in their order: how the file is, as `fileStat` of side_format.ts has it, or an errno's name. */
export type LookAnswer = { readonly stat: unknown } | { readonly error: string };
