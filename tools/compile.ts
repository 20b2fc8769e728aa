/**
 * `deno task compile`: makes `dist/spfs`, one executable with the workers in it. Where Deno does not reach the host of its runtime base,
 * the base comes from a package registry, with the Deno that it fits. Does nothing when the inputs are those of the last time.
 *
 * @module
 */

import { basename, join } from "@std/path";
import { bundle, type Program, workersOf } from "./bundle.ts";
import { capture, type CommandResult } from "./command.ts";
import { sha256OfFolder } from "./digest.ts";
import { OLDER_VERSION, olderDeno, olderDenoEnvironment } from "./older_deno.ts";
import { runtimeBase } from "./runtime_base.ts";
import { NURSERY } from "../host/runtime_flags.ts";

const root = new URL("../", import.meta.url).pathname;

/** Where the product is put. */
export const productPath: string = join(root, "dist/spfs");

/** How a program came to be compiled. */
export type Way = "unchanged" | "by this Deno" | "with the base from a package registry";

/**
 * No cache of compiled code: Deno would keep it under a fixed name in the folder of temporary files, which everybody may write, and a
 * program of root's must not load code from there. It would save 2 ms.
 */
const flags = [
  "--quiet",
  "--no-check",
  "--no-config",
  "--no-lock",
  "--no-code-cache",
  "--allow-all",
  NURSERY,
];

/** Compiles the product unless it is up to date. @throws {Error} when neither way works, with what each said. */
export async function compileProduct(): Promise<Way> {
  const workers = await workersOf(join(root, "host/workers.ts"));
  const whole = [join(root, "host/daemon.ts")];
  return await compile({ entry: join(root, "main.ts"), whole, workers }, productPath);
}

/**
 * Compiles a program into `file`, beside which `file.inputs` tells what it was made of. The file is replaced at once, so that programs
 * that run go on.
 *
 * @throws {Error} when neither way works, with what each said.
 */
export async function compile(program: Program, file: string): Promise<Way> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-compile-" });
  try {
    const bundled = await bundle(program, folder);
    const inputs = await sha256OfFolder(folder, Deno.build.target, Deno.version.deno, ...flags);
    if (await isUpToDate(file, inputs)) return "unchanged";
    await Deno.mkdir(join(file, ".."), { recursive: true });
    // Beside the place, so that renaming does, and under its last name, which the program gets to know.
    const beside = await Deno.makeTempDir({ dir: join(file, ".."), prefix: "compile-" });
    const draft = join(beside, basename(file));
    const args = [
      "compile",
      ...flags,
      ...bundled.workers.map((name) => `--include=${name}`),
      `--output=${draft}`,
      bundled.main,
    ];
    try {
      const way = await compileEitherWay(args, folder);
      await Deno.rename(draft, file);
      await Deno.writeTextFile(inputsFile(file), await stamp(file, inputs));
      return way;
    } finally {
      await Deno.remove(beside, { recursive: true });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compileEitherWay(args: readonly string[], cwd: string): Promise<Way> {
  const plain = await capture(Deno.execPath(), args, { cwd, timeoutMs: 240_000 });
  if (plain.ok) return "by this Deno";
  let fitting: CommandResult;
  try {
    const env = { ...olderDenoEnvironment, DENORT_BIN: await runtimeBase() };
    fitting = await capture(await olderDeno(), args, { cwd, env });
  } catch (error) {
    throw cannotCompile(plain, (error as Error).message);
  }
  if (!fitting.ok) throw cannotCompile(plain, fitting.stderr);
  return "with the base from a package registry";
}

function cannotCompile(plain: CommandResult, fallback: string): Error {
  return new Error(
    [
      "cannot compile.",
      `deno compile of ${Deno.version.deno}: ${indented(plain.stderr)}`,
      `deno compile of ${OLDER_VERSION} with the base from a package registry: ${indented(fallback)}`,
    ].join("\n"),
  );
}

function indented(text: string): string {
  return text.trim().split("\n").map((line) => `\n  ${line}`).join("");
}

function inputsFile(file: string): string {
  return `${file}.inputs`;
}

/** What the file beside a program says: of which inputs it is, and how to tell that it is still that program. */
async function stamp(file: string, inputs: string): Promise<string> {
  const { size, mtime } = await Deno.stat(file);
  return `${inputs} ${size} ${mtime?.getTime()}\n`;
}

async function isUpToDate(file: string, inputs: string): Promise<boolean> {
  try {
    return await Deno.readTextFile(inputsFile(file)) === await stamp(file, inputs);
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Takes a program away that is not of the present sources. */
async function removeProduct(): Promise<void> {
  for (const path of [productPath, inputsFile(productPath)]) await Deno.remove(path).catch(ignoreMissing);
}

/** With `--if-possible` it is no failure when neither way works: then no program is there, and the sources are run instead. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const way = await compileProduct();
    const { size } = await Deno.stat(productPath);
    console.log(
      `compile: dist/spfs ${way === "unchanged" ? "is up to date" : `compiled ${way}`}, ${size >> 20} MiB`,
    );
    return 0;
  } catch (error) {
    console.error(`compile: ${(error as Error).message}`);
    await removeProduct();
    if (!args.includes("--if-possible")) return 1;
    console.log("compile: there is no executable, so the sources are run by deno run");
    return 0;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
