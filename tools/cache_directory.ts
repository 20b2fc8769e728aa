/**
 * Where what was fetched is kept: outside the tree, so that a fresh checkout does not fetch it again.
 *
 * @module
 */

import { join } from "@std/path";

/** A folder below `${XDG_CACHE_HOME:-~/.cache}/spfs`; it need not exist. @throws {Error} when there is no home. */
export function cachePath(...names: string[]): string {
  const cache = Deno.env.get("XDG_CACHE_HOME");
  if (cache?.startsWith("/")) return join(cache, "spfs", ...names);
  const home = Deno.env.get("HOME");
  if (!home?.startsWith("/")) {
    throw new Error("neither XDG_CACHE_HOME nor HOME names a folder to keep what is fetched");
  }
  return join(home, ".cache", "spfs", ...names);
}

/**
 * Makes a folder of the cache by `fill` unless it is there. It appears whole or not at all, also when several programs make it at
 * once: each fills one of its own and the first to finish gives it the name.
 *
 * @returns the folder's path.
 */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const path = cachePath(name);
  if (await exists(path)) return path;
  await Deno.mkdir(cachePath(), { recursive: true });
  const draft = await Deno.makeTempDir({ dir: cachePath(), prefix: `${name}.` });
  try {
    await Deno.chmod(draft, 0o755);
    await fill(draft);
    await Deno.rename(draft, path).catch(async (error) => {
      if (!await exists(path)) throw error;
    });
  } finally {
    await Deno.remove(draft, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  return path;
}

/** Whether a path is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
