/**
 * A program as few files of JavaScript: what has to be loaded for a command, and no more, loads from a compiled program faster than
 * modules one by one, and nothing of the packages' other files comes along.
 *
 * @module
 */

import { basename, join, resolve } from "@std/path";
import { output } from "./command.ts";

/** What is bundled. */
export interface Program {
  /** The main module's file. What it imports dynamically stays apart and is loaded when it is needed. */
  readonly entry: string;
  /**
   * Modules among the latter that become one file each, since loading the many that they share with others takes 10 ms. They have copies of
   * their own of all that they import, with its state.
   */
  readonly whole?: readonly string[];
  /** The workers' main modules, each of which becomes one file. Their base names are unique. */
  readonly workers: readonly string[];
}

/** A bundled program: file names relative to the folder it was put into. */
export interface BundledProgram {
  /** The file to start. */
  readonly main: string;
  /** The files of workers, which no import names. */
  readonly workers: readonly string[];
}

/** How the sources name a worker's file. */
const workerUrl = /new URL\("(\.[^"]*\/([^"/]+)\.ts)", import\.meta\.url\)/g;

/** The workers that a module starts: the files that it names by `new URL("…", import.meta.url)`. */
export async function workersOf(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(file);
  return [...text.matchAll(workerUrl)].map(([, path]) => resolve(file, "..", path!));
}

/**
 * Bundles a program into an empty folder. The files' names follow from their contents.
 *
 * @throws {Error} when it does not bundle, or when it starts a worker that is not among those given.
 */
export async function bundle(program: Program, folder: string): Promise<BundledProgram> {
  const common = [
    "bundle",
    "--quiet",
    "--frozen",
    "--platform=deno",
    "--code-splitting",
    `--outdir=${folder}`,
  ];
  const cwd = new URL("../", import.meta.url).pathname;
  await output(Deno.execPath(), [...common, program.entry], { cwd });
  // One at a time: with several the folders above them would become part of the names.
  for (const part of [...program.workers, ...program.whole ?? []]) {
    await output(Deno.execPath(), [...common, part], { cwd });
  }
  await redirectImports(folder, (program.whole ?? []).map(nameOf));
  await redirectWorkers(folder, program.workers.map(nameOf)); // workers start workers as well
  return {
    main: `${nameOf(program.entry)}.js`,
    workers: program.workers.map((path) => `${nameOf(path)}.js`),
  };
}

function nameOf(path: string): string {
  return basename(path, ".ts");
}

/** Makes the program import whole modules, which lie beside it, instead of their pieces. */
async function redirectImports(folder: string, whole: readonly string[]): Promise<void> {
  for (const name of whole) {
    const pieces = new RegExp(`import\\("\\./${name}-[A-Z0-9]+\\.js"\\)`, "g");
    let count = 0;
    await rewrite(folder, (text) => text.replaceAll(pieces, () => (count++, `import("./${name}.js")`)));
    if (count === 0) throw new Error(`nothing imports ${name} dynamically`);
  }
}

/** Makes the program start the bundled workers, which lie beside it. */
async function redirectWorkers(folder: string, known: readonly string[]): Promise<void> {
  const started = new Set<string>();
  await rewrite(folder, (text) =>
    text.replaceAll(workerUrl, (_, source: string, worker: string) => {
      if (!known.includes(worker)) throw new Error(`a worker is started that is not bundled: ${source}`);
      started.add(worker);
      return `new URL("./${worker}.js", import.meta.url)`;
    }));
  const unused = known.filter((worker) => !started.has(worker));
  if (unused.length > 0) throw new Error(`workers are bundled that nothing starts: ${unused.join(", ")}`);
}

async function rewrite(folder: string, change: (text: string) => string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const path = join(folder, name);
    const text = await Deno.readTextFile(path);
    const changed = change(text);
    if (changed !== text) await Deno.writeTextFile(path, changed);
  }
}
