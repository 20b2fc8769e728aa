/**
 * The ways to restore with spfs that need no daemon of anybody's: what is to be delayed is configured beside the images, and everything else
 * is between CRIU and spfs.
 *
 * @module
 */

import { pluginFolder } from "../../../tools/plugin.ts";
import type { Images } from "./criu.ts";
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

/** What CRIU gets for a restore by the plugin. */
export async function pluginRun(
  images: Images,
  { binary, runtime, options = [], env }: WayOptions,
): Promise<{ options: string[]; env: Record<string, string> }> {
  const program = binary.command.length === 1
    ? binary.command[0]
    : await writeScript(`${images.directory}/spfs`, binary.command);
  const own = { SPFS_PROGRAM: program, SPFS_RUNTIME_DIR: runtime, SPFS_SOCKET: `${runtime}/restore.sock` };
  return { options: ["--libdir", pluginFolder, ...options], env: { ...own, ...env } };
}
