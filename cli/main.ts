/**
 * The command line from arguments to exit code. Loads the program of commands only where it is needed.
 *
 * @module
 */

import { ConnectionError } from "../control/client.ts";
import { ControlError } from "../control/errors.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { runQuick } from "./quick.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** Runs a command and returns its exit code. Never rejects for what a user or a daemon can cause. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const quick = await runQuick(args, terminal);
    if (quick !== undefined) return quick;
    const { runProgram } = await import("./program.ts");
    return await runProgram(args, terminal);
  } catch (error) {
    return await report(error, terminal);
  }
}

async function report(error: unknown, terminal: Terminal): Promise<number> {
  if (error instanceof UsageError) {
    terminal.err(`spfs: usage: ${error.message}\n`);
    return exitCodes.usage;
  }
  if (error instanceof ConnectionError) {
    terminal.err(`spfs: unreachable: ${error.message}\n`);
    return exitCodes.unreachable;
  }
  if (error instanceof ControlError) {
    terminal.err(`spfs: ${error.kind}: ${error.message}\n`);
    if (error.data.detail !== undefined) {
      terminal.err(indented(error.data.detail));
    }
    const { obstacles, obstacleCount } = error.data;
    if (obstacles !== undefined) {
      const { obstaclesText } = await import("./swap_text.ts");
      terminal.err(indented(obstaclesText(obstacles, obstacleCount)));
    }
    return exitCodes.failed;
  }
  // Of the operating system: stdout on a full disk, a log file that cannot be opened.
  if (error instanceof Error && "code" in error) {
    terminal.err(`spfs: system: ${error.message}\n`);
    return exitCodes.failed;
  }
  throw error;
}

function indented(text: string): string {
  return text.replace(/^/gm, "  ").trimEnd() + "\n";
}
