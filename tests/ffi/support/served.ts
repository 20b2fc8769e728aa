/**
 * Runs `served_child.ts` for a test.
 *
 * @module
 */
import { Agent } from "../../support/fuse/agent.ts";
import { within } from "../../support/fuse/stub_mount.ts";
import { lines } from "../../support/fuse/wire.ts";
import type { ServedOptions } from "./served_child.ts";

// deno-lint-ignore no-explicit-any
type Told = any;

const config = new URL("../../../deno.json", import.meta.url).pathname;

/** A mounted file system that tells what happens. */
export class Served implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #told: Told[] = [];
  readonly #ended: Promise<void>;
  #wake = Promise.withResolvers<void>();
  readonly #agents: Agent[] = [];
  /** Where it is mounted. */
  readonly mountpoint: string;

  private constructor(readonly base: string, program: string, args: string[], env: Record<string, string>) {
    this.mountpoint = `${base}/mnt`;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--no-check",
        "--no-lock",
        "--config",
        config,
        program,
        this.mountpoint,
        ...args,
      ],
      stdin: "piped",
      stdout: "piped",
      env,
    }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#ended = this.#read();
  }

  /** Starts `program`, which gets the mountpoint and further arguments. */
  static async run(program: string, args: string[] = [], env: Record<string, string> = {}): Promise<Served> {
    const base = await Deno.makeTempDir({ prefix: "spfs-ffi-" });
    await Deno.chmod(base, 0o755);
    await Deno.mkdir(`${base}/mnt`);
    return new Served(base, program, args, env);
  }

  /** Starts `served_child.ts`, and waits until it is mounted. */
  static async start(options: ServedOptions = {}): Promise<Served> {
    const program = new URL("./served_child.ts", import.meta.url).pathname;
    return await Served.run(program, [JSON.stringify(options)]);
  }

  /** Its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** The next event of this name; those before it are skipped, and kept for others. */
  async event(name: string): Promise<Told> {
    for (;;) {
      const index = this.#told.findIndex((told) => told.event === name);
      if (index >= 0) return this.#told.splice(index, 1)[0];
      await within(this.#wake.promise, `the event ${name}`);
    }
  }

  /** Events of this name that have come and were not taken. */
  pending(name: string): Told[] {
    return this.#told.filter((told) => told.event === name);
  }

  /** Sends a command. */
  async command(word: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${word}\n`));
  }

  /** A process that uses the mount. */
  agent(): Agent {
    const agent = new Agent();
    this.#agents.push(agent);
    return agent;
  }

  /** A path in the mount. */
  path(name: string): string {
    return `${this.mountpoint}/${name}`;
  }

  /** Its line in mountinfo. */
  async mountinfo(): Promise<string | undefined> {
    const lines = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n");
    return lines.find((line) => line.split(" ")[4] === this.mountpoint);
  }

  /** Waits until it is in mountinfo, for a program that tells nothing. */
  async mounted(): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (await this.mountinfo() === undefined) {
      if (performance.now() > deadline) throw new Error(`not mounted: ${this.mountpoint}`);
    }
  }

  /** Unmounts it. */
  async unmount(): Promise<void> {
    await new Deno.Command("umount", { args: ["-l", this.mountpoint], stderr: "null" }).output();
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL"); // closes /dev/fuse, which frees whoever waits
    } catch {
      // It has ended.
    }
    await within(this.#ended, "the end of the file system");
    await Promise.all(this.#agents.map((agent) => agent[Symbol.asyncDispose]()));
    await this.unmount();
    if (await this.mountinfo() !== undefined) throw new Error(`still mounted: ${this.mountpoint}`);
    await Deno.remove(this.base, { recursive: true });
  }

  async #read(): Promise<void> {
    for await (const line of lines(this.#process.stdout)) {
      this.#told.push(JSON.parse(line));
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
    const { code, signal } = await this.#process.status;
    this.#wake.reject(new Error(`the file system has ended: ${signal ?? code}`));
    this.#wake.promise.catch(() => {});
    await this.#writer.abort().catch(() => {});
  }
}
