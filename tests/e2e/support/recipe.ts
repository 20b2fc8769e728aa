/**
 * The recipes of docs/criu.md, run as they stand there: only names of this machine are other ones.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { criuPath } from "../../../tools/criu.ts";
import { run } from "./child.ts";
import { until } from "./proc.ts";
import type { Sandbox } from "./sandbox.ts";
import { type Binary, writeScript } from "./spfs.ts";

const document = new URL("../../../docs/criu.md", import.meta.url);

/** The commands below a heading: one part for each of the document's, which are apart by an empty line. */
function partsOf(heading: string): string[] {
  const text = Deno.readTextFileSync(document);
  const block = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0]?.match(/\n```sh\n([^]*?)```\n/)?.[1];
  assert(block !== undefined, `no commands below "${heading}"`);
  return block.split("\n\n");
}

/** A recipe. */
export class Recipe {
  readonly #sandbox: Sandbox;
  readonly #parts: string[];
  readonly #names: Readonly<Record<string, string>>;
  readonly #env: Record<string, string>;

  private constructor(
    sandbox: Sandbox,
    parts: string[],
    names: Readonly<Record<string, string>>,
    env: Record<string, string>,
  ) {
    this.#sandbox = sandbox;
    this.#parts = parts;
    this.#names = names;
    this.#env = env;
  }

  /**
   * Reads the recipe below a heading, which is going to be run in the sandbox's directory.
   *
   * @param names what stands in the document, and what is there instead of it here
   * @param variables what it has from its reader
   * @param programs more programs, as words of a shell, by the names that it knows them by
   */
  static async read(
    sandbox: Sandbox,
    binary: Binary,
    heading: string,
    names: Readonly<Record<string, string>>,
    variables: Readonly<Record<string, string>> = {},
    programs: Readonly<Record<string, readonly [string, ...string[]]>> = {},
  ): Promise<Recipe> {
    const [bin, runtime] = [sandbox.directory("bin"), sandbox.directory("run", 0o700)];
    await writeScript(`${bin}/spfs`, binary.command);
    await writeScript(`${bin}/criu`, [await criuPath()]);
    for (const [name, [program, ...args]] of Object.entries(programs)) {
      // By its path: its name is the script's.
      const found = (await run("sh", ["-c", `command -v ${program}`])).trim();
      await writeScript(`${bin}/${name}`, [found, ...args]);
    }
    const path = `${bin}:${Deno.env.get("PATH")}`;
    return new Recipe(sandbox, partsOf(heading), { "/run/spfs": runtime, ...names }, {
      ...variables,
      PATH: path,
      SPFS_RUNTIME_DIR: runtime,
    });
  }

  /** Runs the next part. @throws {Error} with what it said when a command fails */
  async runNext(): Promise<void> {
    let text = this.#parts.shift()!;
    for (const [name, here] of Object.entries(this.#names)) text = text.replaceAll(name, here);
    const errors = this.#sandbox.at("recipe.err");
    // What goes on in the background must not keep anybody from reading to the end.
    const script = `set -e; cd "${this.#sandbox.path}"; exec 2>"${errors}"; ${text}\necho "daemon $!"\n`;
    const child = this.#sandbox.start("bash", ["-c", script], { env: this.#env });
    await child.closeInput();
    const { code, stdout } = await child.ended();
    const daemon = Number(/^daemon (\d+)$/m.exec(stdout)?.[1] ?? 0);
    if (daemon > 0) this.#sandbox.adopt(daemon);
    assertEquals(code, 0, `${text}\n${stdout}\n${Deno.readTextFileSync(errors)}`);
  }

  /** All parts are done, and the daemon has ended by itself. */
  async ends(): Promise<void> {
    assertEquals(this.#parts, []);
    await until(
      "the end of the daemon",
      () => [...Deno.readDirSync(this.#env["SPFS_RUNTIME_DIR"]!)].length === 0,
    );
  }
}
