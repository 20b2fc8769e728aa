/**
 * What is said between the daemon and the process that zaps (zap_child.ts), as lines of JSON. Types only.
 *
 * @module
 */

import type { WireBytes } from "../control/values.ts";
import type { ControlError } from "../control/errors.ts";

/** The only line that it is sent. */
export interface ZapOrder {
  /** The first process of the restored tree, in our pid namespace. */
  readonly init: number;
  /** The stand-ins whose files are looked at. */
  readonly mounts: readonly ZapMount[];
}

/** A stand-in that was made of images, in restore mode. */
export interface ZapMount {
  /** Its name, for errors. */
  readonly id: string;
  /** The major device number of its files. */
  readonly major: number;
  /** The minor device number of its files. */
  readonly minor: number;
  /** The directory of the images that the tree is restored from. */
  readonly images: WireBytes;
}

/** The only line that it answers: what it has done, or why it could not. */
export type ZapReply =
  | { readonly done: Zapped }
  | { readonly error: Pick<ControlError, "kind" | "message" | "data"> };

/** What was zapped. */
export interface Zapped {
  /** How many files. */
  readonly files: number;
  /** How many pages of theirs processes do not have of their own any more. */
  readonly dropped: number;
  /** How many pages they have as before. */
  readonly kept: number;
}
