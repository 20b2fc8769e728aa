/**
 * A process that makes system calls for a test (tests/fs/programs/agent.c), so that the test itself never touches a mount.
 *
 * @module
 */
import { program } from "./programs.ts";
import { lines } from "./wire.ts";

/** A word of a command: text, bytes of a path, or a number. */
export type Word = string | Uint8Array | number | bigint;

/** A system call of an agent failed. */
export class AgentError extends Error {
  /** `errno` is its name, or the signal's for a fault in memory. */
  constructor(readonly command: string, readonly errno: string) {
    super(`${command}: ${errno}`);
    this.name = "AgentError";
  }
}

/** What stat tells. */
export interface Stat {
  readonly ino: number;
  readonly mode: string;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly blocks: number;
  readonly atime: string;
  readonly mtime: string;
  readonly btime: string;
  readonly rdev: string;
}

/** A call waits for its answer no longer than this. */
const TIMEOUT_MS = 30_000;
const encoder = new TextEncoder();

/** A process under orders. One call at a time is carried out; what is asked meanwhile waits its turn. */
export class Agent implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: {
    command: string;
    timer: ReturnType<typeof setTimeout>;
    resolve(answer: string): void;
    reject(error: Error): void;
  }[] = [];
  readonly #ended: Promise<Deno.CommandStatus>;
  #disposed = false;

  /** Starts one; the working directory is `/`. */
  constructor() {
    this.#process = new Deno.Command(program("agent"), { cwd: "/", stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#ended = this.#read();
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** How it ended; resolves once it has. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#ended;
  }

  /**
   * Has a call made. The promise is settled when the call returns.
   *
   * @throws {AgentError} with the errno of the call.
   */
  async call(command: string, ...words: Word[]): Promise<string> {
    const line = [command, ...words.map(word)].join(" ");
    const answer = await this.#send(line);
    if (answer.startsWith("! ")) {
      throw new AgentError(line.length > 200 ? `${line.slice(0, 200)}...` : line, answer.slice(2));
    }
    return answer.slice(2);
  }

  /** The same; the errno's name of a call that fails, "0" of one that does not. */
  async errno(command: string, ...words: Word[]): Promise<string> {
    try {
      await this.call(command, ...words);
      return "0";
    } catch (error) {
      if (error instanceof AgentError) return error.errno;
      throw error;
    }
  }

  /** The same, for a call whose result is a number. */
  async number(command: string, ...words: Word[]): Promise<number> {
    return Number(await this.call(command, ...words));
  }

  /** The same, for a call that tells bytes. */
  async bytes(command: string, ...words: Word[]): Promise<Uint8Array> {
    return Uint8Array.fromHex(await this.call(command, ...words));
  }

  /** The same, as text. */
  async text(command: string, ...words: Word[]): Promise<string> {
    return new TextDecoder().decode(await this.bytes(command, ...words));
  }

  /** stat, lstat, fstat, stat with the time of birth, or stat that asks the file system. */
  async stat(command: "stat" | "lstat" | "fstat" | "birth" | "ask", what: Word): Promise<Stat> {
    const pairs = (await this.call(command, what)).split(" ").map((pair) =>
      pair.split("=") as [string, string]
    );
    const texts = new Set(["mode", "atime", "mtime", "btime", "rdev"]);
    return Object.fromEntries(
      pairs.map(([key, value]) => [key, texts.has(key) ? value : Number(value)]),
    ) as unknown as Stat;
  }

  /** What is left of a directory's listing from the descriptor's position on: names as they are encoded, in order. */
  async list(fd: number): Promise<string[]> {
    const names: string[] = [];
    for (let some; (some = await this.call("getdents", fd, 32768)) !== "";) names.push(...entryNames(some));
    return names.filter((name) => name !== "." && name !== "..");
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Kills it and waits for its end. Calls that are under way stay unsettled: the test is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#ended;
  }

  #send(line: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const command = line.slice(0, 200);
    const late = () => reject(new Error(`no answer to ${command} in ${TIMEOUT_MS} ms`));
    this.#waiting.push({ command, timer: setTimeout(late, TIMEOUT_MS), resolve, reject });
    this.#writer.write(encoder.encode(`${line}\n`)).catch(() => {}); // its end is told by #read
    return promise;
  }

  async #read(): Promise<Deno.CommandStatus> {
    for await (const line of lines(this.#process.stdout)) {
      const { timer, resolve } = this.#waiting.shift()!;
      clearTimeout(timer);
      resolve(line);
    }
    const status = await this.#process.status;
    for (const { command, timer, reject } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      if (!this.#disposed) reject(new Error(`${command}: the agent ended: ${status.signal ?? status.code}`));
    }
    await this.#writer.abort().catch(() => {});
    return status;
  }
}

/** The names in the answer of one getdents. */
export function entryNames(answer: string): string[] {
  return answer === "" ? [] : answer.split(" ").map((entry) => entry.slice(0, entry.lastIndexOf("@")));
}

function word(value: Word): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  let text = "";
  for (const byte of bytes) {
    text += byte < 33 || byte > 126 || byte === 0x25
      ? `%${byte.toString(16).padStart(2, "0")}`
      : String.fromCharCode(byte);
  }
  return text;
}

/** Data for `write`, `pwrite`, `poke` and `setxattr`. */
export function data(value: string | Uint8Array): string {
  return (typeof value === "string" ? encoder.encode(value) : value).toHex();
}
