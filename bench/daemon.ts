/**
 * A daemon to be measured: spawned as CRIU would, driven over its stdin and stdout.
 *
 * @module
 */
import { ControlClient } from "../control/client.ts";
import type { WireEvent } from "../control/wire.ts";

/** How to start spfs: the compiled program, or the sources with `deno run`. */
export interface Program {
  /** "compiled" or "deno run". */
  readonly name: string;
  /** The executable. */
  readonly command: string;
  /** What comes before spfs's own arguments. */
  readonly args: readonly string[];
}

/** A running daemon. */
export class Daemon implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Its control connection. */
  readonly control: ControlClient;
  /** Called for each event. */
  onEvent: (event: WireEvent) => void = () => {};

  private constructor(child: Deno.ChildProcess, control: ControlClient) {
    this.#child = child;
    this.control = control;
  }

  /** Spawns `spfs serve`. `prefix` is put before the command, to pin it to a CPU. */
  static async start(
    program: Program,
    options: { socket?: string; prefix?: readonly string[] } = {},
  ): Promise<Daemon> {
    const [command, ...args] = [...options.prefix ?? [], program.command, ...program.args, "serve"];
    if (options.socket !== undefined) args.push("--socket", options.socket);
    const child = new Deno.Command(command!, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    const reader = child.stdout.getReader({ mode: "byob" });
    const writer = child.stdin.getWriter();
    let daemon: Daemon | undefined;
    const control = await ControlClient.over({
      async read(buffer) {
        const { value, done } = await reader.read(new Uint8Array(buffer.length));
        if (done) return null;
        buffer.set(value);
        return value.length;
      },
      async write(bytes) {
        await writer.write(bytes);
        return bytes.length;
      },
      close() {
        writer.close().catch(() => {});
        reader.cancel().catch(() => {});
      },
    }, { name: "bench", events: "all", onEvent: (event) => daemon?.onEvent(event) });
    return daemon = new Daemon(child, control);
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Ends it with all its mounts, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.control.call("quit", { force: true }).catch(() => this.#child.kill("SIGKILL"));
    await this.#child.status;
    this.control.close();
  }
}

/** A figure of /proc/PID/status in its own unit: "VmRSS" in kB, "Threads". */
export function processStatus(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  if (match === null) throw new Error(`/proc/${pid}/status has no ${name}`);
  return Number(match[1]);
}

/** CPU time that a process has used, in milliseconds (clock ticks of 10 ms). */
export function cpuTimeMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
