/**
 * What a test needs of the machine. A test that needs more than there is is skipped and says why; where everything has to be there (in
 * CI), it runs, and fails for that reason.
 *
 * @module
 */

import { criuPath } from "../../tools/criu.ts";
import { findProgram } from "../../tools/command.ts";
import { type FuseSoname, libfusePaths } from "../../tools/libfuse.ts";
import { pluginPath } from "../../tools/plugin.ts";

/** Needs; each that is left out or false is not asked for. */
export interface Requirements {
  /** User 0 with the capabilities of one: mounting in the own mount namespace has to work. */
  readonly root?: boolean;
  /** Root, /dev/fuse and a libfuse3 that can be loaded. */
  readonly fuse?: boolean;
  /** Root and a CRIU that passes `criu check`. */
  readonly criu?: boolean;
  /** CRIU's plugin, which `deno task plugin` makes. */
  readonly plugin?: boolean;
  /** Root, loop devices, and mkfs.ext4. */
  readonly loop?: boolean;
  /** A C compiler with the C library's headers. */
  readonly gcc?: boolean;
  /** The headers of the system's libfuse3, and a C compiler. */
  readonly fuseHeaders?: boolean;
  /** A libfuse of this generation with its headers, the system's or the cached one. */
  readonly libfuse?: FuseSoname;
  /** Programs in PATH. */
  readonly programs?: readonly string[];
  /** Anything else: `undefined` when it is met, otherwise what is missing. */
  readonly other?: () => string | undefined | Promise<string | undefined>;
}

/** The part of a test's definition that skips it. */
export interface Skip {
  /** Whether the test is skipped. */
  readonly ignore: boolean;
}

/** Whether a test that lacks something has to fail: `SPFS_NO_SKIP=1` or `CI=true` in the environment. */
export function skipsForbidden(): boolean {
  return Deno.env.get("SPFS_NO_SKIP") === "1" || Deno.env.get("CI") === "true";
}

/**
 * Probes what tests need: `Deno.test({ name, ...await requires({ fuse: true }), fn })`. What is missing is said on stderr, once for each
 * reason. Where skips are forbidden nothing is ignored, so that the test fails by what it lacks.
 */
export async function requires(needs: Requirements): Promise<Skip> {
  const reasons = await missing(needs);
  for (const reason of reasons) announce(reason);
  return { ignore: reasons.length > 0 && !skipsForbidden() };
}

/** What of these needs is not met, as phrases. */
export async function missing(needs: Requirements): Promise<string[]> {
  const probes: Promise<string | undefined>[] = [];
  const want = (key: string, probe: () => Promise<string | undefined> | string | undefined) => {
    let answer = answers.get(key);
    if (answer === undefined) answers.set(key, answer = Promise.resolve().then(probe));
    probes.push(answer);
  };
  if (needs.root || needs.fuse || needs.criu || needs.loop) want("root", lacksRoot);
  if (needs.fuse) want("fuse", lacksFuse);
  if (needs.criu) want("criu", lacksCriu);
  if (needs.plugin) want("plugin", lacksPlugin);
  if (needs.loop) want("loop", lacksLoop);
  if (needs.gcc || needs.fuseHeaders) want("gcc", lacksCompiler);
  if (needs.fuseHeaders) want("fuse headers", lacksFuseHeaders);
  const soname = needs.libfuse;
  if (soname !== undefined) want(soname, () => lacksLibfuse(soname));
  for (const name of needs.programs ?? []) want(`program ${name}`, () => lacksProgram(name));
  if (needs.other !== undefined) probes.push(Promise.resolve(needs.other()));
  return (await Promise.all(probes)).filter((reason) => reason !== undefined);
}

const answers = new Map<string, Promise<string | undefined>>();
const announced = new Set<string>();

function announce(reason: string): void {
  if (announced.has(reason)) return;
  announced.add(reason);
  console.error(`${skipsForbidden() ? "tests will fail" : "tests are skipped"}: ${reason}`);
}

async function lacksRoot(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "not run by root";
  const status = await Deno.readTextFile("/proc/self/status");
  const effective = BigInt(`0x${status.match(/^CapEff:\s*([0-9a-f]+)/m)?.[1] ?? "0"}`);
  const CAP_SYS_ADMIN = 21n;
  return (effective >> CAP_SYS_ADMIN & 1n) === 1n ? undefined : "without CAP_SYS_ADMIN";
}

async function lacksFuse(): Promise<string | undefined> {
  try {
    (await Deno.open("/dev/fuse", { read: true, write: true })).close();
  } catch (error) {
    return `/dev/fuse cannot be opened (${(error as Error).message})`;
  }
  return Object.keys(await libfusePaths()).length > 0 ? undefined : "no libfuse3";
}

async function lacksPlugin(): Promise<string | undefined> {
  return await Deno.stat(pluginPath).then(() => undefined, () => `no ${pluginPath} (deno task plugin)`);
}

async function lacksCriu(): Promise<string | undefined> {
  try {
    await criuPath();
    return undefined;
  } catch (error) {
    return `no usable CRIU (${(error as Error).message})`;
  }
}

async function lacksLoop(): Promise<string | undefined> {
  const program = lacksProgram("mkfs.ext4") ?? lacksProgram("losetup");
  if (program !== undefined) return program;
  try {
    await Deno.stat("/dev/loop-control");
    return undefined;
  } catch {
    return "no /dev/loop-control";
  }
}

async function lacksCompiler(): Promise<string | undefined> {
  return lacksProgram("gcc") ?? await lacksFile("/usr/include/stdio.h");
}

async function lacksFuseHeaders(): Promise<string | undefined> {
  return await lacksFile("/usr/include/fuse3/fuse_lowlevel.h");
}

async function lacksLibfuse(soname: FuseSoname): Promise<string | undefined> {
  const files = (await libfusePaths())[soname];
  if (files === undefined) return `no ${soname}`;
  return files.include === undefined ? `no headers of ${soname}` : undefined;
}

async function lacksFile(path: string): Promise<string | undefined> {
  try {
    await Deno.stat(path);
    return undefined;
  } catch {
    return `no ${path}`;
  }
}

function lacksProgram(name: string): string | undefined {
  return findProgram(name) === undefined ? `no ${name}` : undefined;
}
