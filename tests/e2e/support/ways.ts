/**
 * The ways to restore with spfs that need no daemon of anybody's: what is to be delayed is configured beside the images, and everything else
 * is between CRIU and spfs.
 *
 * @module
 */

import { connect, ConnectionError } from "../../../control/client.ts";
import { pluginFolder } from "../../../tools/plugin.ts";
import type { Child } from "./child.ts";
import type { Images } from "./criu.ts";
import { until } from "./proc.ts";
import type { Sandbox } from "./sandbox.ts";
import { type Binary, writeScript } from "./spfs.ts";

/** How a restore is run. */
export interface WayOptions {
  /** The spfs that is started. */
  readonly binary: Binary;
  /** A private directory, which has a socket of the daemon in it while there is one. */
  readonly runtime: string;
  /** More of CRIU's options. */
  readonly options?: readonly string[];
  /** More variables. */
  readonly env?: Record<string, string>;
}

/** One of the ways. */
export interface Way {
  /** For the names of tests. */
  readonly name: string;
  /** What it needs besides CRIU. */
  readonly needs: { readonly plugin?: boolean };
  /** Restores a tree, detached, and returns its root's process id. @throws {Error} with the end of CRIU's log */
  restore(images: Images, run: WayOptions): Promise<number>;
}

/** CRIU runs spfs as its action script. */
export const byActionScript: Way = {
  name: "action script",
  needs: {},
  restore: (images, { binary, runtime, options, env }) =>
    images.restore(binary, { SPFS_RUNTIME_DIR: runtime, ...env }, options),
};

/** CRIU loads a plugin, which starts spfs. */
export const byPlugin: Way = {
  name: "plugin",
  needs: { plugin: true },
  async restore(images, run) {
    const { options, env } = await pluginRun(images, run);
    return await images.restorePlainly(options, env);
  },
};

/** `spfs restore` runs CRIU. */
export const byWrapper: Way = {
  name: "wrapper",
  needs: {},
  restore: (images, { binary, runtime, options, env }) =>
    images.restoreWrapped(binary, { SPFS_RUNTIME_DIR: runtime, ...env }, options),
};

/** All of them. */
export const ways: readonly Way[] = [byActionScript, byPlugin, byWrapper];

/** Where a daemon of a restore by the plugin listens; one that is there before is the restore's. */
function pluginSocket(runtime: string): string {
  return `${runtime}/restore.sock`;
}

/**
 * Starts the daemon of the next restore by the plugin, and waits until it listens.
 *
 * @param prefix a command to run it by
 */
export async function startAhead(
  sandbox: Sandbox,
  { binary, runtime }: WayOptions,
  prefix: readonly string[] = [],
): Promise<Child> {
  const socket = pluginSocket(runtime);
  const [command, ...first] = [...prefix, ...binary.command];
  const env = { SPFS_RUNTIME_DIR: runtime, SPFS_SOCKET: "" };
  const daemon = sandbox.start(command!, [...first, "serve", "--socket", socket], { env });
  await daemon.closeInput();
  await until("the daemon's socket", async () => {
    try {
      (await connect(socket, { name: "e2e" })).close();
      return true;
    } catch (error) {
      if (error instanceof ConnectionError) return false;
      throw error;
    }
  });
  return daemon;
}

/** What CRIU gets for a restore by the plugin. */
export async function pluginRun(
  images: Images,
  { binary, runtime, options = [], env }: WayOptions,
): Promise<{ options: string[]; env: Record<string, string> }> {
  const program = binary.command.length === 1
    ? binary.command[0]
    : await writeScript(`${images.directory}/spfs`, binary.command);
  const own = { SPFS_PROGRAM: program, SPFS_RUNTIME_DIR: runtime, SPFS_SOCKET: pluginSocket(runtime) };
  return { options: ["--libdir", pluginFolder, ...options], env: { ...own, ...env } };
}
