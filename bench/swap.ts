/**
 * For how long processes stand still while they are moved from one mount to another.
 *
 * Each has 10 open files of its own and two mappings, one shared and one private with four pages of its own. The file system that they are
 * moved to is a tmpfs, so that what is measured is the swap.
 *
 * @module
 */
import { type Child, run } from "../tests/e2e/support/child.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../tests/e2e/support/spfs.ts";
import { compile } from "../tests/e2e/support/victims.ts";
import { type Figure, figure } from "./statistics.ts";

const SOURCE = new URL("programs/swapped.c", import.meta.url).pathname;
const FILES = Array.from({ length: 10 }, (_, n) => `f${n}`);
const FILE_SIZE = 16_384;
const LIMIT_MS = 600_000;

/** How long processes stood still. */
export interface StandStill {
  /** How many processes were moved. */
  readonly processes: number;
  /** From the first task that was asked to stop to the last that went on, in milliseconds: what the swap's result tells. */
  readonly stoppedMs: Figure;
  /** The longest time in which a thread of the first or of the last process did not come to look at the clock, in milliseconds. */
  readonly seenMs: Figure;
}

/** What a result tells of a swap. */
interface Told {
  readonly processes: readonly unknown[];
  readonly left: readonly unknown[];
  readonly stoppedMs: number;
}

/** Processes on a stub are moved to the real file system by `mount.replace`. Each round has a stub and processes of its own. */
export async function replaceSwap(
  sandbox: Sandbox,
  binary: Binary,
  count: number,
  rounds: number,
): Promise<StandStill> {
  const real = await realDirectory(sandbox);
  const spfs = await Spfs.start(sandbox, binary, { socket: false, limitMs: LIMIT_MS });
  const measured = new Measured(count);
  for (let round = 0; round < rounds; round++) {
    const mountpoint = sandbox.directory(`mount${round}`);
    const mount = `m${round}`;
    await spfs.call("mount.create", { id: mount, mountpoint });
    await spfs.call("file.create", {
      mount,
      entries: FILES.map((path) => ({ type: "file", path, mode: "0644", size: String(FILE_SIZE) })),
    });
    const held = await startHolders(sandbox, mountpoint, count);
    await held.ask("gap");
    const { swap } = await spfs.call("mount.replace", {
      mount,
      source: real,
      type: "bind",
      swap: "require",
      wait: true,
    });
    await measured.add(swap!, held);
    await end(held);
    await run("umount", ["--lazy", mountpoint]);
  }
  await spfs.quit();
  return measured.result();
}

/** The same processes are moved from one tmpfs's mount to another and back by `swap.run`, to be compared with that: no FUSE takes part. */
export async function runSwap(
  sandbox: Sandbox,
  binary: Binary,
  count: number,
  rounds: number,
): Promise<StandStill> {
  const here = await realDirectory(sandbox);
  const there = sandbox.directory("there");
  await run("mount", ["--bind", here, there]);
  const spfs = await Spfs.start(sandbox, binary, { socket: false, limitMs: LIMIT_MS });
  const measured = new Measured(count);
  const held = await startHolders(sandbox, here, count);
  for (let round = 0; round < rounds; round++) {
    const [source, target] = round % 2 === 0 ? [here, there] : [there, here];
    await held.ask("gap");
    await measured.add(await spfs.call("swap.run", { source, target }), held);
  }
  await end(held);
  await spfs.quit();
  return measured.result();
}

async function realDirectory(sandbox: Sandbox): Promise<string> {
  const real = sandbox.directory("real");
  await run("mount", ["-t", "tmpfs", "tmpfs", real]);
  for (const name of FILES) Deno.writeFileSync(`${real}/${name}`, new Uint8Array(FILE_SIZE).fill(1));
  return real;
}

async function startHolders(sandbox: Sandbox, directory: string, count: number): Promise<Child> {
  const program = sandbox.at("swapped");
  compile(SOURCE, program);
  const held = sandbox.start(program, [directory, String(count)], { limitMs: LIMIT_MS });
  await held.line();
  return held;
}

async function end(held: Child): Promise<void> {
  await held.closeInput();
  await held.ended();
}

/** What was measured in rounds. */
class Measured {
  readonly #count: number;
  readonly #stopped: number[] = [];
  readonly #seen: number[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  /** Notes what a swap tells and what the processes have seen. @throws {Error} when not all of them were moved */
  async add({ processes, left, stoppedMs }: Told, held: Child): Promise<void> {
    if (processes.length !== this.#count || left.length > 0) {
      throw new Error(`moved ${processes.length} of ${this.#count} processes, left ${JSON.stringify(left)}`);
    }
    this.#stopped.push(stoppedMs);
    this.#seen.push(Number(await held.ask("gap")) / 1e6);
  }

  result(): StandStill {
    return {
      processes: this.#count,
      stoppedMs: figure(this.#stopped),
      seenMs: figure(this.#seen),
    };
  }
}
