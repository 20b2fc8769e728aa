import { exitCodes } from "../host/exit_codes.ts";
import type { Terminal } from "./terminal.ts";
import { printable, table } from "./text.ts";

/** The options of `spfs check`. */
export interface CheckOptions {
  /** Whether to print JSON. */
  json?: boolean | undefined;
  /** Whether to take away what dead daemons left. */
  repair?: boolean | undefined;
}

/**
 * `spfs check`: tells what this machine has of what spfs needs, after taking away what dead daemons left where it was asked to.
 *
 * @returns "degraded" unless everything is there; "failed" when something could not be taken away
 */
export async function check(options: CheckOptions, terminal: Terminal): Promise<number> {
  const repairs = options.repair === true ? await (await import("../host/repair.ts")).repair() : [];
  const lines = await (await import("../host/probe.ts")).probe();
  if (options.json === true) {
    terminal.out(JSON.stringify({ lines, repairs }) + "\n");
  } else {
    for (const { kind, path, error } of repairs) {
      terminal.out(
        `${kind} ${printable(path)}: ${error === undefined ? "removed" : `not removed: ${error}`}\n`,
      );
    }
    const rows = lines.map(({ name, state, detail, costs }) => [
      name,
      state,
      costs === undefined ? detail : `${detail}: ${costs}`,
    ]);
    terminal.out(table(["WHAT", "STATE", "DETAIL"], rows));
  }
  if (repairs.some((repair) => repair.error !== undefined)) return exitCodes.failed;
  return lines.every((line) => line.state === "ok") ? exitCodes.ok : exitCodes.degraded;
}
