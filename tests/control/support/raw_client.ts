import { LineSplitter } from "../../../control/lines.ts";
import { ControlServer } from "../../../control/server.ts";
import type { Handler } from "../../../control/handler.ts";
import { type End, pair } from "./pipe.ts";

/** A parsed line from the server. */
// deno-lint-ignore no-explicit-any
export type Message = any;

/** A client that sends any bytes and reads the server's lines one at a time. */
export class RawClient {
  readonly #splitter = new LineSplitter(1 << 26);
  readonly #lines: string[] = [];
  readonly #buffer = new Uint8Array(65_536);
  readonly #decoder = new TextDecoder();

  constructor(readonly end: End) {}

  /** Sends bytes or text as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.end.write(bytes.subarray(at));
  }

  /** Sends a request. */
  request(id: unknown, method: string, params?: unknown): Promise<void> {
    return this.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
  }

  /** Sends `initialize` and takes hello and the answer. */
  async initialize(params: Record<string, unknown> = {}): Promise<void> {
    await this.request("init", "initialize", { client: { name: "test" }, protocol: { major: 1 }, ...params });
    for (;;) {
      const message = await this.next();
      if (message?.id === "init") return;
    }
  }

  /** The next line's text, undefined at the end. */
  async nextLine(): Promise<string | undefined> {
    while (this.#lines.length === 0) {
      const count = await this.end.read(this.#buffer);
      if (count === null) return undefined;
      for (const line of this.#splitter.push(this.#buffer.subarray(0, count))) {
        if (line.kind === "line") this.#lines.push(this.#decoder.decode(line.bytes));
      }
    }
    return this.#lines.shift();
  }

  /** The next line, parsed; undefined at the end. */
  async next(): Promise<Message> {
    const line = await this.nextLine();
    return line === undefined ? undefined : JSON.parse(line);
  }

  /** Every line up to the end. */
  async rest(): Promise<Message[]> {
    const messages: Message[] = [];
    for (let message = await this.next(); message !== undefined; message = await this.next()) {
      messages.push(message);
    }
    return messages;
  }
}

/** A server for a handler and one client of it. `served` resolves when the server has let the client go. */
export function serveOne(
  handler: Handler,
  options: { persistent?: boolean; capacity?: number } = {},
): { server: ControlServer; client: RawClient; served: Promise<void> } {
  const server = new ControlServer(handler);
  const { client, served } = connectTo(server, options);
  return { server, client, served };
}

/** One more client of a server. */
export function connectTo(
  server: ControlServer,
  options: { persistent?: boolean; capacity?: number } = {},
): { client: RawClient; served: Promise<void> } {
  const [near, far] = pair(options.capacity);
  const served = server.serve(far, { label: "test", persistent: options.persistent ?? false });
  return { client: new RawClient(near), served };
}
