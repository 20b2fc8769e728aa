/**
 * What a mount's worker and a thread that makes calls for it tell each other. Orders are messages; that a call is over is told by shared memory and
 * an eventfd, which reach the session where it waits for requests.
 *
 * @module
 */
import type { Acting } from "../fs/caller.ts";
import type { CallMessage } from "../fs/calls.ts";

/** What such a thread is told first: how it tells that a call is over. */
export interface CallReports {
  /** Shared: {@linkcode OVER} is set when the call is over, {@linkcode RESULT} and {@linkcode TELLING} before. */
  readonly state: Int32Array;
  /** An eventfd that is written to then. */
  readonly waker: number;
}

/** Where in {@linkcode CallReports.state} it is told that the call is over. */
export const OVER = 0;
/** Where in {@linkcode CallReports.state} the result is: 0 or more, or -errno. */
export const RESULT = 1;
/** Where in {@linkcode CallReports.state} it is told that the eventfd is still to be written to: until then its number must stay its own. */
export const TELLING = 2;
/** How many numbers {@linkcode CallReports.state} has. */
export const STATE_LENGTH = 3;

/** What such a thread is told for each call. */
export interface CallOrder {
  /** What to call. */
  readonly call: CallMessage;
  /** As whom. */
  readonly acting: Acting;
}
