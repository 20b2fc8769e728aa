/**
 * The product under test: how it is started, and a daemon with a client on its stdin and stdout.
 *
 * @module
 */

import { ControlClient } from "../../../control/client.ts";
import type {
  EventName,
  EventStamp,
  InitializeParams,
  WireEvent,
  WireEvents,
  WireMethods,
} from "../../../control/wire.ts";
import { type Child, type Ended, run } from "./child.ts";
import { within } from "./proc.ts";
import type { Sandbox } from "./sandbox.ts";
import { NURSERY } from "../../../host/runtime_flags.ts";

/** A way to run spfs. */
export interface Binary {
  /** "deno run" or "compiled". */
  readonly name: string;
  /** What comes before spfs's own arguments. */
  readonly command: readonly [string, ...string[]];
}

const root = new URL("../../../", import.meta.url).pathname;

/** The sources, run by the Deno that runs the tests. */
export const denoRun: Binary = {
  name: "deno run",
  command: [
    Deno.execPath(),
    "run",
    "--no-check",
    "-A",
    NURSERY,
    `--config=${root}deno.json`,
    `${root}main.ts`,
  ],
};

/** The executable that `deno task compile` makes. */
export const compiled: Binary = { name: "compiled", command: [`${root}dist/spfs`] };

/** Whether a way to run spfs is there. */
export function isThere(binary: Binary): boolean {
  try {
    return Deno.statSync(binary.command[0]).isFile;
  } catch {
    return false;
  }
}

/** Writes a script that runs a command with what it is given besides, for whoever takes one file as a program. Returns its path. */
export async function writeScript(path: string, command: readonly string[]): Promise<string> {
  await Deno.writeTextFile(path, `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`);
  await Deno.chmod(path, 0o755);
  return path;
}

/** How a daemon is started. */
export interface DaemonOptions {
  /** Arguments of `serve` besides the socket. */
  readonly args?: readonly string[];
  /** Whether it listens on a socket; yes by default. */
  readonly socket?: boolean;
  /** What follows the end of its stdin. */
  readonly onEof?: InitializeParams["onEof"];
  /** A command to run it by, such as taskset(1). */
  readonly prefix?: readonly string[];
  /** After how many milliseconds it is killed; two minutes by default. */
  readonly limitMs?: number;
}

/** A running daemon. */
export class Spfs {
  /** What it told, from the beginning. */
  readonly events: WireEvent[] = [];
  /** Its control socket. */
  readonly socket: string;
  /** The process. */
  readonly child: Child;
  /** The client on its stdin and stdout. */
  client!: ControlClient;
  readonly #binary: Binary;
  readonly #parked = new Map<string, number>();
  #waiting: (() => void)[] = [];

  private constructor(sandbox: Sandbox, binary: Binary, options: DaemonOptions) {
    const { socket = true, args = [], prefix = [], limitMs = 120_000 } = options;
    this.#binary = binary;
    const run = sandbox.directory("run", 0o700);
    this.socket = `${run}/control.sock`;
    const [command, ...first] = [...prefix, ...binary.command];
    this.child = sandbox.start(
      command!,
      [...first, "serve", ...(socket ? ["--socket", this.socket] : []), ...args],
      { limitMs, env: { SPFS_RUNTIME_DIR: run, SPFS_SOCKET: "" } },
    );
  }

  /** Starts a daemon and introduces a client. */
  static async start(sandbox: Sandbox, binary: Binary, options: DaemonOptions = {}): Promise<Spfs> {
    const daemon = new Spfs(sandbox, binary, options);
    try {
      daemon.client = await within(
        "the daemon's hello",
        ControlClient.over(daemon.child.transport(), {
          name: "e2e",
          events: "all",
          onEof: options.onEof,
          onEvent: (event) => daemon.#take(event),
        }),
      );
    } catch (error) {
      daemon.kill("SIGKILL");
      throw new Error(`${(error as Error).message}\n${(await daemon.ended()).stderr}`);
    }
    return daemon;
  }

  #take(event: WireEvent): void {
    this.events.push(event);
    if (event.event === "request.parked") this.#parked.set(event.params.mount, event.params.count);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Its process id. */
  get pid(): number {
    return this.child.pid;
  }

  /** Calls a method. */
  call<M extends keyof WireMethods>(
    method: M,
    params: WireMethods[M]["params"],
  ): Promise<WireMethods[M]["result"]> {
    return this.client.call(method, params);
  }

  /** Runs a command of the command line against it and returns what that printed. */
  command(...args: string[]): Promise<string> {
    const [command, ...first] = this.#binary.command;
    return run(command, [...first, ...args, "--socket", this.socket]);
  }

  /** Resolves with the first event, past or to come, of this name that is accepted. */
  async event<N extends EventName>(
    name: N,
    accept: (params: WireEvents[N] & EventStamp) => boolean = () => true,
    limitMs = 20_000,
  ): Promise<WireEvents[N] & EventStamp> {
    const search = async () => {
      for (let at = 0;; at++) {
        while (at >= this.events.length) await new Promise<void>((resolve) => this.#waiting.push(resolve));
        const event = this.events[at]!;
        if (event.event !== name) continue;
        const params = event.params as unknown as WireEvents[N] & EventStamp;
        if (accept(params)) return params;
      }
    };
    return await within(`the event ${name}`, search(), limitMs);
  }

  /** Resolves when, by the latest that it told, so many requests of a mount are parked. */
  async parked(mount: string, count: number, limitMs = 20_000): Promise<void> {
    const search = async () => {
      while (this.#parked.get(mount) !== count) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    };
    await within(`${count} parked requests of ${mount}`, search(), limitMs).catch((error) => {
      throw new Error(`${error.message}; there are ${this.#parked.get(mount) ?? 0}`);
    });
  }

  /** Ends its stdin. */
  closeInput(): void {
    this.client.close();
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.child.kill(signal);
  }

  /** Waits for its end; `stderr` is its log. */
  ended(): Promise<Ended> {
    return within("the daemon's end", this.child.ended(), 20_000);
  }

  /** Tells it to go, whatever is mounted, and waits until it has. */
  async quit(): Promise<Ended> {
    await this.call("quit", { force: true });
    return await this.ended();
  }
}
