/**
 * The daemon: the control protocol on stdin and stdout, and on a socket if one is wanted; signals; and when it ends.
 *
 * It ends
 * - by `quit`, which may name an errno, and by SIGTERM, SIGINT and SIGHUP: parked requests are answered with the errno, mounts are taken
 *   off;
 * - when its input ends and what was chosen for that is "abort": likewise;
 * - when its input ends and what was chosen is "linger": as soon as there is no mount left, if there has been one or nobody else can
 *   order one because there is no socket. Without a socket nobody can order what a stub waits for, either: it is ended.
 *   "linger-if-used" is the same, but for a daemon that has made no mount by then, which ends.
 *
 * @module
 */

import { resolve } from "@std/path";
import { ControlError } from "../control/errors.ts";
import type { Connection, Handler } from "../control/handler.ts";
import { ControlServer } from "../control/server.ts";
import { stdio } from "../control/transport.ts";
import type { MountThreads } from "./ahead.ts";
import type { DaemonContext } from "./daemon_context.ts";
import { makeDescriptorRoom } from "./descriptor_room.ts";
import { exitCodes } from "./exit_codes.ts";
import { createLog, fileSink, type Log, stderrSink } from "./log.ts";
import { createRunJob } from "./namespace_jobs.ts";
import { formatOwnerTag, type Owner, ownOwner } from "./owner_tag.ts";
import { needsRepair, repair } from "./repair.ts";
import { ensurePrivateDirectory, ownerDirectoryName, runtimeDirectory } from "./runtime_directory.ts";
import type { ServeOptions } from "./serve.ts";
import { type ControlSocket, listenAt, SocketError } from "./socket.ts";
import { Supervisor } from "./supervisor.ts";
import { createRunSwap } from "./swap_jobs.ts";
import { supportsBeneath } from "./swap_support.ts";
import { within } from "./time_limit.ts";
import { startTracer } from "./tracer_process.ts";
import { startNamespaceWorker } from "./workers.ts";

/** How long clients have to read their last replies, in milliseconds. */
const lastRepliesMs = 1000;

/** How long the end of all mounts may take, in milliseconds; each has its own, shorter limits. */
const endWithinMs = 20_000;

/** How long the log has to be written out, in milliseconds. */
const flushMs = 500;

/** Runs the daemon to its end; returns the exit code. `threads`: its mount workers. */
export async function runDaemon(options: ServeOptions, threads: MountThreads): Promise<number> {
  const socket = options.socket === undefined ? undefined : resolve(options.socket);
  let log: Log;
  try {
    log = createLog(options.logLevel, options.log === undefined ? stderrSink : fileSink(options.log));
  } catch (error) {
    console.error(`spfs: cannot open the log ${options.log}: ${(error as Error).message}`);
    return exitCodes.failed;
  }
  // A current directory in a mount would keep it busy, or be in a stub.
  Deno.chdir("/");
  // A mount needs a few descriptors for each node that is in use.
  const limit = makeDescriptorRoom();
  if (limit !== undefined) log.write("warn", `the limit of open files stays at ${limit}`);
  const daemon = new Daemon(options, log, threads);
  try {
    if (socket !== undefined) await daemon.listen(socket);
  } catch (error) {
    log.write("error", (error as Error).message);
    await log.flush(flushMs);
    return error instanceof SocketError && error.inUse ? exitCodes.unreachable : exitCodes.failed;
  }
  return await daemon.run();
}

class Daemon {
  readonly #options: ServeOptions;
  readonly #log: Log;
  readonly #server: ControlServer;
  readonly #supervisor: Supervisor;
  readonly #owner: Owner = ownOwner();
  readonly #directory = runtimeDirectory();
  readonly #finished = Promise.withResolvers<number>();
  readonly #connected = new Set<Promise<void>>();
  #socket: ControlSocket | undefined;
  #inputEnded = false;
  /** Whether it is for its client on stdin, and ends with that unless there have been mounts. */
  #unusedEnds = false;
  #quitting = false;
  #ending = false;

  constructor(options: ServeOptions, log: Log, threads: MountThreads) {
    this.#options = options;
    this.#log = log;
    const run = createRunJob(startNamespaceWorker);
    const context: DaemonContext = {
      ownerTag: formatOwnerTag(this.#owner),
      log,
      run,
      runSwap: createRunSwap((events) => startTracer(events, options.tracer)),
      takeMountThread: threads.take,
      keepMountThread: threads.keep,
      emit: (event, params) => {
        this.#server.emit(event, params);
        // One that has failed waits for an order.
        if (event === "replace.progress") this.#checkSoon();
      },
      areas: () => this.#areas(),
    };
    // Once the client has been greeted.
    const repaired = new Promise((resolve) => setTimeout(resolve)).then(() => this.#repair(run));
    const hooks = { idle: () => this.#checkSoon(), quit: () => this.#quit() };
    this.#supervisor = new Supervisor(context, hooks, repaired);
    this.#server = new ControlServer(this.#handler());
  }

  /** Listens at a path. @throws {SocketError} */
  async listen(path: string): Promise<void> {
    let count = 0;
    this.#socket = await listenAt(path, {
      connected: (connection) => this.#track(this.#server.serve(connection, { label: `socket ${++count}` })),
      refused: (reason) => this.#log.write("warn", reason),
    });
  }

  /** Serves until the end. */
  async run(): Promise<number> {
    this.#catchSignals();
    this.#catchDefects();
    this.#log.write("info", `serving, pid ${Deno.pid}`);
    this.#track(this.#server.serve(stdio(), { label: "stdio", persistent: true }));
    const code = await this.#finished.promise;
    this.#socket?.close();
    await this.#server.close(lastRepliesMs);
    this.#removeAreas();
    this.#log.write("info", `ends with exit code ${code}`);
    await this.#log.flush(flushMs);
    return code;
  }

  #track(connection: Promise<void>): void {
    this.#connected.add(connection);
    void connection.finally(() => this.#connected.delete(connection));
  }

  #handler(): Handler {
    return {
      methods: this.#supervisor.methods,
      capabilities: { moveMountBeneath: supportsBeneath(), kernel: Deno.osRelease(), pid: Deno.pid },
      inputEnded: (connection) => this.#endOfInput(connection),
      failed: (method, error) => {
        const text = error instanceof Error ? error.stack ?? error.message : String(error);
        this.#log.write("error", text, { request: method });
      },
    };
  }

  /** A client's input ended. What follows is for the client of stdin to say; one of a socket counts when it said something. */
  #endOfInput(connection: Connection): void {
    const isStdio = connection.label === "stdio";
    const onEof = connection.onEof ?? (isStdio ? this.#options.onEof : undefined);
    if (isStdio) this.#inputEnded = true;
    if (onEof === "linger-if-used") this.#unusedEnds = true;
    if (onEof === "abort") {
      void this.#end(`the input of ${connection.label} ended`, exitCodes.ok);
    } else if (isStdio) this.#checkSoon();
  }

  /** Looks, when everything that happens now has happened, whether there is anything left to do, and anybody left to order it. */
  #checkSoon(): void {
    setTimeout(() => {
      const { mounts, requests } = this.#supervisor.busy;
      if (this.#ending || requests > 0) return;
      if (this.#inputEnded && this.#socket === undefined) this.#supervisor.endOrphans(this.#options.errno);
      if (mounts > 0) return;
      const alone = this.#supervisor.made > 0 || this.#socket === undefined || this.#unusedEnds;
      const lingered = this.#inputEnded && alone;
      if (this.#quitting || lingered) void this.#end("nothing is left to do", exitCodes.ok);
    });
  }

  #quit(): void {
    this.#quitting = true;
    this.#server.stop();
  }

  /** Ends every mount, then the daemon. */
  async #end(reason: string, code: number): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#log.write("info", `ending: ${reason}`);
    this.#server.stop();
    this.#socket?.close();
    this.#socket = undefined;
    await within(endWithinMs, this.#supervisor.endAll(this.#options.errno));
    this.#finished.resolve(code);
  }

  #catchSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      Deno.addSignalListener(signal, () => void this.#end(signal, exitCodes.ok));
    }
  }

  /** An error that nobody caught is a defect. What state it left is unknown, so everything ends, and no mount is left that hangs. */
  #catchDefects(): void {
    const fail = (event: Event, error: unknown) => {
      event.preventDefault();
      this.#log.write("error", error instanceof Error ? error.stack ?? error.message : String(error));
      void this.#end("an internal error", exitCodes.failed);
    };
    globalThis.addEventListener("error", (event) => fail(event, event.error));
    globalThis.addEventListener("unhandledrejection", (event) => fail(event, event.reason));
  }

  #areas(): { runtimeDirectory: string; ownerTag: string } {
    const path = `${this.#directory}/${ownerDirectoryName(this.#owner)}`;
    try {
      ensurePrivateDirectory(this.#directory);
      ensurePrivateDirectory(path);
    } catch (error) {
      const message = `no private directory for mounts: ${(error as Error).message}`;
      throw new ControlError("system", message, { errno: "EACCES", path });
    }
    return { runtimeDirectory: path, ownerTag: formatOwnerTag(this.#owner) };
  }

  #removeAreas(): void {
    try {
      Deno.removeSync(`${this.#directory}/${ownerDirectoryName(this.#owner)}`);
    } catch {
      // There is none, or something in it still hangs; `repair` finds it.
    }
  }

  async #repair(run: DaemonContext["run"]): Promise<void> {
    try {
      if (!needsRepair(this.#directory)) return;
      for (const { kind, path, error } of await repair(this.#directory, run)) {
        const text = error === undefined
          ? `removed what a dead spfs left: ${kind} ${path}`
          : `${kind} ${path}: ${error}`;
        this.#log.write("warn", text);
      }
    } catch (error) {
      this.#log.write("error", `removing what a dead spfs left: ${(error as Error).message}`);
    }
  }
}
