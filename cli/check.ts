import { exitCodes } from "../host/exit_codes.ts";
import type { Terminal } from "./terminal.ts";
import { table } from "./text.ts";

/** The options of `spfs check`. */
export interface CheckOptions {
  /** Whether to print JSON. */
  json?: boolean;
  /** Whether to take dead mounts away. */
  repair?: boolean;
}

/** `spfs check`: tells what this machine has of what spfs needs, and takes dead mounts away where it was asked to. */
export async function check(options: CheckOptions, terminal: Terminal): Promise<number> {
  const repaired = options.repair === true ? await (await import("../host/repair.ts")).repair() : [];
  const lines = await (await import("../host/probe.ts")).probe();
  if (options.json === true) {
    terminal.out(JSON.stringify({ lines, repaired }) + "\n");
  } else {
    const rows = lines.map((
      { name, state, detail, costs },
    ) => [name, state, detail + (costs === undefined ? "" : `: ${costs}`)]);
    terminal.out(table(["WHAT", "STATE", "DETAIL"], rows));
    terminal.out(JSON.stringify(repaired));
  }
  return lines.every((line) => line.state === "ok") ? exitCodes.ok : exitCodes.degraded;
}
