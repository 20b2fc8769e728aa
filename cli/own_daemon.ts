/**
 * A daemon that a command starts and leaves behind.
 *
 * @module
 */

import { type ClientOptions, connect, ConnectionError, ControlClient } from "../control/client.ts";
import type { Transport } from "../control/transport.ts";
import { ownProgram } from "../host/own_program.ts";
import { within } from "../host/time_limit.ts";

/** How often it is looked whether the daemon listens, in milliseconds. */
const everyMs = 2;

/** How long a daemon may take to say what it failed with, in milliseconds. */
const lastWordsMs = 1000;

/** A daemon that was started. */
export interface OwnDaemon {
  /** Its process. */
  readonly pid: number;
  /**
   * Resolves to the conversation on its stdin and stdout once it listens; when that ends before a mount is made, so does the daemon.
   *
   * @throws {Error} through the promise, when it does not come up; it is ended then
   */
  readonly client: Promise<ControlClient>;
}

/**
 * Starts a daemon in a session of its own, which ends with its last mount. It is started when this returns.
 *
 * @param log the file that its log is appended to
 * @param limitMs how long it may take to listen
 */
export function startDaemon(
  socket: string,
  log: string,
  limitMs: number,
  options: ClientOptions,
): OwnDaemon {
  const [program, ...first] = ownProgram(undefined, Deno.mainModule);
  const child = new Deno.Command(program, {
    args: [...first, "serve", "--socket", socket, "--on-eof", "linger-if-used", "--log", log],
    cwd: "/",
    // Else the stages would be taken for orders to it.
    env: { CRTOOLS_SCRIPT_ACTION: "", SPFS_SOCKET: "", SPFS_OWN_SOCKET: "", SPFS_CONFIG: "" },
    stdin: "piped",
    stdout: "piped",
    // Who reads ours to its end must not wait for the daemon.
    stderr: "piped",
    detached: true,
  }).spawn();
  return { pid: child.pid, client: conversation(child, limitMs, options) };
}

async function conversation(
  child: Deno.ChildProcess,
  limitMs: number,
  options: ClientOptions,
): Promise<ControlClient> {
  try {
    const client = await within(limitMs, ControlClient.over(transportOf(child), options));
    if (client === undefined) throw new Error(`the daemon did not answer within ${limitMs} ms`);
    await child.stderr.cancel();
    child.unref();
    return client;
  } catch (error) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    const said = await within(lastWordsMs, new Response(child.stderr).text().catch(() => ""));
    throw new Error(said?.trim() || (error as Error).message, { cause: error });
  }
}

function transportOf({ stdin, stdout }: Deno.ChildProcess): Transport {
  const [writer, reader] = [stdin.getWriter(), stdout.getReader()];
  let rest = new Uint8Array(0);
  return {
    async read(buffer) {
      if (rest.length === 0) {
        const { value, done } = await reader.read();
        if (done) return null;
        rest = value;
      }
      const count = Math.min(rest.length, buffer.length);
      buffer.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    async write(bytes) {
      await writer.write(bytes);
      return bytes.length;
    },
    close() {
      writer.close().catch(() => {});
      reader.cancel().catch(() => {});
    },
  };
}

/**
 * Connects to a daemon that somebody else has just started.
 *
 * @param pid its process
 * @returns undefined when it has ended
 * @throws {Error} when it does not listen in time
 */
export async function joinDaemon(
  socket: string,
  pid: number,
  limitMs: number,
  options: ClientOptions,
): Promise<ControlClient | undefined> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await connect(socket, options);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
    if (!await Deno.lstat(`/proc/${pid}/fd`).then(() => true, () => false)) return undefined;
    if (performance.now() > deadline) {
      throw new Error(`the daemon did not listen at ${socket} within ${limitMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
