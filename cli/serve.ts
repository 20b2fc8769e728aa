import { type LogLevel, logLevels } from "../host/log.ts";
import type { ServeOptions } from "../host/serve.ts";
import type { Terminal } from "./terminal.ts";

/** What may follow the end of stdin. */
export const endsOfInput: readonly ServeOptions["onEof"][] = ["linger", "abort"];

/** Whether a word says what follows the end of stdin. */
export function isEndOfInput(word: string): word is ServeOptions["onEof"] {
  return (endsOfInput as readonly string[]).includes(word);
}

/** Whether a word is a log level. */
export function isLogLevel(word: string): word is LogLevel {
  return (logLevels as readonly string[]).includes(word);
}

/** `spfs serve`: runs the daemon. Without --socket, SPFS_SOCKET names the socket; without both there is none. */
export async function runServe(options: ServeOptions, terminal: Terminal): Promise<number> {
  const { serve } = await import("../host/serve.ts");
  return await serve({ ...options, socket: options.socket ?? (terminal.env("SPFS_SOCKET") || undefined) });
}
