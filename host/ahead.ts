/**
 * Mount workers that are there before a mount is. The first one is started before anyone asks for it: it loads on another core while the rest
 * of the program does.
 *
 * @module
 */

import { startMountWorker } from "./workers.ts";

const spare: Worker[] = [];

/** Starts a mount worker ahead, unless there is one. */
export function startAhead(): void {
  if (spare.length === 0) spare.push(startMountWorker());
}

/** A mount worker: a spare one, or a new one. */
export function takeMountWorker(): Worker {
  return spare.pop() ?? startMountWorker();
}

/** Keeps a worker that has no mount for the next one that is made. */
export function keepMountWorker(worker: Worker): void {
  spare.push(worker);
}
