/**
 * Daemons for tests: real ones, started by `deno run`, in a mount namespace that belongs to the test. Nothing here touches a mount from
 * the test's own process; what looks at one is a child with a time limit.
 */
import { ControlClient } from "../../../control/client.ts";
import type { Transport } from "../../../control/transport.ts";
import type { WireEvent } from "../../../control/wire.ts";

const main = new URL("../../../main.ts", import.meta.url).pathname;
const config = new URL("../../../deno.json", import.meta.url).pathname;

/** Starts spfs. */
const program = [Deno.execPath(), "run", "--no-check", "-A", "-c", config, main];

/** The longest that anything in these tests may take, in milliseconds. */
const limitMs = 60_000;

/** What a command did. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** A command that is running in a place. */
export interface Running {
  /** Its pid. */
  readonly pid: number;
  /** Its end. */
  readonly ended: Promise<Ran>;
  /** Ends its input. */
  closeInput(): Promise<void>;
  /** Resolves with the next line that it writes. */
  line(): Promise<string>;
}

/** A function that does something the first time it is called. */
function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => done ??= action();
}

/** A directory and a mount namespace of its own. */
export class Place implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  readonly #children = new Set<Deno.ChildProcess>();

  private constructor(readonly directory: string, holder: Deno.ChildProcess) {
    this.#holder = holder;
  }

  /** Makes a place, with empty directories of these names. */
  static async make(...directories: string[]): Promise<Place> {
    const directory = await Deno.makeTempDir({ prefix: "spfs-host-" });
    for (const name of directories) await Deno.mkdir(`${directory}/${name}`);
    const args = ["--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 600"];
    const holder = new Deno.Command("unshare", { args, stdin: "null", stdout: "piped" }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    await reader.cancel();
    return new Place(directory, holder);
  }

  /** A path in the place's directory. */
  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** Starts a command in the place. */
  start(command: string[], options: Partial<Deno.CommandOptions> = {}): Running {
    const child = this.spawn(command, { stdin: "piped", stdout: "piped", stderr: "piped", ...options });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let stdout = "";
    let read = 0;
    const more = async () => {
      const { value } = await reader.read();
      stdout += value ?? "";
      return value !== undefined;
    };
    const stderr = new Response(child.stderr).text();
    const closeInput = once(() =>
      options.stdin === "null" ? Promise.resolve() : child.stdin.close().catch(() => {})
    );
    return {
      pid: child.pid,
      ended: (async () => {
        const { code } = await child.status;
        await closeInput();
        while (await more());
        return { code, stdout, stderr: await stderr };
      })(),
      closeInput,
      async line() {
        while (!stdout.slice(read).includes("\n")) {
          if (!await more()) throw new Error(`it ended: ${stdout}`);
        }
        const line = stdout.slice(read, stdout.indexOf("\n", read));
        read += line.length + 1;
        return line;
      },
    };
  }

  /** Runs a command in the place to its end. */
  run(...command: string[]): Promise<Ran> {
    return this.start(command, { stdin: "null" }).ended;
  }

  /** Runs a command of spfs in the place to its end. */
  spfs(...args: string[]): Promise<Ran> {
    return this.start([...program, ...args], { stdin: "null", env: this.environment }).ended;
  }

  /** The environment of the place's daemons and of commands that talk to them. */
  get environment(): Record<string, string> {
    return { SPFS_RUNTIME_DIR: this.path("run"), SPFS_SOCKET: "" };
  }

  /** Starts a process in the place; it is killed when the place goes, or after the time limit. */
  spawn(command: string[], options: Deno.CommandOptions): Deno.ChildProcess {
    const args = ["--mount", `--target=${this.#holder.pid}`, "--", ...command];
    const child = new Deno.Command("nsenter", { cwd: "/", ...options, args }).spawn();
    this.#children.add(child);
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    void child.status.finally(() => {
      clearTimeout(timer);
      this.#children.delete(child);
    });
    return child;
  }

  /** The sources of the mounts that can be seen at a path, the top one last. */
  async mounts(path: string): Promise<string[]> {
    const { stdout } = await this.run("cat", "/proc/self/mountinfo");
    return stdout.split("\n").map((line) => line.split(" ")).filter((fields) => fields[4] === path)
      .map((fields) => fields[fields.indexOf("-") + 1]!);
  }

  /** Ends everything in the place. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Daemons first: a client that waits in a stub is freed by that.
    const children = [...this.#children];
    for (const child of children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await Promise.all(children.map((child) => child.status));
    this.#holder.kill("SIGKILL");
    await this.#holder.status;
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** A daemon with a client on its stdin and stdout. */
export class TestDaemon {
  /** What it told. */
  readonly events: WireEvent[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #log: Promise<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  #output: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #closed = false;
  #heard: (() => void) | undefined;
  /** The client. */
  client!: ControlClient;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#log = new Response(child.stderr).text();
    this.#input = child.stdin.getWriter();
    void child.status.then(() => this.#input.close().catch(() => {}));
  }

  /** Starts a daemon in a place and introduces a client. */
  static async start(place: Place, ...args: string[]): Promise<TestDaemon> {
    const daemon = TestDaemon.spawn(place, ...args);
    await daemon.#introduce();
    return daemon;
  }

  /** Starts a daemon in a place. */
  static spawn(place: Place, ...args: string[]): TestDaemon {
    const child = place.spawn([...program, "serve", "--log-level", "debug", ...args], {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: place.environment,
    });
    return new TestDaemon(child);
  }

  async #introduce(): Promise<void> {
    const reader = this.#output = this.#child.stdout.getReader();
    let rest = new Uint8Array(0);
    const transport: Transport = {
      async read(buffer) {
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
      close: () => void this.#input.close().catch(() => {}),
    };
    this.client = await ControlClient.over(transport, {
      name: "test",
      events: "all",
      onEvent: (event) => {
        this.events.push(event);
        this.#heard?.();
      },
    });
  }

  /** Its pid. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Ends its input. */
  closeInput(): void {
    this.#closed = true;
    this.client.close();
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Its end: the exit code, or the signal that killed it. */
  async ended(): Promise<{ code: number; signal: string | null; log: string }> {
    const { code, signal } = await this.#child.status;
    // A client reads its daemon's output to the end; without one, or when it went first, nobody does.
    if (this.client === undefined) await this.#child.stdout.cancel();
    else if (this.#closed) await this.#output?.cancel();
    return { code, signal, log: await this.#log };
  }

  /** Resolves with the first event, past or to come, of this name that a predicate accepts. */
  async event(
    name: string,
    accept: (params: Record<string, unknown>) => boolean = () => true,
  ): Promise<WireEvent> {
    for (let at = 0;; at++) {
      while (at >= this.events.length) await new Promise<void>((resolve) => this.#heard = resolve);
      const event = this.events[at]!;
      if (event.event === name && accept(event.params as never)) return event;
    }
  }
}
