/**
 * What the commands share that talk to a daemon: where its socket is, and a conversation that ends with the command.
 *
 * @module
 */

import { type ClientOptions, connect, type ControlClient } from "../control/client.ts";
import { version } from "../control/version.ts";
import type { EventName, WireEvent } from "../control/wire.ts";
import { eventLine } from "./event_line.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** The options of every command that talks to a daemon. */
export interface SocketOptions {
  /** The socket's path, where the user gave one. */
  socket?: string | undefined;
}

/** The options of commands that name one mount or all. */
export interface SelectorOptions extends SocketOptions {
  /** Whether every mount is meant. */
  all?: boolean | undefined;
}

/** Where the daemon's socket is, or would be. */
export function socketPath(options: SocketOptions, terminal: Pick<Terminal, "env">): string {
  if (options.socket !== undefined) return options.socket;
  const named = terminal.env("SPFS_SOCKET");
  if (named) return named;
  return `${runtimeDirectoryOf(terminal)}/control.sock`;
}

/** Where daemons have their sockets unless told otherwise. */
export function runtimeDirectoryOf(terminal: Pick<Terminal, "env">): string {
  return terminal.env("SPFS_RUNTIME_DIR") || "/run/spfs";
}

/** Talks to the daemon for as long as `talk` runs. */
export async function withClient<T>(
  options: SocketOptions,
  terminal: Terminal,
  talk: (client: ControlClient) => Promise<T>,
  listen: Pick<ClientOptions, "events" | "onEvent"> = {},
): Promise<T> {
  using client = await connect(socketPath(options, terminal), { name: "spfs-cli", version, ...listen });
  return await talk(client);
}

const progressEvents: EventName[] = [
  "mount.ready",
  "mode.changed",
  "mount.attempt",
  "replace.progress",
  "replace.done",
  "mount.lost",
  "mount.gone",
];

/** What a command that waits listens to: it tells of a mount's events, or of all, on stderr while it waits. */
export function narrated(
  wait: boolean | undefined,
  mount: string,
  terminal: Terminal,
): Pick<ClientOptions, "events" | "onEvent"> {
  if (wait !== true) return {};
  return {
    events: progressEvents,
    onEvent: (event: WireEvent) => {
      if (event.event === "swap.progress") return;
      if (mount === "all" || event.params.mount === mount) terminal.err(`${eventLine(event)}\n`);
    },
  };
}

/** The mount that a command names: an id, or all of them. */
export function selector(id: string | undefined, options: SelectorOptions): string {
  if (options.all === true) {
    if (id !== undefined) throw new UsageError("give a mount's id or --all, not both");
    return "all";
  }
  if (id === undefined) throw new UsageError("give a mount's id, or --all");
  return id;
}
