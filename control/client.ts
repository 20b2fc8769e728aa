/**
 * A client of the control protocol, for programs and for the command line. Loads neither the schemas nor anything native: it is
 * typed, and leaves checking to the server.
 *
 * @module
 */

import { isObject, type RequestId } from "./envelope.ts";
import { ControlError, type WireError } from "./errors.ts";
import { formatLine, isBlank, parseLine } from "./json_line.ts";
import { LineSplitter } from "./lines.ts";
import { Output } from "./output.ts";
import type { Transport } from "./transport.ts";
import { protocolVersion } from "./version.ts";
import type { Hello, InitializeParams, MethodName, WireEvent, WireMethods } from "./wire.ts";

/** The daemon cannot be reached, is no spfs, or went away while a reply was awaited. */
export class ConnectionError extends Error {
  /** The error's name. */
  override readonly name = "ConnectionError";
}

/** How a client introduces itself, and what it wants to hear. */
export interface ClientOptions {
  /** What the client calls itself in the daemon's log. */
  name: string;
  /** Its version. */
  version?: string | undefined;
  /** What the daemon does when this connection ends. */
  onEof?: InitializeParams["onEof"] | undefined;
  /** The events to be told of; none when absent. */
  events?: InitializeParams["events"] | undefined;
  /** Called for every event, in order, before the reply to the request that caused it. Must not throw. */
  onEvent?: (event: WireEvent) => void;
}

/** Options of a call. */
export interface CallOptions {
  /** Sends `cancel` for the request when aborted. The call then settles as the daemon answers it. */
  signal?: AbortSignal | undefined;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** The longest line that a client takes, in bytes: a `status` with all its requests is the longest there is. */
const maxReplyBytes = 256 * 1024 * 1024;

/** A conversation with a daemon. Requests may overlap. */
export class ControlClient implements Disposable {
  readonly #transport: Transport;
  readonly #output: Output;
  readonly #onEvent: (event: WireEvent) => void;
  readonly #pending = new Map<RequestId, Pending>();
  readonly #hello = Promise.withResolvers<Hello>();
  readonly #closed = Promise.withResolvers<void>();
  #failure: ConnectionError | undefined;
  #nextId = 1;
  /** What the daemon takes in a line; known from its hello. */
  #maxLineBytes = Infinity;

  private constructor(transport: Transport, onEvent: (event: WireEvent) => void) {
    this.#transport = transport;
    this.#onEvent = onEvent;
    this.#output = new Output(transport, () => this.#end("the daemon closed the connection"));
    this.#hello.promise.catch(() => {});
  }

  /**
   * Begins a conversation over a transport, which the client owns from now on.
   *
   * @throws {ConnectionError} when what answers is no spfs, or nothing does
   * @throws {ControlError} `unsupported_protocol` when the daemon speaks another major version
   */
  static async over(transport: Transport, options: ClientOptions): Promise<ControlClient> {
    const client = new ControlClient(transport, options.onEvent ?? (() => {}));
    void client.#readAll();
    try {
      const initialized = client.call("initialize", {
        client: { name: options.name, version: options.version },
        protocol: protocolVersion,
        onEof: options.onEof,
        events: options.events,
      });
      const [hello] = await Promise.all([client.#hello.promise, initialized]);
      client.#maxLineBytes = hello.limits?.maxLineBytes ?? Infinity;
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** What the daemon said of itself. */
  get hello(): Promise<Hello> {
    return this.#hello.promise;
  }

  /** Resolves when the conversation is over, whoever ended it. Never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Calls a method.
   *
   * @throws {ControlError} what the daemon refused or failed the request with
   * @throws {ConnectionError} when the connection ends before the reply
   */
  call<M extends MethodName>(
    method: M,
    params: WireMethods[M]["params"],
    options: CallOptions = {},
  ): Promise<WireMethods[M]["result"]> {
    return this.callUntyped(method, params, options) as Promise<WireMethods[M]["result"]>;
  }

  /** Calls a method that this version of the client need not know, with any parameters; fails as {@linkcode call} does. */
  callUntyped(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    const line = formatLine({ jsonrpc: "2.0", id, method, params });
    if (line.length > this.#maxLineBytes) {
      const message =
        `${method}: the request is longer than the ${this.#maxLineBytes} bytes that the daemon takes`;
      return Promise.reject(new ControlError("invalid_request", message));
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    this.#output.send(line);
    const { signal } = options;
    if (signal === undefined) return promise;
    const cancel = () => void this.call("cancel", { request: id }).catch(() => {});
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", cancel));
  }

  /** Ends the conversation. Calls under way fail with a ConnectionError; what they ordered goes on. */
  close(): void {
    this.#end("the connection was closed");
  }

  /** Ends the conversation. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #readAll(): Promise<void> {
    const splitter = new LineSplitter(maxReplyBytes);
    const buffer = new Uint8Array(65_536);
    let reason = "the daemon closed the connection";
    try {
      while (this.#failure === undefined) {
        const count = await this.#transport.read(buffer);
        if (count === null) break;
        for (const line of splitter.push(buffer.subarray(0, count))) {
          if (line.kind !== "line") throw new TypeError("a line is too long");
          if (!isBlank(line.bytes)) this.#take(parseLine(line.bytes));
        }
      }
    } catch (error) {
      reason = `the connection broke: ${(error as Error).message}`;
    }
    this.#end(reason);
  }

  #take(message: unknown): void {
    if (!isObject(message)) throw new TypeError("the other side does not speak the control protocol");
    if (typeof message.method === "string") {
      const params = message.params;
      if (message.method === "hello") this.#hello.resolve(params as unknown as Hello);
      else this.#onEvent({ event: message.method, params } as WireEvent);
      return;
    }
    // Whatever line that was: its request is never answered.
    if (message.id === null) throw new TypeError("the daemon could not read a request");
    const pending = this.#pending.get(message.id as RequestId);
    if (pending === undefined) return;
    this.#pending.delete(message.id as RequestId);
    if (isObject(message.error)) pending.reject(ControlError.fromWire(message.error as unknown as WireError));
    else pending.resolve(message.result);
  }

  #end(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ConnectionError(reason);
    this.#output.end();
    try {
      this.#transport.close();
    } catch {
      // Closed already.
    }
    this.#hello.reject(this.#failure);
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    this.#closed.resolve();
  }
}

/**
 * Connects to a daemon's unix socket.
 *
 * @throws {ConnectionError} when nobody listens there, or not an spfs
 * @throws {ControlError} `unsupported_protocol`
 */
export async function connect(path: string, options: ClientOptions): Promise<ControlClient> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (error) {
    throw new ConnectionError(`cannot reach ${path}: ${(error as Error).message}`, { cause: error });
  }
  return await ControlClient.over(connection, options);
}
