/**
 * The first mount worker, started before anyone asks for it: it loads on another core while the rest of the program does.
 *
 * @module
 */

import { startMountWorker } from "./workers.ts";

let ahead: Worker | undefined;

/** Starts a mount worker ahead, unless one was. */
export function startAhead(): void {
  ahead ??= startMountWorker();
}

/** A mount worker: the one that was started ahead, or a new one. */
export function takeMountWorker(): Worker {
  const worker = ahead ?? startMountWorker();
  ahead = undefined;
  return worker;
}
