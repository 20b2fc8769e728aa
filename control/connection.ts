/**
 * One client of the server: hello, initialize, requests in flight, cancel, events, the end.
 *
 * @module
 */

import { EnvelopeFault, readRequest, type RequestId, type RequestMessage } from "./envelope.ts";
import { ControlError } from "./errors.ts";
import { eventNames } from "./events.ts";
import type { Connection, HostMethod, RequestContext } from "./handler.ts";
import { formatLine, isBlank, parseLine } from "./json_line.ts";
import { limits } from "./limits.ts";
import { type Line, LineSplitter } from "./lines.ts";
import { Output } from "./output.ts";
import type { MethodName, Params } from "./protocol.ts";
import type { ServeConnectionOptions, ServerState } from "./server.ts";
import type { Transport } from "./transport.ts";
import { decodeParams, encodeResult, isMethod } from "./validation.ts";
import { protocolVersion, version } from "./version.ts";

/** Methods that begin at once, whatever is queued. */
const jumpers: ReadonlySet<MethodName> = new Set(["status", "mount.abort", "quit"] as const);

/** Queue jumpers get this much room beyond the limit, so that a full queue can still be looked at and aborted. */
const jumperRoom = 64;

/** Reading stops while the requests in flight came in more bytes than this. */
const maxInFlightBytes = 4 * limits.maxLineBytes;

/** A request between its line and its reply. */
interface InFlight {
  readonly method: string;
  readonly bytes: number;
  readonly abort: AbortController;
  /** Leaves the schedule. */
  leave: () => void;
  begun: boolean;
  committed: boolean;
}

/** A client, from hello to its end. */
export class ServerConnection implements Connection {
  readonly id: number;
  readonly label: string;
  client = "";
  onEof: "linger" | "abort" | undefined;

  readonly #server: ServerState;
  readonly #transport: Transport;
  readonly #persistent: boolean;
  readonly #output: Output;
  readonly #inFlight = new Map<RequestId, InFlight>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #events = new Set<string>();
  #initialized = false;
  #ended = false;
  #inputOver = false;
  #seq = 0;
  #inFlightBytes = 0;
  #roomMade: (() => void) | undefined;

  /** Makes a client of a server; {@linkcode run} serves it. */
  constructor(server: ServerState, transport: Transport, id: number, options: ServeConnectionOptions) {
    this.#server = server;
    this.#transport = transport;
    this.#persistent = options.persistent ?? false;
    this.id = id;
    this.label = options.label;
    this.#output = new Output(transport, () => this.end());
  }

  /** Serves the client; resolves when it is gone. Never rejects. */
  async run(): Promise<void> {
    this.#output.send(formatLine({
      jsonrpc: "2.0",
      method: "hello",
      params: {
        protocol: protocolVersion,
        program: { name: "spfs", version },
        capabilities: this.#server.handler.capabilities,
        limits,
      },
    }));
    void this.#readAll();
    await this.#closed.promise;
  }

  /** Whether the client asked for an event. */
  wants(event: string): boolean {
    return this.#events.has(event) && !this.#ended;
  }

  /** Sends an event whose parameters are encoded. One that still waits under the same `key` gives way to it. */
  sendEvent(event: string, params: Record<string, unknown>, key: string | undefined): void {
    const seq = ++this.#seq;
    const line = formatLine({ jsonrpc: "2.0", method: event, params: { seq, ...params } });
    this.#output.sendEvent(key ?? String(seq), line);
  }

  /** Resolves when everything queued for the client is written, or it is gone. */
  drained(): Promise<void> {
    return this.#output.drained();
  }

  /** Ends the connection. Requests that were accepted are still performed. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#output.end();
    try {
      this.#transport.close();
    } catch {
      // Closed already by the other side.
    }
    this.#endInput();
    this.#server.handler.closed?.(this);
    this.#closed.resolve();
  }

  async #readAll(): Promise<void> {
    const splitter = new LineSplitter(limits.maxLineBytes);
    const buffer = new Uint8Array(65_536);
    try {
      while (!this.#ended) {
        const count = await this.#transport.read(buffer);
        if (count === null) break;
        for (const line of splitter.push(buffer.subarray(0, count))) {
          this.#take(line);
          await this.#room();
          if (this.#ended) return;
        }
      }
    } catch {
      // A channel that breaks has ended.
    }
    if (this.#ended) return;
    const rest = splitter.end();
    if (rest !== undefined) this.#take(rest);
    this.#endInput();
    this.#endIfIdle();
  }

  /** Waits until the client has read enough of its replies, and enough of its requests are done, to take another. */
  async #room(): Promise<void> {
    if (this.#output.isFull) await this.#output.belowHighWater();
    while (this.#inFlightBytes > maxInFlightBytes && !this.#ended) {
      await new Promise<void>((resolve) => this.#roomMade = resolve);
    }
  }

  #endInput(): void {
    if (this.#inputOver) return;
    this.#inputOver = true;
    this.#server.handler.inputEnded?.(this);
  }

  /** A socket whose input is over has nothing to live for but its last replies. */
  #endIfIdle(): void {
    if (!this.#inputOver || this.#persistent || this.#inFlight.size > 0) return;
    void this.#output.drained().then(() => this.end());
  }

  #take(line: Line): void {
    if (line.kind === "line") {
      if (!isBlank(line.bytes)) this.#takeLine(line.bytes, line.number);
      return;
    }
    const message = line.kind === "tooLong"
      ? `the line is longer than ${limits.maxLineBytes} bytes`
      : "input ended in the middle of a line";
    this.#fail(null, new ControlError("parse_error", message, { detail: `line ${line.number}` }));
  }

  #takeLine(bytes: Uint8Array, number: number): void {
    let value: unknown;
    try {
      value = parseLine(bytes);
    } catch (error) {
      const { message } = error as ControlError;
      return this.#fail(null, new ControlError("parse_error", message, { detail: `line ${number}` }));
    }
    const request = readRequest(value);
    if (request === "response") return;
    if (request instanceof EnvelopeFault) return this.#fail(request.id, request.error);
    if (this.#inFlight.has(request.id)) {
      const message = `a request with id ${JSON.stringify(request.id)} is still in flight`;
      return this.#fail(request.id, new ControlError("invalid_request", message));
    }
    try {
      this.#dispatch(request, bytes.length);
    } catch (error) {
      this.#fail(request.id, this.#controlError(request.method, error));
    }
  }

  /** Begins or queues a valid request; throws what it is refused with. */
  #dispatch(request: RequestMessage, bytes: number): void {
    const { id, method, params = {} } = request;
    if (!isMethod(method)) {
      throw new ControlError("method_not_found", `no method ${JSON.stringify(method.slice(0, 64))}`);
    }
    if (method === "initialize") {
      return this.#output.send(
        success(id, encodeResult(method, this.#initialize(decodeParams(method, params)))),
      );
    }
    if (!this.#initialized) throw new ControlError("not_initialized", `${method} before initialize`);
    if (method === "cancel") {
      const cancelled = this.#cancel(decodeParams(method, params).request);
      return this.#output.send(success(id, encodeResult(method, { cancelled })));
    }
    const jumps = jumpers.has(method);
    if (this.#server.stopping && !jumps) throw shuttingDown();
    if (this.#inFlight.size >= limits.maxInFlight + (jumps ? jumperRoom : 0)) {
      throw new ControlError("overloaded", `more than ${limits.maxInFlight} requests in flight`);
    }
    const decoded = decodeParams(method, params);
    const inFlight: InFlight = {
      method,
      bytes,
      abort: new AbortController(),
      leave: () => {},
      begun: false,
      committed: false,
    };
    this.#inFlight.set(id, inFlight);
    this.#inFlightBytes += bytes;
    const begin = (leave: () => void) => {
      inFlight.leave = leave;
      inFlight.begun = true;
      void this.#perform(id, method, decoded, inFlight);
    };
    if (jumps) begin(() => {});
    else inFlight.leave = this.#server.schedule.enter(mountOf(method, decoded), begin);
  }

  #initialize(
    params: Params<"initialize">,
  ): { protocol: { major: number; minor: number }; events: string[] } {
    if (params.protocol.major !== protocolVersion.major) {
      const message = `protocol ${params.protocol.major} is not supported, ${protocolVersion.major} is`;
      throw new ControlError("unsupported_protocol", message);
    }
    if (this.#initialized) throw new ControlError("invalid_request", "initialize was called before");
    this.#initialized = true;
    this.client = params.client.version === undefined
      ? params.client.name
      : `${params.client.name} ${params.client.version}`;
    this.onEof = params.onEof;
    const events = params.events === "all" ? eventNames : params.events;
    for (const event of events) this.#events.add(event);
    this.#server.handler.initialized?.(this);
    return { protocol: protocolVersion, events: [...this.#events] };
  }

  /** Whether a request of this connection was told to end before its point of no return. */
  #cancel(id: RequestId): boolean {
    const request = this.#inFlight.get(id);
    if (request === undefined || request.committed || request.abort.signal.aborted) return false;
    const reason = new ControlError("cancelled", `${request.method} was cancelled`);
    request.abort.abort(reason);
    if (!request.begun) {
      request.leave();
      this.#finish(id, request, failure(id, reason));
    }
    return true;
  }

  async #perform(id: RequestId, method: HostMethod, params: unknown, request: InFlight): Promise<void> {
    let line: string;
    try {
      if (this.#server.stopping && !jumpers.has(method)) throw shuttingDown();
      line = success(id, encodeResult(method, await this.#call(method, params, this.#context(request))));
    } catch (error) {
      line = failure(id, this.#controlError(method, error));
    }
    this.#finish(id, request, line);
    request.leave();
  }

  #call(method: HostMethod, params: unknown, context: RequestContext): Promise<unknown> {
    const methods = this.#server.handler.methods as Record<
      HostMethod,
      (params: unknown, context: RequestContext) => Promise<unknown>
    >;
    return methods[method](params, context);
  }

  #context(request: InFlight): RequestContext {
    return {
      connection: this,
      signal: request.abort.signal,
      emit: this.#server.emit,
      beginCommit: () => {
        request.abort.signal.throwIfAborted();
        request.committed = true;
      },
      letNextBegin: () => request.leave(),
    };
  }

  #finish(id: RequestId, request: InFlight, line: string): void {
    this.#inFlight.delete(id);
    this.#inFlightBytes -= request.bytes;
    this.#roomMade?.();
    this.#output.send(line);
    this.#endIfIdle();
  }

  #controlError(method: string, error: unknown): ControlError {
    if (error instanceof ControlError) return error;
    this.#server.handler.failed?.(method, error);
    const message = error instanceof Error ? error.message : String(error);
    return new ControlError("internal", `${method}: ${message}`);
  }

  #fail(id: RequestId | null, error: ControlError): void {
    this.#output.send(failure(id, error));
  }
}

function success(id: RequestId, result: Record<string, unknown>): string {
  return formatLine({ jsonrpc: "2.0", id, result });
}

function failure(id: RequestId | null, error: ControlError): string {
  return formatLine({ jsonrpc: "2.0", id, error: error.toWire() });
}

function shuttingDown(): ControlError {
  return new ControlError("shutting_down", "spfs is shutting down");
}

/** Stands for the mounts of a swap, which need be none of those that have names. Not the name of any. */
const swaps = " swaps";

/** The mount whose requests a request waits for. */
function mountOf(method: HostMethod, params: unknown): string {
  if (method === "swap.plan" || method === "swap.run") return swaps;
  if (method.startsWith("restore.")) return "all";
  const { id, mount } = params as { id: string; mount: string };
  return method === "mount.create" ? id : mount;
}
