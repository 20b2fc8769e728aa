/**
 * `spfs restore`: runs CRIU's restore with spfs as its action script, shows how it goes, and waits, if it is to, until the real file
 * systems are in place. It starts the daemon, while CRIU starts; the action script gives it its orders, or starts another one if it is gone:
 * whatever happens to this command, the restore goes on as without it.
 *
 * @module
 */

import { type ClientOptions, connect, ConnectionError, type ControlClient } from "../control/client.ts";
import { version } from "../control/version.ts";
import type { RestoreConfig, WireEvent } from "../control/wire.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { ensurePrivateDirectory } from "../host/runtime_directory.ts";
import { pause, within } from "../host/time_limit.ts";
import { every } from "../host/timer.ts";
import { type CriuCommand, parseCriuCommand } from "./criu_command.ts";
import { criuReasons, runCriu } from "./criu_run.ts";
import { parseDelayedMount, withDelayed } from "./delayed_words.ts";
import { eventLine } from "./event_line.ts";
import { LiveScreen } from "./live_screen.ts";
import { absolute } from "./mount.ts";
import { startDaemon } from "./own_daemon.ts";
import { Progress, progressLines, summaryLines } from "./progress.ts";
import { readConfigFile, readRestoreConfig } from "./restore_config.ts";
import { runtimeDirectoryOf } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** The options of `spfs restore`. */
export interface RestoreOptions {
  /** A file that says what is to be delayed. */
  config?: string;
  /** Mounts that are to be delayed. */
  mount?: string[];
  /** Types of mounts that are to be delayed. */
  type?: string[];
  /** Whether to wait until everything is replaced. */
  wait?: boolean;
  /** Whether the tree is to stand still until the real file systems are in place, or cannot be mounted. */
  stopped?: boolean;
  /** The daemon's log. */
  log?: string;
  /** Whether to print JSON lines. */
  json?: boolean;
}

/** How often it is looked for the socket of a daemon that the action script starts, or for the end of its mounts, in milliseconds. */
const everyMs = 10;

/** How long the daemon may take to start, in milliseconds. */
const startMs = 30_000;

/** How often a live view is looked at, in milliseconds: its countdowns go by tenths of a second. */
const drawMs = 100;

/** How long the stand-ins of a failed restore may take to be gone, in milliseconds. */
const undoneMs = 10_000;

/** Runs `criu restore`. @returns CRIU's exit code when it fails, else "failed" when not everything that was waited for is replaced */
export async function restore(
  words: readonly string[],
  options: RestoreOptions,
  terminal: Terminal,
): Promise<number> {
  const command = parseCriuCommand(words, "restore");
  const config = await configOf(command, options, terminal);
  const view = viewOf(command, options, terminal);
  const progress = new Progress();
  const log = logOf(command, options, terminal);
  const runtime = runtimeDirectoryOf(terminal);
  const socket = `${runtime}/restore-${Deno.pid}.sock`;
  const listener = listen(progress, view);
  ensurePrivateDirectory(runtime);
  // Where another program runs CRIU, it may be to run it in other namespaces, and the daemon as well.
  const own = command.program === 0 ? startDaemon(socket, log, startMs, listener) : undefined;
  const criuOver = new AbortController();
  // If it does not come up, the action script starts another one, or tells why it cannot.
  const connecting = (own?.client.then(listener.begin) ?? Promise.reject())
    .catch(() => follow(socket, listener, criuOver.signal));
  connecting.catch(() => {}); // until it is waited for
  const env = {
    SPFS_OWN_SOCKET: socket,
    SPFS_OWN_DAEMON: own === undefined ? "" : String(own.pid),
    SPFS_CONFIG: JSON.stringify(config),
    SPFS_STOPPED: options.stopped === true ? "1" : "",
    SPFS_LOG: log,
  };
  const more = options.stopped === true ? ["--leave-stopped"] : [];
  const ticking = every(drawMs, () => view.show(progress));
  using patient = patience();
  try {
    const { decodeParams } = await import("../control/validation.ts");
    decodeParams("restore.prepare", { images: absolute(command.images), config });
    const code = await runCriu(command, { hook: "criu-hook", options: more, env, ...view.run }, terminal);
    criuOver.abort();
    const client = await connecting;
    if (code !== 0) {
      // It ends what it has made.
      if (client !== undefined) await within(undoneMs, ended(client));
      client?.close();
      view.end([]);
      terminal.err(`spfs restore: criu ended with exit code ${code}\n`);
      for (const line of await criuReasons(command)) terminal.err(`  ${line}\n`);
      return code;
    }
    progress.restored = true;
    view.show(progress);
    if (client === undefined) {
      terminal.err(`spfs restore: the daemon has ended already; its log tells more\n`);
      return options.wait === true ? exitCodes.failed : exitCodes.ok;
    }
    if (options.wait === true) await settled(client, progress, patient.over);
    client.close(); // so that nothing is told after the summary
    view.end(summaryLines(progress, performance.now(), `--socket ${socket}`), progress);
    return options.wait !== true || progress.replaced ? exitCodes.ok : exitCodes.failed;
  } finally {
    ticking.cancel();
    criuOver.abort();
    connecting.then((client) => client?.close(), () => {});
  }
}

/** Where the daemon logs: where the action script has it log otherwise, CRIU's working directory. */
function logOf(command: CriuCommand, { log }: RestoreOptions, terminal: Terminal): string {
  const { workDirectory, images } = command;
  return absolute(log ?? (terminal.env("SPFS_LOG") || `${workDirectory ?? images}/spfs.log`));
}

/** What is to be delayed. @throws {UsageError} when nothing is, or there are no images; {ControlError} `invalid_params` */
async function configOf(
  { images }: CriuCommand,
  options: RestoreOptions,
  terminal: Terminal,
): Promise<RestoreConfig> {
  if (!await Deno.stat(`${images}/inventory.img`).then(() => true, () => false)) {
    throw new UsageError(`${images} has no images of CRIU (its -D names them)`);
  }
  const base = options.config !== undefined
    ? await readConfigFile(options.config)
    : await readRestoreConfig(images, terminal);
  const mounts = (options.mount ?? []).map(parseDelayedMount);
  const config = withDelayed(base ?? {}, mounts, options.type ?? []);
  if (config.mounts?.length === 0 && config.types?.length === 0) {
    throw new UsageError("nothing is named that is to be delayed: --mount, --type, --config");
  }
  return config;
}

/** How the daemon is listened to. */
interface Listener extends ClientOptions {
  /** Looks at what there is already. */
  begin(client: ControlClient): Promise<ControlClient>;
}

function listen(progress: Progress, view: View): Listener {
  let client: ControlClient | undefined;
  return {
    name: "spfs-restore",
    version,
    events: "all",
    onEvent: (event) => {
      progress.take(event, performance.now());
      view.told(event);
      // What is to be mounted is not told by events.
      if (event.event === "mode.changed" && client !== undefined) void look(client, progress);
    },
    async begin(connected) {
      client = connected;
      await look(client, progress);
      return client;
    },
  };
}

/** Connects to the daemon as soon as it is there; undefined when there is none and CRIU is over. */
async function follow(
  socket: string,
  listener: Listener,
  criuOver: AbortSignal,
): Promise<ControlClient | undefined> {
  for (;;) {
    const last = criuOver.aborted;
    try {
      return await listener.begin(await connect(socket, listener));
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
    if (last) return undefined;
    await pause(everyMs, criuOver);
  }
}

/** Resolves when a daemon has ended, which it is told to as soon as there is no mount. */
async function ended(client: ControlClient): Promise<void> {
  for (let there = true; there; await pause(everyMs, new AbortController().signal)) {
    there = await client.call("quit", {}).then(() => true, (error) => !(error instanceof ConnectionError));
  }
}

async function look(client: ControlClient, progress: Progress): Promise<void> {
  try {
    progress.adopt(await client.call("status", {}), performance.now());
  } catch (error) {
    // It has ended, and its last events have told how.
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** Waits until no mount is under way, the daemon has ended, or somebody has had enough. */
async function settled(client: ControlClient, progress: Progress, enough: AbortSignal): Promise<void> {
  let over = false;
  void client.closed.then(() => over = true);
  while (!over && !progress.settled && !enough.aborted) await pause(drawMs, enough);
}

/** Whether somebody has had enough of waiting: SIGINT, SIGTERM and SIGHUP do not end this command, but its waiting. */
function patience(): Disposable & { readonly over: AbortSignal } {
  const over = new AbortController();
  const stop = () => over.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  return {
    over: over.signal,
    [Symbol.dispose]() {
      for (const signal of signals) Deno.removeSignalListener(signal, stop);
    },
  };
}

/** How a restore is shown. */
interface View {
  /** Where CRIU's own output goes. */
  readonly run: { output?: (text: string) => void };
  /** An event came. */
  told(event: WireEvent): void;
  /** Time has passed. */
  show(progress: Progress): void;
  /** It is over. */
  end(summary: readonly string[], progress?: Progress): void;
}

/**
 * JSON; or lines that are drawn in place, on a terminal that can and that the restored tree does not have; or plain lines.
 */
function viewOf({ detached }: CriuCommand, { json }: RestoreOptions, terminal: Terminal): View {
  if (json === true) return jsonView(terminal);
  const { size } = terminal;
  if (size !== undefined && detached && terminal.env("TERM") !== "dumb") return liveView(terminal, size);
  return {
    run: {},
    told: (event) => event.event !== "request.parked" && terminal.out(`${eventLine(event)}\n`),
    show: () => {},
    end: (summary) => summary.forEach((line) => terminal.out(`${line}\n`)),
  };
}

function liveView(terminal: Terminal, size: NonNullable<Terminal["size"]>): View {
  const screen = new LiveScreen((text) => terminal.out(text));
  return {
    run: { output: (text) => screen.above(text.endsWith("\n") ? text : `${text}\n`) },
    told: () => {},
    show: (progress) => screen.draw(progressLines(progress, performance.now(), size())),
    end: (summary) => {
      screen.clear();
      for (const line of summary) terminal.out(`${line}\n`);
    },
  };
}

function jsonView(terminal: Terminal): View {
  const line = (value: unknown) => terminal.out(JSON.stringify(value) + "\n");
  return {
    run: { output: (text) => terminal.err(text) },
    told: line,
    show: () => {},
    end: (_, progress) => {
      if (progress === undefined) return;
      const mounts = [...progress.mounts.values()].map(({ id, mountpoint, outcome, error, swap }) => ({
        id,
        mountpoint,
        outcome,
        error,
        swap,
      }));
      line({ event: "restore.summary", params: { replaced: progress.replaced, mounts } });
    },
  };
}
