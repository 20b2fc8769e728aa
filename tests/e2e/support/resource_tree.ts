/**
 * A process tree with several programs of tests/swap/victims in it, which hold what they hold on one file system, and can be dumped: they are
 * told through FIFOs what to do, and write their answers into files.
 *
 * @module
 */

import { swapVictim } from "../../swap/support/victim.ts";
import { childrenOf, isAlive, until } from "./proc.ts";
import type { Sandbox } from "./sandbox.ts";
import { run } from "./child.ts";
import { victim } from "./victims.ts";

/** One program of the tree. */
export interface TreeProgram {
  /** Its name, and that of its directory on the file system. */
  readonly name: string;
  /** The program of tests/swap/victims. */
  readonly program: string;
  /** Its cases. */
  readonly cases: readonly string[];
  /** Whether the program itself lies on the file system. */
  readonly placed?: boolean;
}

/** A running tree. */
export class ResourceTree {
  /** Its root. */
  readonly pid: number;
  readonly #programs: readonly TreeProgram[];
  readonly #directory: string;
  #asked = 0;

  private constructor(pid: number, programs: readonly TreeProgram[], directory: string) {
    this.pid = pid;
    this.#programs = programs;
    this.#directory = directory;
  }

  /** Starts one and waits until everything is held. @throws {Error} with what a program says that cannot */
  static async start(
    sandbox: Sandbox,
    mountpoint: string,
    programs: readonly TreeProgram[],
  ): Promise<ResourceTree> {
    const directory = sandbox.directory("tree");
    const script = ["cd /"];
    for (const { name, program, cases, placed } of programs) {
      const [base, control] = [`${mountpoint}/${name}`, `${directory}/${name}`];
      Deno.mkdirSync(base);
      await run("mkfifo", [`${control}.orders`]);
      let path = swapVictim(program);
      if (placed === true) {
        await run("cp", [path, `${base}/${program}`]);
        path = `${base}/${program}`;
      }
      script.push(`${path} ${base} ${cases.join(" ")} <>${control}.orders >>${control}.answers 2>&1 &`);
    }
    Deno.writeTextFileSync(`${directory}/script`, [...script, "wait", ""].join("\n"));
    const root = sandbox.start(victim("reaper"), ["/bin/sh", `${directory}/script`], { limitMs: 120_000 });
    const tree = new ResourceTree(root.pid, programs, directory);
    for (const program of programs) {
      const [ready = "", ...others] = (await tree.#answer(program)).split(" ");
      if (ready !== "ready") throw new Error(`${program.name}: ${[ready, ...others].join(" ")}`);
      for (const pid of others) sandbox.adopt(Number(pid));
    }
    return tree;
  }

  /** Has every program look at what it holds, without waiting. "end": for the last time. */
  order(what: "check" | "end"): void {
    this.#asked++;
    for (const { name } of this.#programs) {
      using orders = Deno.openSync(`${this.#directory}/${name}.orders`, { read: true, write: true });
      orders.writeSync(new TextEncoder().encode(`${what}\n`));
    }
  }

  /** All its processes. */
  get pids(): number[] {
    return descendants(this.pid);
  }

  /** What the programs answer to the last order, each with its name. */
  async answers(): Promise<string[]> {
    return await Promise.all(
      this.#programs.map(async (program) => `${program.name}: ${await this.#answer(program)}`),
    );
  }

  /** What they answer when all is as it has to be. */
  get right(): string[] {
    return this.#programs.map(({ name }) => `${name}: ok`);
  }

  #lines({ name }: TreeProgram): string[] {
    const text = Deno.readTextFileSync(`${this.#directory}/${name}.answers`);
    return text.split("\n").slice(0, -1);
  }

  async #answer(program: TreeProgram): Promise<string> {
    const at = this.#asked;
    return await until(`the answer of ${program.name}`, () => {
      try {
        const alive = isAlive(this.pid); // before the answers are read: the last ones are written before it ends
        return this.#lines(program)[at] ?? (!alive && "the tree has ended");
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    }, 20_000);
  }
}

function descendants(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(descendants)];
}
