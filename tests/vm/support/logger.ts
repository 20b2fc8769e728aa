/**
 * The busy victim: it appends numbered lines to a file of the file system, reads others, and tells each round elsewhere.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { patternBytes } from "../../e2e/support/pattern.ts";
import { isAlive, until } from "../../e2e/support/proc.ts";
import { type Scene, victim } from "./scene.ts";

const DATA_SIZE = 16 * 4096 + 123;

/** A logger. */
export class Logger {
  readonly #scene: Scene;
  readonly #result: string;
  /** Its process. */
  readonly pid: number;

  private constructor(scene: Scene, pid: number, result: string) {
    this.#scene = scene;
    this.pid = pid;
    this.#result = result;
  }

  /** Makes its files and starts it on the mounted file system; it has worked for some rounds then. */
  static async start(scene: Scene, uid = 0): Promise<Logger> {
    const { mountpoint, sandbox } = scene;
    const result = sandbox.at("result");
    Deno.writeTextFileSync(result, "");
    Deno.chownSync(result, uid, uid);
    // By the server's own view: where root is nobody it could not make them.
    const { directory } = scene.server;
    Deno.mkdirSync(`${directory}/work`);
    Deno.writeFileSync(`${directory}/data`, patternBytes(1, DATA_SIZE));
    Deno.writeFileSync(`${directory}/private`, patternBytes(2, 3 * 4096));
    Deno.chownSync(directory, uid, uid);
    for (const name of ["work", "data", "private"]) Deno.chownSync(`${directory}/${name}`, uid, uid);
    const ids = ["--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
    const child = sandbox.start("setpriv", [...ids, victim("logger"), mountpoint, result, "5"]);
    const logger = new Logger(scene, child.pid, result);
    await logger.worked();
    return logger;
  }

  #last(word: string): string | undefined {
    return Deno.readTextFileSync(this.#result).split("\n").findLast((line) => line.startsWith(word));
  }

  /** What it found wrong, a line each. */
  complaints(): string[] {
    return Deno.readTextFileSync(this.#result).split("\n").filter((line) => line.startsWith("bad "));
  }

  /** How many rounds it has made. */
  get rounds(): number {
    return Number(this.#last("tick ")?.split(" ")[1] ?? 0);
  }

  /**
   * Fails if it has worked since it was dumped. It may have been dumped between its last use of a file and the word of that round,
   * which then comes after the restore.
   */
  assertWaits(roundsAtDump: number): void {
    const more = this.rounds - roundsAtDump;
    assert(more <= 1, `the process made ${more} rounds without its file system`);
    assertEquals(this.complaints(), []);
  }

  /** Waits until it has made so many rounds more. */
  async worked(more = 10, limitMs = 20_000): Promise<void> {
    const goal = this.rounds + more;
    await until(`round ${goal} of the logger`, () => this.rounds >= goal, limitMs);
  }

  /** Waits until it has ended by SIGBUS, as a mapping that has lost its file makes it. */
  async broken(): Promise<void> {
    await until("the end of the process", () => !isAlive(this.pid));
  }

  /** How many lines of it are on the server. Fails unless these are its first ones, each once and whole, in order, and nothing else. */
  written(): number {
    const log = Deno.readTextFileSync(`${this.#scene.server.directory}/log`);
    const count = log.split("\n").length - 1;
    const line = (_: unknown, i: number) => `${String(i + 1).padStart(8, "0")} line of process ${this.pid}\n`;
    assertEquals(log, Array.from({ length: count }, line).join(""));
    return count;
  }

  /**
   * Ends it. Fails unless it has seen nothing but what it had to, and what it wrote is on the server: every line once, in order.
   */
  async end(): Promise<void> {
    Deno.kill(this.pid, "SIGTERM");
    const end = await until("the logger's end", () => this.#last("end "));
    assertEquals(end, `end ticks=${this.rounds} bad=0`, Deno.readTextFileSync(this.#result));
    await until("the end of the process", () => !isAlive(this.pid));
    assertEquals(this.written(), this.rounds);
  }
}
