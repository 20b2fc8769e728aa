import { Errno } from "../ffi/errno.ts";
import { type LogLevel, logLevels } from "../host/log.ts";
import { serve, type ServeOptions } from "../host/serve.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** What may follow the end of stdin. */
export const endsOfInput: readonly ServeOptions["onEof"][] = ["linger", "linger-if-used", "abort"];

/** Whether a word says what follows the end of stdin. */
export function isEndOfInput(word: string): word is ServeOptions["onEof"] {
  return (endsOfInput as readonly string[]).includes(word);
}

/** Whether a word is a log level. */
export function isLogLevel(word: string): word is LogLevel {
  return (logLevels as readonly string[]).includes(word);
}

/** What requests that wait are answered with when the daemon ends, unless --errno says otherwise. */
export const defaultErrno = "EIO";

/** What `serve` was told; the error by its name. */
export type ServeArguments = Omit<ServeOptions, "errno"> & { readonly errno: string };

/**
 * `spfs serve`: runs the daemon. Without --socket, SPFS_SOCKET names the socket; without both there is none.
 *
 * @throws {UsageError} when there is no such error
 */
export async function runServe(options: ServeArguments, terminal: Terminal): Promise<number> {
  const { errno: name } = options;
  if (!Object.hasOwn(Errno, name)) throw new UsageError(`there is no error ${name}`);
  const errno = Errno[name as keyof typeof Errno];
  return await serve({
    ...options,
    errno,
    socket: options.socket ?? (terminal.env("SPFS_SOCKET") || undefined),
  });
}
