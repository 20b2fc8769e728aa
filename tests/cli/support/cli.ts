import { main } from "../../../cli/main.ts";
import type { HostMethods } from "../../../control/handler.ts";
import { ControlServer } from "../../../control/server.ts";
import { fakeHost } from "../../control/support/fake_host.ts";

/** What a command did. */
export interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Runs a command in this process. */
export async function run(
  args: string[],
  given: { env?: Record<string, string>; input?: string } = {},
): Promise<Outcome> {
  const outcome = { code: 0, out: "", err: "" };
  outcome.code = await main(args, {
    out: (text) => outcome.out += text,
    err: (text) => outcome.err += text,
    input: () => Promise.resolve(given.input ?? ""),
    env: (name) => given.env?.[name],
  });
  return outcome;
}

/** A daemon with a fake host behind a real socket. */
export class Daemon implements AsyncDisposable {
  readonly server: ControlServer;
  readonly socket: string;
  readonly #listener: Deno.UnixListener;
  readonly #accepting: Promise<void>;

  private constructor(readonly directory: string, methods: Partial<HostMethods>) {
    this.server = new ControlServer(fakeHost(methods));
    this.socket = `${directory}/control.sock`;
    this.#listener = Deno.listen({ transport: "unix", path: this.socket });
    this.#accepting = this.#accept();
  }

  static async start(methods: Partial<HostMethods>): Promise<Daemon> {
    return new Daemon(await Deno.makeTempDir({ prefix: "spfs-cli-" }), methods);
  }

  /** Runs a command against this daemon. */
  run(args: string[], given: { env?: Record<string, string>; input?: string } = {}): Promise<Outcome> {
    return run(args, { ...given, env: { SPFS_SOCKET: this.socket, ...given.env } });
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) void this.server.serve(connection, { label: "socket" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close(1000);
    this.#listener.close();
    await this.#accepting;
    await Deno.remove(this.directory, { recursive: true });
  }
}
