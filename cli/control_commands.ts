/**
 * The short commands: one call each, one line for each mount.
 *
 * @module
 */

import type { MountMode } from "../control/wire.ts";
import { selector, type SelectorOptions, type SocketOptions, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

interface JsonOption {
  json?: boolean;
}

/** `spfs mode ID MODE` and `spfs mode --all MODE`. */
export async function mode(
  words: [string, string | undefined],
  options: SelectorOptions & JsonOption,
  terminal: Terminal,
): Promise<void> {
  const [id, wanted] = options.all === true && words[1] === undefined ? [undefined, words[0]] : words;
  if (wanted === undefined) throw new UsageError("give a mount's id and a mode, or --all and a mode");
  const params = { mount: selector(id, options), mode: wanted as MountMode };
  const result = await withClient(options, terminal, (client) => client.call("mount.setMode", params));
  if (options.json === true) return terminal.out(JSON.stringify(result) + "\n");
  for (const { id, mode, previous, waited } of result.mounts) {
    terminal.out(`${id}: ${previous} -> ${mode}, ${waited} waiting requests let go\n`);
  }
}

/** `spfs abort`: answers what waits with an error and takes the mount away. */
export async function abort(
  id: string | undefined,
  options: SelectorOptions & JsonOption & { errno?: string },
  terminal: Terminal,
): Promise<void> {
  const params = { mount: selector(id, options), errno: options.errno };
  const result = await withClient(options, terminal, (client) => client.call("mount.abort", params));
  if (options.json === true) return terminal.out(JSON.stringify(result) + "\n");
  for (const { id, answered } of result.mounts) terminal.out(`${id}: ${answered} requests answered\n`);
}

/** `spfs quit`: ends the daemon. */
export async function quit(
  options: SocketOptions & { force?: boolean; errno?: string },
  terminal: Terminal,
): Promise<void> {
  const { force, errno } = options;
  await withClient(options, terminal, (client) => client.call("quit", { force, errno }));
}

/** `spfs call`: any method with any parameters, the result as a line of JSON. */
export async function call(
  method: string,
  json: string | undefined,
  options: SocketOptions,
  terminal: Terminal,
): Promise<void> {
  const text = json === "-" ? await terminal.input() : json ?? "{}";
  let params: unknown;
  try {
    params = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`the parameters are not JSON: ${(error as Error).message}`);
  }
  const result = await withClient(options, terminal, (client) => client.callUntyped(method, params));
  terminal.out(JSON.stringify(result) + "\n");
}
