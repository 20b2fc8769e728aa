/**
 * Child processes with a time limit that talk in lines, or in whatever their owner reads and writes.
 *
 * @module
 */

import type { Transport } from "../../../control/transport.ts";
import { timeFactor } from "./proc.ts";

/** How a child ended. */
export interface Ended {
  /** Its exit code; 128 + signal when a signal ended it. */
  readonly code: number;
  /** The signal that ended it. */
  readonly signal: string | null;
  /** What it wrote to stdout and was not taken as lines before. */
  readonly stdout: string;
  /** What it wrote to stderr. */
  readonly stderr: string;
}

/** How a child is started. */
export interface ChildOptions {
  /** Variables on top of the environment's. */
  readonly env?: Record<string, string>;
  /** After how many milliseconds it is killed; a minute by default. */
  readonly limitMs?: number;
}

/** A running program. Its stdin is a pipe; a fault of the program shows in the error of whoever waits for a line. */
export class Child {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  #reader: ReadableStreamDefaultReader<string> | undefined;
  readonly #errors: Promise<string>;
  readonly #command: string;
  #text = "";
  #over = false;
  /** Resolves when it has ended. Never rejects. */
  readonly status: Promise<Deno.CommandStatus>;

  private constructor(command: string, args: readonly string[], options: ChildOptions) {
    this.#command = [command, ...args].join(" ");
    this.#child = new Deno.Command(command, {
      args: [...args],
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.env === undefined ? {} : { env: options.env }),
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.#errors = new Response(this.#child.stderr).text();
    const timer = setTimeout(() => this.kill("SIGKILL"), (options.limitMs ?? 60_000) * timeFactor);
    this.status = this.#child.status.finally(() => {
      this.#over = true;
      clearTimeout(timer);
    });
  }

  /** Starts a program. @throws {Error} when there is no such program. */
  static start(command: string, args: readonly string[] = [], options: ChildOptions = {}): Child {
    return new Child(command, args, options);
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it has ended, as far as is known. */
  get over(): boolean {
    return this.#over;
  }

  get #output(): ReadableStreamDefaultReader<string> {
    return this.#reader ??= this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Its stdin and stdout as a channel of bytes, instead of lines. Closing it ends its stdin. */
  transport(): Transport {
    const reader = this.#child.stdout.getReader();
    let rest = new Uint8Array(0);
    return {
      read: async (buffer) => {
        if (rest.length === 0) {
          const { value } = await reader.read();
          if (value === undefined) return null;
          rest = value;
        }
        const count = Math.min(rest.length, buffer.length);
        buffer.set(rest.subarray(0, count));
        rest = rest.subarray(count);
        return count;
      },
      write: async (bytes) => {
        await this.#input.write(bytes.slice());
        return bytes.length;
      },
      close: () => void this.closeInput(),
    };
  }

  /** The next line that it writes. @throws {Error} with its stderr when it ends before. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`${this.#command} ended: ${this.#text}${await this.#errors}`);
      this.#text += value;
    }
  }

  /** Writes a line to it; of bytes, the newline included. */
  async send(line: string | Uint8Array): Promise<void> {
    await this.#input.write(typeof line === "string" ? new TextEncoder().encode(`${line}\n`) : line);
  }

  /** Writes a line to it and waits for the line that answers. */
  async ask(line: string): Promise<string> {
    await this.send(line);
    return await this.line();
  }

  /** Ends its input. */
  async closeInput(): Promise<void> {
    await this.#input.close().catch(() => {});
  }

  /** Closes our end of its stdout: what it writes from now on fails with EPIPE. Only for one that is read by lines. */
  async closeOutput(): Promise<void> {
    await this.#output.cancel();
  }

  /** Sends it a signal, if it still runs. */
  kill(signal: Deno.Signal): void {
    if (this.#over) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Waits for its end. */
  async ended(): Promise<Ended> {
    while (!this.#child.stdout.locked || this.#reader !== undefined) {
      const { value, done } = await this.#output.read();
      if (done) break;
      this.#text += value;
    }
    const { code, signal } = await this.status;
    return { code, signal, stdout: this.#text, stderr: await this.#errors };
  }
}

/** Runs a program to its end. @throws {Error} with what it wrote when it does not succeed. */
export async function run(command: string, args: readonly string[], options?: ChildOptions): Promise<string> {
  const child = Child.start(command, args, options);
  await child.closeInput();
  const { code, stdout, stderr } = await child.ended();
  if (code !== 0) {
    throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${(stderr || stdout).trim()}`);
  }
  return stdout;
}
