/**
 * Obstacles and results in words. No more than that: the thread that tells of a swap need not load what makes one.
 *
 * @module
 */
import type { Obstacle, SwapResult } from "./types.ts";

/** An obstacle as a sentence. */
export function describe({ pid, comm, kind, fd, address, path, reason }: Obstacle): string {
  const which = fd !== undefined ? ` ${fd}` : address !== undefined ? ` ${address}` : "";
  const where = path === undefined ? "" : ` (${new TextDecoder().decode(path)})`;
  const what = kind === "process" ? "" : `: ${kind}${which}${where}`;
  // What is nobody's in particular is a mount.
  if (pid === 0) return `mount${where} ${reason}`;
  return `process ${pid} (${comm})${what} ${reason}`;
}

/** A result in one line. */
export function summarize({ processes, left, stoppedMs }: SwapResult): string {
  return `moved ${processes.length} processes, left ${left.length} things, ` +
    `stopped tasks for ${stoppedMs.toFixed(1)} ms`;
}
