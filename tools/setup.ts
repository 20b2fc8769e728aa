/**
 * `deno task setup`: sees to it that this machine has what tests, demo and benchmarks need. Installs what is missing where it may
 * (root, apt), otherwise says with which command to install it, and ends with 1. Run again it finds everything there and is quick.
 *
 * @module
 */

import { CriuMissing, criuPath, provideCriu } from "./criu.ts";
import { findProgram, show } from "./command.ts";
import { libfusePaths, provideLibfuse } from "./libfuse.ts";
import { exists } from "./cache_directory.ts";
import {
  aptInstall,
  criuPackages,
  ensureAptLists,
  installCommands,
  type Manager,
  mayInstall,
  missingParts,
  namesOf,
} from "./system_packages.ts";

/** Sees to everything. @returns whether everything is there now; what is not has been said. */
export async function setup(): Promise<boolean> {
  const ready = [await provideSystemParts(), await provideCriuOrExplain(), await provideDevice()];
  await provideOtherLibfuse();
  return ready.every((part) => part);
}

async function provideSystemParts(): Promise<boolean> {
  let missing = await missingParts();
  if (missing.length === 0) return true;
  const names = missing.map((part) => part.name).join(", ");
  if (mayInstall()) {
    console.log(`setup: installing ${names}`);
    await aptInstall(namesOf(missing.map((part) => part.packages), "apt"));
    missing = await missingParts();
    if (missing.length === 0) return true;
  }
  explain(missing.map((part) => part.name).join(", "), missing.map((part) => part.packages));
  return false;
}

async function provideCriuOrExplain(): Promise<boolean> {
  try {
    const path = await fetchCriu();
    console.log(`setup: CRIU is ${path}`);
    return true;
  } catch (error) {
    const reason = (error as Error).message;
    if (findProgram("criu") === undefined && !Deno.env.get("SPFS_CRIU")) {
      explain(`a CRIU that passes "criu check" (${reason})`, [criuPackages]);
    } else console.error(`setup: no CRIU passes "criu check" here: ${reason}. SPFS_CRIU may name another.`);
    return false;
  }
}

/** The usable one, else Debian's in the cache, else what the system's own package brings. */
async function fetchCriu(): Promise<string> {
  const usable = await criuPath().catch(() => undefined);
  if (usable !== undefined) return usable;
  if (mayInstall()) await ensureAptLists();
  try {
    return await provideCriu();
  } catch (error) {
    // One that was found or fetched and does not work here would not work any better from another source.
    if (error instanceof CriuMissing || !mayInstall() || findProgram("criu") !== undefined) throw error;
    console.log("setup: installing CRIU");
    await aptInstall([criuPackages.apt]);
    return await criuPath();
  }
}

/** The device of FUSE, for whose module only root can ask. */
async function provideDevice(): Promise<boolean> {
  if (await exists("/dev/fuse")) return true;
  if (Deno.uid() === 0 && findProgram("modprobe") !== undefined) await show("modprobe", ["fuse"]);
  if (await exists("/dev/fuse")) return true;
  console.error(
    "setup: there is no /dev/fuse. Load the module (modprobe fuse), or give the container the device.",
  );
  return false;
}

/** The other generation of libfuse is good to test with; everything else works without. */
async function provideOtherLibfuse(): Promise<void> {
  try {
    await provideLibfuse();
  } catch (error) {
    const names = Object.keys(await libfusePaths()).join(", ");
    console.log(`setup: tests use ${names} alone (${(error as Error).message.split("\n")[0]})`);
  }
}

function explain(what: string, packages: readonly Readonly<Record<Manager, string>>[]): void {
  console.error(`setup: missing: ${what}. As root, run the one that fits:`);
  for (const command of installCommands(packages)) console.error(`  ${command}`);
}

if (import.meta.main) Deno.exit(await setup() ? 0 : 1);
