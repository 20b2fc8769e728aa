import type { ControlClient } from "../control/client.ts";
import { ControlError } from "../control/errors.ts";
import type { Hello, WireEntry } from "../control/wire.ts";
import { type SocketOptions, withClient } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** The options of `spfs create`. */
export interface CreateOptions extends SocketOptions {
  /** Where the entries come from; "-" is stdin. */
  file: string;
  /** Whether missing parent directories are made. */
  parents: boolean;
  /** Whether to print JSON. */
  json?: boolean;
}

/**
 * `spfs create`: makes nodes. The input is a JSON array of entries, or one entry a line. What is too much for one call goes in
 * several; each is all or nothing, and running the command again passes over what is there.
 */
export async function create(mount: string, options: CreateOptions, terminal: Terminal): Promise<void> {
  const entries = parseEntries(await readInput(options.file, terminal));
  const total = await withClient(
    options,
    terminal,
    (client) => createAll(client, mount, entries, options.parents),
  );
  terminal.out(
    options.json === true
      ? JSON.stringify(total) + "\n"
      : `${mount}: ${total.created} created, ${total.existing} were there\n`,
  );
}

async function readInput(file: string, terminal: Terminal): Promise<string> {
  if (file === "-") return await terminal.input();
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

/** Reads entries from a JSON array or from JSON lines. */
export function parseEntries(text: string): WireEntry[] {
  try {
    if (text.trimStart().startsWith("[")) return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`the entries are not JSON: ${(error as Error).message}`);
  }
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line)];
    } catch (error) {
      throw new UsageError(`line ${at + 1} of the entries is not JSON: ${(error as Error).message}`);
    }
  });
}

async function createAll(
  client: ControlClient,
  mount: string,
  entries: WireEntry[],
  parents: boolean,
): Promise<{ created: number; existing: number }> {
  const total = { created: 0, existing: 0 };
  let done = 0;
  for (const batch of batches(entries, (await client.hello).limits)) {
    try {
      const { created, existing } = await client.call("file.create", { mount, entries: batch, parents });
      total.created += created;
      total.existing += existing;
    } catch (error) {
      throw error instanceof ControlError && done > 0 ? afterBatches(error, done) : error;
    }
    done += batch.length;
  }
  return total;
}

/** An error of a later batch, with the entry counted over all of them and the earlier batches named. */
function afterBatches(error: ControlError, done: number): ControlError {
  const { index, detail } = error.data;
  const kept = `the ${done} entries before this call's were created and stay`;
  return new ControlError(error.kind, error.message, {
    ...error.data,
    index: index === undefined ? undefined : done + index,
    detail: detail === undefined ? kept : `${detail}\n${kept}`,
  });
}

/** Cuts entries into calls that the daemon takes: half its line at most, to leave room for escapes. */
export function* batches(
  entries: WireEntry[],
  limits: Hello["limits"],
): Generator<WireEntry[], void, undefined> {
  let batch: WireEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const length = JSON.stringify(entry).length + 1;
    if (
      batch.length > 0 &&
      (bytes + length > limits.maxLineBytes / 2 || batch.length >= limits.maxEntriesPerCall)
    ) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += length;
  }
  yield batch;
}
