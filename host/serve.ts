/**
 * `spfs serve`: starts what takes longest first, then the daemon.
 *
 * @module
 */

import { mountThreads, startAhead } from "./ahead.ts";
import type { LogLevel } from "./log.ts";

/** How the daemon is started. */
export interface ServeOptions {
  /** Where to listen, besides stdin; nowhere when undefined. */
  readonly socket?: string | undefined;
  /**
   * What follows the end of stdin, unless its client says otherwise. "linger-if-used": "linger", but if there has been no mount by then, nobody
   * else is waited for on the socket.
   */
  readonly onEof: "linger" | "linger-if-used" | "abort";
  /** What parked requests are answered with when a signal, or the end of input with "abort", ends the daemon. */
  readonly errno: number;
  /** A file to append the log to; stderr when undefined. */
  readonly log?: string | undefined;
  /** What is logged. */
  readonly logLevel: LogLevel;
  /**
   * The program that moves processes, with its arguments: one that runs `runTracer` of mod.ts. Only for an executable that was compiled of
   * another program than spfs; Deno runs the sources, and `spfs` has it in itself.
   */
  readonly tracer?: readonly string[] | undefined;
}

/**
 * Runs the daemon until its work is done, and returns its exit code (exit_codes.ts). The caller is to exit the process with it at once:
 * threads may be left that are inside system calls on file systems that do not answer.
 */
export async function serve(options: ServeOptions): Promise<number> {
  startAhead();
  const { runDaemon } = await import("./daemon.ts");
  return await runDaemon(options, mountThreads);
}
