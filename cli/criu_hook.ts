import type { ControlClient } from "../control/client.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { type HookStage, isHookStage } from "./hook_stages.ts";
import { lockedMappingsBelow } from "./locked_mappings.ts";
import { type SocketOptions, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";

/** The options of `spfs criu-hook`. */
export interface HookOptions extends SocketOptions {
  /** How long the daemon has to answer, in milliseconds. */
  timeout: number;
}

/**
 * `spfs criu-hook`: CRIU's action script. CRIU starts it with stdin closed and its log as stdout and stderr, so it says what it
 * did, or why it could not, in one line. A failure at post-restore ends the restore; at the later stages CRIU ignores it.
 */
export async function criuHook(options: HookOptions, terminal: Terminal): Promise<number> {
  const stage = terminal.env("CRTOOLS_SCRIPT_ACTION");
  if (!isHookStage(stage)) return exitCodes.ok;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`the daemon did not answer within ${options.timeout} ms`)),
    options.timeout,
  );
  try {
    const done = withClient(options, terminal, (client) => stages[stage](client, terminal));
    terminal.out(`spfs criu-hook: ${stage}: ${await Promise.race([done, late.promise])}\n`);
    return exitCodes.ok;
  } catch (error) {
    terminal.err(`spfs criu-hook: ${stage}: failed: ${(error as Error).message}\n`);
    return exitCodes.failed;
  } finally {
    clearTimeout(timer);
  }
}

/** What is done at each stage; each tells what it did. */
const stages: Record<HookStage, (client: ControlClient, terminal: Terminal) => Promise<string>> = {
  // Ghost files are still to be unlinked: a mount that parks requests already would hold CRIU up for ever.
  "post-restore": async (client, terminal) => {
    const { mounts } = await client.call("status", {});
    if (mounts.length === 0) throw new Error("the daemon has no mounts");
    const wrong = mounts.find((mount) => mount.mode !== "restore");
    if (wrong !== undefined) {
      throw new Error(`mount ${wrong.id} is in ${wrong.mode} mode, not in restore mode`);
    }
    const init = Number(terminal.env("CRTOOLS_INIT_PID") ?? 0);
    if (init > 0) refuseLocked(init, mounts);
    return `${counted(mounts.length)} in restore mode`;
  },
  // The tasks are stopped: from here on they must not see the placeholder.
  "pre-resume": async (client) => {
    const { mounts } = await client.call("mount.setMode", { mount: "all", mode: "stub" });
    return `${counted(mounts.length)} in stub mode`;
  },
  "post-resume": async (client) => {
    const { mounts } = await client.call("mount.release", { mount: "all" });
    return `${counted(mounts.length)} released`;
  },
};

/** @throws {Error} naming a mapping that would keep the placeholder's zeros when the real file has come */
function refuseLocked(init: number, mounts: { id: string; device: string }[]): void {
  const found = lockedMappingsBelow(init, new Set(mounts.map((mount) => mount.device)));
  const [first] = found;
  if (first === undefined) return;
  const mount = mounts.find((mount) => mount.device === first.device);
  const more = found.length > 1 ? ` (and ${found.length - 1} more)` : "";
  throw new Error(
    `mount ${mount?.id}: process ${first.pid} has a locked private mapping of ${first.path}${more}, ` +
      "whose pages cannot be taken from the real file later",
  );
}

function counted(mounts: number): string {
  return mounts === 1 ? "1 mount" : `${mounts} mounts`;
}
