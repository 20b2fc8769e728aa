/**
 * Both generations of libfuse3, to test against: `libfuse3.so.3` (3.10 to 3.16) and `libfuse3.so.4` (3.17 and later), each with its
 * headers. One of them is the system's own, the other comes from Debian into the cache where it can.
 *
 * @module
 */

import { join } from "@std/path";
import { cachePath, exists } from "./cache_directory.ts";
import { libraryFolders, type Suite, unpackPackages } from "./debian_packages.ts";

/** The two names under which the API is installed. */
export type FuseSoname = "libfuse3.so.3" | "libfuse3.so.4";

/** The Debian that has each, and what its package is called. */
const sources: Readonly<Record<FuseSoname, { suite: Suite; package: string }>> = {
  "libfuse3.so.3": { suite: "bookworm", package: "libfuse3-3" },
  "libfuse3.so.4": { suite: "trixie", package: "libfuse3-4" },
};

const sonames = ["libfuse3.so.3", "libfuse3.so.4"] as const;

function folderOf(soname: FuseSoname): string {
  return `libfuse-${sources[soname].suite}`;
}

/** A libfuse that can be loaded and compiled against. */
export interface LibfuseFiles {
  /** Path of the library, for dlopen. */
  readonly library: string;
  /** The folder with `fuse3/fuse_lowlevel.h`, for `-I`; `undefined` when the headers are not installed. */
  readonly include?: string;
}

/** Every libfuse3 of this machine by soname: the system's, and the one in the cache. Fetches nothing. */
export async function libfusePaths(): Promise<Partial<Record<FuseSoname, LibfuseFiles>>> {
  const places: [readonly string[], string][] = [[systemFolders(), "/usr/include"]];
  for (const soname of sonames) {
    const tree = cachePath(folderOf(soname));
    places.push([await libraryFolders(tree), join(tree, "include")]);
  }
  const found: Partial<Record<FuseSoname, LibfuseFiles>> = {};
  for (const [folders, include] of places) {
    for (const soname of sonames) {
      const library = (await existing(folders.map((folder) => join(folder, soname))))[0];
      if (library === undefined || found[soname] !== undefined) continue;
      const headers = await soversionOf(include) === soname;
      found[soname] = { library, ...(headers ? { include } : {}) };
    }
  }
  return found;
}

/** As {@linkcode libfusePaths}, and fetches what is not the system's. @throws {Error} if it cannot. */
export async function provideLibfuse(): Promise<Partial<Record<FuseSoname, LibfuseFiles>>> {
  const found = await libfusePaths();
  for (const soname of sonames) {
    if (found[soname]?.include !== undefined) continue;
    const { suite, package: name } = sources[soname];
    await keepHeadersApart(await unpackPackages(folderOf(soname), suite, [name, "libfuse3-dev"]));
  }
  return await libfusePaths();
}

/** Makes `include` hold libfuse's headers alone: the tree has a C library's headers too, which are not the compiler's. */
async function keepHeadersApart(tree: string): Promise<void> {
  const include = join(tree, "include");
  if (await exists(join(include, "fuse3"))) return;
  await Deno.mkdir(include, { recursive: true });
  await Deno.symlink("../usr/include/fuse3", join(include, "fuse3"));
}

function systemFolders(): string[] {
  const triplet = `${Deno.build.arch}-linux-gnu`;
  return [
    `/usr/lib/${triplet}`,
    `/lib/${triplet}`,
    "/usr/lib64",
    "/usr/lib",
    "/lib64",
    "/lib",
    "/usr/local/lib",
  ];
}

/** Which library the headers of a folder belong to: they tell their version, and 3.17 changed the soname. */
async function soversionOf(include: string): Promise<FuseSoname | undefined> {
  const text = await firstText([
    join(include, "fuse3/libfuse_config.h"),
    join(include, "fuse3/fuse_common.h"),
  ]);
  const minor = text?.match(/FUSE_MINOR_VERSION\s+(\d+)/)?.[1];
  if (minor === undefined) return undefined;
  return Number(minor) >= 17 ? "libfuse3.so.4" : "libfuse3.so.3";
}

async function firstText(paths: readonly string[]): Promise<string | undefined> {
  for (const path of await existing(paths)) {
    const text = await Deno.readTextFile(path);
    if (text.includes("define FUSE_MINOR_VERSION")) return text;
  }
  return undefined;
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map(exists));
  return paths.filter((_, index) => there[index]);
}

if (import.meta.main) console.log(JSON.stringify(await provideLibfuse(), null, 2));
