/**
 * `deno task plugin`: makes dist/criu/spfs.so, the plugin for `criu restore -L dist/criu`.
 *
 * @module
 */

import { join } from "@std/path";
import { cachePath, exists } from "./cache_directory.ts";
import { output } from "./command.ts";
import { unpackPackages } from "./debian_packages.ts";

/** The Debian whose headers are taken where the system's are too old or not there; plugins made with them fit any later CRIU. */
const SUITE = "trixie";
const FOLDER = `criu-headers-${SUITE}`;

const root = new URL("../", import.meta.url).pathname;

/** The folder that CRIU takes plugins from (`-L`). */
export const pluginFolder = `${root}dist/criu`;

/** The plugin. */
export const pluginPath = `${pluginFolder}/spfs.so`;

/** Makes the plugin. @throws {Error} with what make said, or when there are no headers of CRIU's */
export async function makePlugin(): Promise<void> {
  const include = await includeFolder();
  const variables = [`OUT=${pluginPath}`, ...(include === undefined ? [] : [`CRIU_INCLUDE=${include}`])];
  await output("make", ["--directory", `${root}criu/plugin`, ...variables], { timeoutMs: 120_000 });
}

/** A folder with criu/criu-plugin.h, which is fetched when need be; undefined when the system's will do. */
async function includeFolder(): Promise<string | undefined> {
  const system = await Deno.readTextFile("/usr/include/criu/criu-plugin.h").catch(() => "");
  if (system.includes("CR_PLUGIN_HOOK__PAUSE_DEVICES")) return undefined;
  const cached = cachePath(FOLDER);
  const tree = await exists(cached) ? cached : await unpackPackages(FOLDER, SUITE, ["libcriu-dev"]);
  return join(tree, "usr/include");
}

if (import.meta.main) {
  await makePlugin();
  console.log(`plugin: ${pluginPath}`);
}
