/**
 * What is to be delayed: from the configuration file, or from the environment.
 *
 * - `$SPFS_CONFIG` names a file of JSON, or is the JSON itself, else `spfs-restore.json` beside the images is such a file, in the form of
 *   `restore.prepare`'s `config`;
 * - `$SPFS_DELAY` is a list with commas instead: mountpoints, and types of file systems (`/mnt/net,nfs4`).
 *
 * @module
 */

import type { RestoreConfig } from "../control/wire.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** The name of the configuration file beside the images. */
export const configName = "spfs-restore.json";

/**
 * Reads it; undefined when there is none.
 *
 * @throws {UsageError} naming the file, or the word, that cannot be understood
 */
export async function readRestoreConfig(
  images: string,
  terminal: Pick<Terminal, "env">,
): Promise<RestoreConfig | undefined> {
  const named = terminal.env("SPFS_CONFIG");
  const delay = terminal.env("SPFS_DELAY");
  if (named && delay) throw new UsageError("SPFS_CONFIG and SPFS_DELAY do not go together");
  if (named) return named.startsWith("{") ? parseConfig(named, "SPFS_CONFIG") : await readConfigFile(named);
  if (delay) return parseDelay(delay);
  try {
    return await readConfigFile(`${images}/${configName}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Reads a configuration file. @throws {UsageError} when it is not JSON, {Deno.errors.NotFound} */
export async function readConfigFile(path: string): Promise<RestoreConfig> {
  return parseConfig(await Deno.readTextFile(path), path);
}

function parseConfig(text: string, from: string): RestoreConfig {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${from}: ${(error as Error).message}`);
  }
}

/** Mountpoints and types out of a list. @throws {UsageError} */
export function parseDelay(list: string): RestoreConfig {
  const words = list.split(",").map((word) => word.trim()).filter((word) => word !== "");
  if (words.length === 0) throw new UsageError("nothing is named that is to be delayed");
  const wrong = words.find((word) => !word.startsWith("/") && !/^[A-Za-z0-9._-]+$/.test(word));
  if (wrong !== undefined) {
    throw new UsageError(`${wrong} is neither a mountpoint nor a type of file systems`);
  }
  return {
    mounts: words.filter((word) => word.startsWith("/")).map((mountpoint) => ({ mountpoint })),
    types: words.filter((word) => !word.startsWith("/")),
  };
}
