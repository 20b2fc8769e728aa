/**
 * The other Deno that the code is kept fit for: the one for which a package registry has the base of compiled programs.
 *
 * @module
 */

import { join } from "@std/path";
import { cachedFolder } from "./cache_directory.ts";
import { output } from "./command.ts";
import { sha256 } from "./digest.ts";

/** Its version. */
export const OLDER_VERSION = "2.6.8";

/** The npm package with its binary, and the binary's SHA-256 where it is known; npm's own check holds everywhere. */
const binaries: Readonly<Record<typeof Deno.build.arch, { name: string; sha256?: string }>> = {
  x86_64: {
    name: "@deno/linux-x64-glibc",
    sha256: "8b254e08be2565f608a06bfde3f62f3aabbf8994712f0078c7a7f24bc8c46676",
  },
  aarch64: { name: "@deno/linux-arm64-glibc" },
};

/**
 * What a Deno of this version needs in its environment: it does not read SSL_CERT_FILE, so behind a proxy with a certificate authority
 * of its own it has to be told to use the machine's.
 */
export const olderDenoEnvironment: Readonly<Record<string, string>> = { DENO_TLS_CA_STORE: "system" };

/**
 * The path of that Deno: the running one when it is of this version, else from the cache, else fetched from npm by the running one.
 *
 * @throws {Error} when it cannot be had.
 */
export async function olderDeno(): Promise<string> {
  if (Deno.version.deno === OLDER_VERSION) return Deno.execPath();
  const binary = binaries[Deno.build.arch];
  const folder = await cachedFolder(`deno-${OLDER_VERSION}`, async (folder) => {
    const registry = join(folder, "registry");
    await output(
      Deno.execPath(),
      ["cache", "--quiet", "--no-lock", "--no-config", `npm:${binary.name}@${OLDER_VERSION}`],
      { env: { DENO_DIR: registry, DENO_TLS_CA_STORE: "system,mozilla" }, timeoutMs: 300_000 },
    );
    const path = join(folder, "deno");
    await Deno.rename(await findBinary(registry, binary.name), path);
    await Deno.remove(registry, { recursive: true });
    await Deno.chmod(path, 0o755);
    const found = await sha256(path);
    if (binary.sha256 !== undefined && found !== binary.sha256) {
      throw new Error(`${binary.name}@${OLDER_VERSION} from npm is not the known one: SHA-256 ${found}`);
    }
  });
  return join(folder, "deno");
}

/** The registry's host is a folder's name in Deno's cache, and may be any. */
async function findBinary(registry: string, name: string): Promise<string> {
  for await (const { name: host } of Deno.readDir(join(registry, "npm"))) {
    const path = join(registry, "npm", host, name, OLDER_VERSION, "deno");
    try {
      if ((await Deno.stat(path)).isFile) return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`${name}@${OLDER_VERSION} has no file called deno`);
}

if (import.meta.main) console.log(await olderDeno());
