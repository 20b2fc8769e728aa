/**
 * A CRIU that works on this kernel. An old one does not: it knows the layout of the vDSO of the kernels of its time.
 *
 * @module
 */

import { join } from "@std/path";
import { cachePath, exists } from "./cache_directory.ts";
import { capture, findProgram } from "./command.ts";
import { libraryFolders, loaderOf, unpackPackages } from "./debian_packages.ts";

/** The Debian whose CRIU is taken. */
const SUITE = "trixie";
const FOLDER = `criu-${SUITE}`;

/** Why there is no usable CRIU: what each candidate said. */
export class CriuMissing extends Error {
  override name = "CriuMissing";
}

/**
 * The CRIU to use: `SPFS_CRIU` when set, else the system's, else the one in the cache; the first that passes `criu check`, or that
 * starts where this process is not root's. Fetches nothing. Takes some 50 ms.
 *
 * @throws {CriuMissing} with what each of them said. SPFS_CRIU is binding: when it fails, no other is tried.
 */
export async function criuPath(): Promise<string> {
  const chosen = Deno.env.get("SPFS_CRIU");
  const candidates = chosen
    ? [chosen]
    : [findProgram("criu"), cachedWrapper()].filter((path) => path !== undefined);
  const reasons: string[] = [];
  for (const path of candidates) {
    if (path === cachedWrapper() && !await exists(path)) continue;
    const reason = await whyUnusable(path);
    if (reason === undefined) return path;
    reasons.push(`${path}: ${reason}`);
  }
  throw new CriuMissing(reasons.length === 0 ? "no CRIU is installed" : reasons.join("; "));
}

/** As {@linkcode criuPath}, and fetches one from Debian when none is usable. @throws {Error} when that fails too. */
export async function provideCriu(): Promise<string> {
  try {
    return await criuPath();
  } catch (error) {
    if (!(error instanceof CriuMissing) || Deno.env.get("SPFS_CRIU")) throw error;
    if (await exists(cachedWrapper())) throw error;
  }
  const tree = await unpackPackages(FOLDER, SUITE, ["criu"]);
  await writeWrapper(tree);
  return await criuPath();
}

function cachedWrapper(): string {
  return join(cachePath(FOLDER), "criu");
}

/** A script that runs the tree's CRIU with the tree's loader and libraries, wherever it is called from. */
async function writeWrapper(tree: string): Promise<void> {
  const wrapper = cachedWrapper();
  const script = [
    "#!/bin/sh",
    `exec '${await loaderOf(tree)}' --library-path '${(await libraryFolders(tree)).join(":")}' '${
      join(tree, "usr/sbin/criu")
    }' "$@"`,
    "",
  ].join("\n");
  const draft = await Deno.makeTempFile({ dir: tree, prefix: "criu." });
  await Deno.writeTextFile(draft, script);
  await Deno.chmod(draft, 0o755);
  await Deno.rename(draft, wrapper);
}

async function whyUnusable(path: string): Promise<string | undefined> {
  // The check asks for privileges; without them only whether it starts can be told.
  const question = Deno.uid() === 0 ? "check" : "--version";
  const result = await capture(path, [question], { timeoutMs: 120_000 });
  if (result.ok) return undefined;
  const lines = (result.stderr + result.stdout).split("\n").map((line) => line.trim()).filter((line) =>
    line !== ""
  );
  return lines.find((line) => line.includes("Error")) ?? lines.at(-1) ?? `ended with ${result.code}`;
}

if (import.meta.main) console.log(await provideCriu());
