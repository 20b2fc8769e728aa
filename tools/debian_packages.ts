/**
 * Programs and libraries of another Debian beside the system's own, without touching the system: apt, with a state of its own, fetches
 * packages with all they need down to the C library, and they are unpacked into a folder of the cache. The mirror is the one that
 * the machine's apt uses already, and what comes from it is verified with the keys that Debian's own keyring package installed.
 *
 * @module
 */

import { join } from "@std/path";
import { cachedFolder, exists } from "./cache_directory.ts";
import { capture, findProgram, output } from "./command.ts";

/** A release of Debian, by the name that its mirrors know it by. */
export type Suite = "bookworm" | "trixie";

const KEYRINGS = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/** Whether packages can be had this way here: Debian's apt, its keyring, and a mirror. @returns why not, or `undefined`. */
export async function whyNoPackages(): Promise<string | undefined> {
  if (findProgram("apt-get") === undefined || findProgram("dpkg") === undefined) {
    return "this machine has no apt";
  }
  if (await keyring() === undefined) return "debian-archive-keyring is not installed";
  if (await mirror() === undefined) return "apt has no source of Debian's, or apt-get update was never run";
  return undefined;
}

async function keyring(): Promise<string | undefined> {
  for (const path of KEYRINGS) if (await exists(path)) return path;
  return undefined;
}

/** The address of the mirror from which this machine's packages come; sources of others are left out. */
async function mirror(): Promise<string | undefined> {
  const targets = await capture("apt-get", [
    "indextargets",
    "--format",
    "$(REPO_URI)",
    "Created-By: Packages",
    "Origin: Debian",
    "Label: Debian",
  ]);
  return targets.stdout.split("\n").find((line) => line.trim() !== "")?.trim();
}

/**
 * The folder with the unpacked packages and all they depend on; takes seconds when it is not there yet.
 *
 * @param name the folder's name in the cache.
 * @param suite whose packages are taken.
 * @param packages their names.
 * @throws {Error} when they cannot be had, with what apt said.
 */
export async function unpackPackages(
  name: string,
  suite: Suite,
  packages: readonly string[],
): Promise<string> {
  return await cachedFolder(name, async (folder) => {
    const reason = await whyNoPackages();
    if (reason !== undefined) throw new Error(`cannot fetch ${packages.join(", ")}: ${reason}`);
    const state = join(folder, ".apt");
    for (const path of ["lists/partial", "archives/partial"]) {
      await Deno.mkdir(join(state, path), { recursive: true });
    }
    await Deno.writeTextFile(
      join(state, "sources.list"),
      `deb [signed-by=${await keyring()}] ${await mirror()} ${suite} main\n`,
    );
    await Deno.writeTextFile(join(state, "status"), "");
    const own = Object.entries({
      "Dir::Etc::SourceList": join(state, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "Dir::State": state,
      "Dir::State::Lists": join(state, "lists"),
      "Dir::State::Status": join(state, "status"),
      "Dir::Cache": state,
      "Dir::Cache::Archives": join(state, "archives"),
      "APT::Sandbox::User": "root",
      "APT::Install-Recommends": "false",
      "Acquire::Languages": "none",
      "Acquire::Retries": "3",
      "Debug::NoLocking": "true",
    }).map(([key, value]) => `-o${key}=${value}`);
    await output("apt-get", [...own, "-q", "update"], { timeoutMs: 180_000 });
    await output("apt-get", [...own, "-q", "-y", "--download-only", "install", ...packages], {
      timeoutMs: 300_000,
    });
    for await (const { name: file } of Deno.readDir(join(state, "archives"))) {
      if (file.endsWith(".deb")) await output("dpkg-deb", ["-x", join(state, "archives", file), folder]);
    }
    await Deno.remove(state, { recursive: true });
  });
}

/** The folders of an unpacked tree that hold shared libraries, for `--library-path`. */
export async function libraryFolders(tree: string): Promise<string[]> {
  const triplet = `${Deno.build.arch}-linux-gnu`;
  const folders = [`usr/lib/${triplet}`, `lib/${triplet}`].map((path) => join(tree, path));
  const there = await Promise.all(folders.map(exists));
  return folders.filter((_, index) => there[index]);
}

/** The dynamic loader of an unpacked tree. @throws {Error} when it has none. */
export async function loaderOf(tree: string): Promise<string> {
  const name = Deno.build.arch === "x86_64" ? "lib64/ld-linux-x86-64.so.2" : "lib/ld-linux-aarch64.so.1";
  for (const path of [join(tree, "usr", name), join(tree, name)]) if (await exists(path)) return path;
  throw new Error(`no dynamic loader ${name} below ${tree}`);
}
