/**
 * `spfs criu-hook`: CRIU's action script at a restore. CRIU starts it with stdin closed and its log as stdout and stderr, so it says what it
 * did, or why it could not, in one line. A failure up to post-restore ends the restore; at the later stages CRIU ignores it.
 *
 * The daemon is the one of `--socket` or `$SPFS_SOCKET`. Without these, and where something is to be delayed (restore_config.ts), it is
 * started at pre-restore, unless `spfs restore` has started it, and ends when its work is done.
 *
 * @module
 */

import type { ControlClient } from "../control/client.ts";
import { version } from "../control/version.ts";
import type { RestoreConfig } from "../control/wire.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { after } from "../host/timer.ts";
import { type HookStage, isHookStage, namedStage } from "./hook_stages.ts";
import { readRestoreConfig } from "./restore_config.ts";
import { runtimeDirectoryOf, type SocketOptions, socketPath, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { counted, pathText } from "./text.ts";

/** The options of `spfs criu-hook`. */
export interface HookOptions extends SocketOptions {
  /** How long the daemon has to answer, in milliseconds. */
  timeout: number;
}

/** Does what is to be done at the stage that the environment names. @returns the exit code */
export async function criuHook(options: HookOptions, terminal: Terminal): Promise<number> {
  const stage = terminal.env("CRTOOLS_SCRIPT_ACTION");
  if (!isHookStage(stage)) return exitCodes.ok;
  const late = Promise.withResolvers<never>();
  const { timeout } = options;
  const refuse = () => late.reject(new Error(`the daemon did not answer within ${timeout} ms`));
  const timer = after(timeout, refuse);
  try {
    const done = await Promise.race([act(stage, options, terminal), late.promise]);
    if (done !== undefined) terminal.out(`spfs criu-hook: ${stage}: ${done}\n`);
    return exitCodes.ok;
  } catch (error) {
    terminal.err(`spfs criu-hook: ${stage}: failed: ${(error as Error).message}\n`);
    return exitCodes.failed;
  } finally {
    timer.cancel();
  }
}

/** Tells what it did; undefined when spfs has no part in this restore. */
async function act(stage: HookStage, options: HookOptions, terminal: Terminal): Promise<string | undefined> {
  const criu = criuOf(terminal);
  if (stage === "pre-restore") return await prepare(criu, options, terminal);
  const named = isNamed(options, terminal);
  if (stage === namedStage && !named) return undefined;
  const socket = await findSocket(criu, options, terminal);
  if (socket === undefined) return undefined;
  return await withClient({ socket }, terminal, (client) => stages[stage](client, terminal, named));
}

/** What is done at each stage but the first; each tells what it did. */
const stages: Record<
  Exclude<HookStage, "pre-restore">,
  (client: ControlClient, terminal: Terminal, named: boolean) => Promise<string>
> = {
  // Ghost files are still to be unlinked: a mount that parks requests already would hold CRIU up for ever.
  "post-restore": async (client, terminal) => {
    const { mounts } = await client.call("restore.check", initOf(terminal));
    return `${counted(mounts.length, "mount")} in restore mode`;
  },
  // The tasks are stopped: from here on they must not see the placeholder.
  "pre-resume": async (client, terminal, named) => {
    const { mounts } = await client.call("restore.block", {});
    // When CRIU has let the tree go.
    if (!named) await client.call("restore.release", { ...initOf(terminal), ...resumes(terminal) });
    const serving = mounts.filter(({ mode }) => mode === "proxy").length;
    const told = serving === 0 ? "" : `, ${serving} of them served from the real file system already`;
    return `${counted(mounts.length, "mount")} in place${told}`;
  },
  [namedStage]: async (client, terminal) => {
    const { resume } = resumes(terminal);
    const { mounts } = await client.call("restore.release", resume ? { resume } : {});
    const told = resume ? "; the tree goes on when they are in place, or an attempt has failed" : "";
    return `${counted(mounts.length, "mount")} released${told}`;
  },
};

function initOf(terminal: Terminal): { init?: number } {
  const init = Number(terminal.env("CRTOOLS_INIT_PID") ?? 0);
  return init > 0 ? { init } : {};
}

/** With CRIU's --leave-stopped the tasks still are when it has let them go. */
function resumes(terminal: Terminal): { resume?: true } {
  return terminal.env("SPFS_STOPPED") === "1" ? { resume: true } : {};
}

/** CRIU, and its images. */
interface Criu {
  /** Its process. */
  readonly pid: number;
  /** The images' directory. */
  readonly images: string;
}

/** CRIU as its environment tells of it; undefined when there is no such thing, as in the hands of people. */
function criuOf(terminal: Terminal): Criu | undefined {
  const images = terminal.env("CRTOOLS_IMAGE_DIR");
  const pid = Number(/^\/proc\/(\d+)\/fd\/\d+$/.exec(images ?? "")?.[1] ?? 0);
  return images === undefined || pid === 0 ? undefined : { pid, images };
}

/** Where the daemon that is started for a restore listens: where `spfs restore` looks for it, if that runs CRIU. */
function ownSocket({ pid }: Criu, terminal: Terminal): string {
  return terminal.env("SPFS_OWN_SOCKET") || `${runtimeDirectoryOf(terminal)}/criu-${pid}.sock`;
}

async function findSocket(
  criu: Criu | undefined,
  options: HookOptions,
  terminal: Terminal,
): Promise<string | undefined> {
  if (isNamed(options, terminal)) return socketPath(options, terminal);
  const own = criu && ownSocket(criu, terminal);
  for (const path of [own, socketPath(options, terminal)]) {
    if (path !== undefined && await Deno.lstat(path).then(() => true, () => false)) return path;
  }
  return undefined;
}

function isNamed(options: HookOptions, terminal: Terminal): boolean {
  return options.socket !== undefined || Boolean(terminal.env("SPFS_SOCKET"));
}

async function prepare(
  criu: Criu | undefined,
  options: HookOptions,
  terminal: Terminal,
): Promise<string | undefined> {
  if (criu === undefined) return undefined;
  const images = await Deno.realPath(criu.images);
  const config = await readRestoreConfig(images, terminal);
  if (config === undefined) return undefined;
  const order = (client: ControlClient) => ordered(client, images, config, criu.pid);
  if (isNamed(options, terminal)) return await withClient(options, terminal, order);
  const { joinDaemon, startDaemon } = await import("./own_daemon.ts");
  const about = { name: "spfs-criu-hook", version };
  const socket = ownSocket(criu, terminal);
  const started = Number(terminal.env("SPFS_OWN_DAEMON") ?? 0);
  const joined = started > 0 ? await joinDaemon(socket, started, options.timeout, about) : undefined;
  const start = async () => {
    const log = terminal.env("SPFS_LOG") || `${Deno.cwd()}/spfs.log`;
    await Deno.mkdir(runtimeDirectoryOf(terminal), { recursive: true, mode: 0o700 });
    return await startDaemon(socket, log, options.timeout, about).client;
  };
  using client = joined ?? await start();
  try {
    return await order(client);
  } catch (error) {
    // It may have ended by itself, as the last stand-in is gone.
    await client.call("quit", { force: true }).catch(() => {});
    throw error;
  }
}

async function ordered(
  client: ControlClient,
  images: string,
  config: RestoreConfig,
  process: number,
): Promise<string> {
  const { mounts } = await client.call("restore.prepare", { images, config, process });
  return mounts.map(({ mountpoint, nodes = 0 }) => `${pathText(mountpoint)} with ${counted(nodes, "node")}`)
    .join(", ");
}
