/**
 * `deno run -A tools/layers.ts`: who imports whom. Lower layers never import higher ones and siblings never import each other; tests,
 * benchmarks and tools import what they like, and nobody imports them.
 *
 * @module
 */

import { output } from "./command.ts";

/** One import: both paths relative to the project. Imports of types count, and so do dynamic ones. */
export interface Import {
  /** The importing file. */
  readonly from: string;
  /** The imported file. */
  readonly to: string;
}

/** Each part of the product, and what it may import besides itself. */
export const layers: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  fs: ["ffi"],
  swap: ["ffi"],
  criu: ["ffi"],
  control: [],
  host: ["ffi", "fs", "swap", "criu", "control"],
  cli: ["ffi", "fs", "swap", "criu", "control", "host"],
  "main.ts": ["ffi", "fs", "swap", "criu", "control", "host", "cli"],
  "mod.ts": ["ffi", "fs", "swap", "criu", "control", "host"],
};

/** Folders that are no part of the product. */
const outside = ["tests", "bench", "tools"];

/** The imports that break the rules, each as a line for people. */
export function violations(imports: readonly Import[]): string[] {
  return imports.flatMap(({ from, to }) => {
    const [importer, imported] = [partOf(from), partOf(to)];
    if (outside.includes(importer) || importer === imported) return [];
    const allowed = layers[importer];
    if (allowed === undefined) return [`${from}: ${importer} is in no layer (tools/layers.ts lists them)`];
    if (allowed.includes(imported)) return [];
    const may = allowed.length === 0 ? "nothing else" : `only ${allowed.join(", ")}`;
    return [`${from} imports ${to}: ${importer} may import ${may}`];
  });
}

/** The folder at the top, or the file itself when it is there. */
function partOf(path: string): string {
  return path.split("/", 1)[0]!;
}

/** The parts of `deno info --json` that are read here. */
export interface ModuleGraph {
  /** Every module that was reached. */
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string; readonly error?: string };
      readonly type?: { readonly specifier?: string; readonly error?: string };
    }[];
  }[];
}

/** The imports within a project whose files begin with `root`, a URL that ends in "/". @throws {Error} for a file that is missing. */
export function importsOf(graph: ModuleGraph, root: string): Import[] {
  const within = (url: string | undefined) => url?.startsWith(root) ? url.slice(root.length) : undefined;
  return graph.modules.flatMap(({ specifier, error, dependencies = [] }) => {
    const from = within(specifier);
    if (error !== undefined) throw new Error(`${specifier}: ${error}`);
    if (from === undefined) return [];
    return dependencies.flatMap(({ code, type }) => {
      const targets = new Set([within(code?.specifier), within(type?.specifier)]);
      return [...targets].filter((to) => to !== undefined).map((to) => ({ from, to }));
    });
  });
}

/** Every import within the project of this file, those of workers and of files that nobody imports included. */
export async function projectImports(): Promise<Import[]> {
  const root = new URL("../", import.meta.url);
  const files = await sources(root);
  const entry = await Deno.makeTempFile({ prefix: "spfs-layers-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      entry,
      files.map((path) => `import ${JSON.stringify(new URL(path, root).href)};\n`).join(""),
    );
    const config = new URL("deno.json", root).pathname;
    const text = await output(Deno.execPath(), ["info", "--json", "--frozen", `--config=${config}`, entry]);
    return importsOf(JSON.parse(text), root.href);
  } finally {
    await Deno.remove(entry);
  }
}

async function sources(root: URL): Promise<string[]> {
  const files: string[] = [];
  const visit = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const path = `${folder}${name}`;
      if (name.startsWith(".") || name === "node_modules" || path === "dist" || outside.includes(path)) {
        continue;
      }
      if (isDirectory) await visit(`${path}/`);
      else if (name.endsWith(".ts")) files.push(path);
    }
  };
  await visit("./");
  return files;
}

if (import.meta.main) {
  const broken = violations(await projectImports());
  for (const line of broken) console.error(line);
  Deno.exit(broken.length === 0 ? 0 : 1);
}
