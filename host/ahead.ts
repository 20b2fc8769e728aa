/**
 * Mount workers that are there before a mount is. The first one is started before anyone asks for it: it loads on another core while the rest
 * of the program does.
 *
 * @module
 */

import { startMountWorker } from "./workers.ts";

const spare: Worker[] = [];
/** Whether a mount has been made: from then on workers are started as they are needed. */
let taken = false;

/** Starts a mount worker ahead, unless there is one. */
export function startAhead(): void {
  if (spare.length === 0) spare.push(startMountWorker());
}

/** Starts so many more, unless a mount is made before: one at a time, since each takes this thread for as long as its isolate takes to be made. */
export function startMoreAhead(count: number): void {
  if (count <= 0) return;
  setTimeout(() => {
    if (taken) return;
    spare.push(startMountWorker());
    startMoreAhead(count - 1);
  });
}

/** A mount worker: the spare one that was started first, or a new one. */
export function takeMountWorker(): Worker {
  taken = true;
  return spare.shift() ?? startMountWorker();
}

/** Keeps a worker that has no mount for the next one that is made. */
export function keepMountWorker(worker: Worker): void {
  spare.push(worker);
}
