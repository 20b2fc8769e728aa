/**
 * The programs of `victims/`, which hold something on a mount and say whether they still do. See `victims/victim.h`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { victim as compiled } from "../../e2e/support/victims.ts";
import type { Child } from "../../e2e/support/child.ts";
import { childrenOf, isAlive, processState, until } from "../../e2e/support/proc.ts";
import type { Sandbox } from "../../e2e/support/sandbox.ts";

const folder = new URL("../victims/", import.meta.url);

/** The path of an executable made of `victims/NAME.c`. @throws {Error} with the compiler's messages. */
export function swapVictim(name: string): string {
  return compiled(name, folder, flags[name] ?? []);
}

const flags: Record<string, readonly string[]> = {
  compat: [
    "-m32",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-tree-loop-distribute-patterns",
    "-nostdlib",
    "-static",
    "-no-pie",
  ],
};

/** How a victim is started. */
export interface VictimOptions {
  /** Its program. */
  readonly program: string;
  /** The cases of the program. */
  readonly cases: readonly string[];
  /** Where it holds them. */
  readonly directory: string;
  /** The user that it runs as; root by default. */
  readonly uid?: number;
}

/** A running one that has set up what it holds. */
export class Victim {
  /** Its first process. */
  readonly child: Child;
  /** All its processes. */
  readonly pids: readonly number[];

  private constructor(child: Child, pids: readonly number[]) {
    this.child = child;
    this.pids = pids;
  }

  /** Starts one and waits until it is ready. @throws {Error} with what it says when it cannot set up. */
  static async start(sandbox: Sandbox, options: VictimOptions): Promise<Victim> {
    const command = [options.program, options.directory, ...options.cases];
    if (options.uid !== undefined) {
      command.unshift("setpriv", `--reuid=${options.uid}`, `--regid=${options.uid}`, "--clear-groups");
    }
    const child = sandbox.start(command[0]!, command.slice(1), { limitMs: 300_000 });
    const [ready, ...others] = (await child.line()).split(" ");
    assertEquals(ready, "ready");
    const pids = [child.pid, ...others.map(Number)];
    for (const pid of pids.slice(1)) sandbox.adopt(pid);
    return new Victim(child, pids);
  }

  /** Has it look at what it holds. @throws {AssertionError} with what it found wrong. */
  async check(when: string): Promise<void> {
    assertEquals(await this.child.ask("check"), "ok", when);
  }

  /** Its processes that have not ended, with those that these started since. */
  alive(): number[] {
    const found = new Set<number>();
    const visit = (pid: number) => {
      if (found.has(pid) || !isAlive(pid)) return;
      found.add(pid);
      for (const child of childrenOf(pid)) visit(child);
    };
    for (const pid of this.pids) visit(pid);
    return [...found];
  }

  /** Stops it by SIGSTOP and waits until all its threads are stopped. */
  async stop(): Promise<void> {
    for (const pid of this.pids) {
      Deno.kill(pid, "SIGSTOP");
      const tids = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => Number(name));
      for (const tid of tids) await until(`task ${tid} to stop`, () => processState(tid) === "T");
    }
  }

  /** Lets it go on after `stop`. */
  goOn(): void {
    for (const pid of this.pids) Deno.kill(pid, "SIGCONT");
  }

  /** Has it look for the last time and end. @throws {AssertionError} with what it found wrong. */
  async end(): Promise<void> {
    assertEquals(await this.child.ask("end"), "ok", "at the end");
    assertEquals((await this.child.ended()).code, 0);
  }
}
