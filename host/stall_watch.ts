/**
 * Noticing that a process does not get on: its first thread waits in one system call.
 *
 * @module
 */

import { every } from "./timer.ts";

/** How often it is looked while the limit lasts. */
const LOOKS = 10;

/**
 * Calls `stalled` once when the first thread of a process has not run for so long; not after the returned function was called.
 *
 * @param limitMs for how long, in milliseconds
 */
export function watchForStall(pid: number, limitMs: number, stalled: () => void): () => void {
  let [known, since] = ["", performance.now()];
  const timer = every(Math.max(limitMs / LOOKS, 1), () => {
    const seen = timesOnProcessor(pid);
    if (seen !== known) [known, since] = [seen, performance.now()];
    else if (performance.now() - since >= limitMs) {
      timer.cancel();
      stalled();
    }
  }, { unref: true });
  return () => timer.cancel();
}

/** How long it has run, and how often it has left the processor: the same text as long as it does not run. Empty when it is gone. */
function timesOnProcessor(pid: number): string {
  try {
    const times = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\)/s, "").split(" ").slice(12, 14);
    const switches = Deno.readTextFileSync(`/proc/${pid}/status`).match(
      /^(non)?voluntary_ctxt_switches:.*$/gm,
    );
    return [...times, ...switches ?? []].join(" ");
  } catch {
    return "";
  }
}
