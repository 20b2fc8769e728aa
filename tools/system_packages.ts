/**
 * What tests, demo and benchmarks need of the system: how to tell that it is there, and what the package is called that brings it.
 *
 * @module
 */

import { cachePath, exists } from "./cache_directory.ts";
import { capture, type CommandResult, findProgram } from "./command.ts";
import { libfusePaths } from "./libfuse.ts";

/** The package managers whose names for things are known. */
export const managers = ["apt", "dnf", "pacman", "apk"] as const;

/** A package manager. */
export type Manager = typeof managers[number];

/** Something the system has to have. */
export interface SystemPart {
  /** What it is, for people. */
  readonly name: string;
  /** Whether it is there. Changes nothing. */
  readonly present: () => boolean | Promise<boolean>;
  /** The packages that bring it, space separated. */
  readonly packages: Readonly<Record<Manager, string>>;
}

const program = (name: string) => () => findProgram(name) !== undefined;

/** All of it but CRIU. */
export const systemParts: readonly SystemPart[] = [
  {
    name: "libfuse3",
    present: async () =>
      Object.values(await libfusePaths()).some(({ library }) => !library.startsWith(cachePath())),
    packages: { apt: "fuse3", dnf: "fuse3 fuse3-libs", pacman: "fuse3", apk: "fuse3 fuse3-libs" },
  },
  {
    name: "headers of libfuse3",
    present: () => exists("/usr/include/fuse3/fuse_lowlevel.h"),
    packages: { apt: "libfuse3-dev", dnf: "fuse3-devel", pacman: "fuse3", apk: "fuse3-dev" },
  },
  {
    name: "pkg-config",
    present: program("pkg-config"),
    packages: { apt: "pkg-config", dnf: "pkgconf-pkg-config", pacman: "pkgconf", apk: "pkgconf" },
  },
  {
    name: "a C compiler",
    present: program("gcc"),
    packages: { apt: "gcc", dnf: "gcc", pacman: "gcc", apk: "gcc" },
  },
  {
    name: "headers of the C library",
    present: () => exists("/usr/include/stdio.h"),
    packages: { apt: "libc6-dev", dnf: "glibc-devel", pacman: "glibc", apk: "musl-dev linux-headers" },
  },
  {
    name: "make",
    present: program("make"),
    packages: { apt: "make", dnf: "make", pacman: "make", apk: "make" },
  },
  {
    name: "mkfs.ext4",
    present: program("mkfs.ext4"),
    packages: { apt: "e2fsprogs", dnf: "e2fsprogs", pacman: "e2fsprogs", apk: "e2fsprogs" },
  },
  {
    name: "mkfs.xfs",
    present: program("mkfs.xfs"),
    packages: { apt: "xfsprogs", dnf: "xfsprogs", pacman: "xfsprogs", apk: "xfsprogs" },
  },
  {
    name: "stress-ng",
    present: program("stress-ng"),
    packages: { apt: "stress-ng", dnf: "stress-ng", pacman: "stress-ng", apk: "stress-ng" },
  },
  {
    name: "fio",
    present: program("fio"),
    packages: { apt: "fio", dnf: "fio", pacman: "fio", apk: "fio" },
  },
  {
    name: "dbench",
    present: program("dbench"),
    packages: { apt: "dbench", dnf: "dbench", pacman: "dbench", apk: "dbench" },
  },
  {
    name: "losetup and mount",
    present: () => findProgram("losetup") !== undefined && findProgram("mount") !== undefined,
    packages: { apt: "mount", dnf: "util-linux", pacman: "util-linux", apk: "losetup mount" },
  },
  {
    name: "unshare and nsenter",
    present: () => findProgram("unshare") !== undefined && findProgram("nsenter") !== undefined,
    packages: { apt: "util-linux", dnf: "util-linux", pacman: "util-linux", apk: "util-linux-misc" },
  },
  {
    name: "ps",
    present: program("ps"),
    packages: { apt: "procps", dnf: "procps-ng", pacman: "procps-ng", apk: "procps-ng" },
  },
  {
    name: "ip",
    present: program("ip"),
    packages: { apt: "iproute2", dnf: "iproute", pacman: "iproute2", apk: "iproute2" },
  },
  {
    name: "runc",
    present: program("runc"),
    packages: { apt: "runc", dnf: "runc", pacman: "runc", apk: "runc" },
  },
  {
    name: "podman",
    present: program("podman"),
    packages: { apt: "podman", dnf: "podman", pacman: "podman", apk: "podman" },
  },
  {
    name: "iptables, by which CRIU keeps the network of a container still",
    present: program("iptables"),
    packages: { apt: "iptables", dnf: "iptables-nft", pacman: "iptables", apk: "iptables" },
  },
];

/** CRIU, which is probed and provided by `criu.ts`. */
export const criuPackages: Readonly<Record<Manager, string>> = {
  apt: "criu",
  dnf: "criu",
  pacman: "criu",
  apk: "criu",
};

/** Of these parts those that are not there. */
export async function missingParts(parts: readonly SystemPart[] = systemParts): Promise<SystemPart[]> {
  const there = await Promise.all(parts.map((part) => part.present()));
  return parts.filter((_, index) => !there[index]);
}

/** The commands that install packages, one for each package manager, as lines for people. */
export function installCommands(wanted: readonly Readonly<Record<Manager, string>>[]): string[] {
  const commands: Readonly<Record<Manager, string>> = {
    apt: "apt-get update && apt-get install -y",
    dnf: "dnf install -y",
    pacman: "pacman -Sy --needed --noconfirm",
    apk: "apk add",
  };
  return managers.map((manager) => `${commands[manager]} ${namesOf(wanted, manager).join(" ")}`);
}

/** What packages are called with one manager, each once. */
export function namesOf(wanted: readonly Readonly<Record<Manager, string>>[], manager: Manager): string[] {
  return [...new Set(wanted.flatMap((packages) => packages[manager].split(" ")))];
}

/** Whether this process may install packages: it is root's and there is apt. */
export function mayInstall(): boolean {
  return Deno.uid() === 0 && findProgram("apt-get") !== undefined;
}

/**
 * Brings apt's lists when there are none. A fresh container image has none.
 *
 * @returns whether there are lists now.
 */
export async function ensureAptLists(): Promise<boolean> {
  const listed = async () =>
    (await capture("apt-get", ["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"])).stdout
      .trim() !== "";
  if (await listed()) return true;
  return await updateAptLists() && await listed();
}

/**
 * Installs packages with apt, which asks nothing; updates its lists when they are too old for what the mirror has. What apt says is
 * shown when it fails.
 */
export async function aptInstall(names: readonly string[]): Promise<boolean> {
  if (!await ensureAptLists()) return false;
  const install = () => apt(["--no-install-recommends", "install", ...names]);
  const result = await install();
  if (result.ok) return true;
  if (await updateAptLists() && (await install()).ok) return true;
  console.error(`${result.stdout}${result.stderr}`.trimEnd());
  return false;
}

async function updateAptLists(): Promise<boolean> {
  const result = await apt(["update"]);
  if (!result.ok) console.error(result.stderr.trimEnd());
  return result.ok;
}

/** Waits when another apt is at work. */
function apt(args: readonly string[]): Promise<CommandResult> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  return capture("apt-get", ["-oDPkg::Lock::Timeout=300", "-q", "-y", ...args], { env, timeoutMs: 900_000 });
}
