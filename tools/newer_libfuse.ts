/**
 * The newer generation of libfuse3 where the system has the older one, in a form that any program of this machine can load.
 *
 * @module
 */

import { join } from "@std/path";
import { cachedFolder, cachePath } from "./cache_directory.ts";
import { libfusePaths } from "./libfuse.ts";
import { withoutC23 } from "./older_libc.ts";

/**
 * A folder to put into LD_LIBRARY_PATH, so that programs find `libfuse3.so.4` in it. Fetches nothing: `deno task setup` has.
 *
 * @returns `undefined` where libfuse3.so.4 is the system's own, or there is none.
 */
export async function newerLibfuseFolder(): Promise<string | undefined> {
  const newer = (await libfusePaths())["libfuse3.so.4"];
  if (newer === undefined || !newer.library.startsWith(cachePath())) return undefined;
  return await cachedFolder("libfuse-loadable", async (folder) => {
    await Deno.writeFile(join(folder, "libfuse3.so.4"), withoutC23(await Deno.readFile(newer.library)));
  });
}
