/**
 * A daemon that a command starts and leaves behind.
 *
 * @module
 */

import { type ClientOptions, connect, ConnectionError, type ControlClient } from "../control/client.ts";
import { ownProgram } from "../host/own_program.ts";

/** How often it is looked whether the daemon listens, in milliseconds. */
const everyMs = 5;

/**
 * Starts a daemon in a session of its own, which ends with its last mount, and connects to it. Its errors until it has opened its log go to
 * this process's stderr.
 *
 * @param log the file that its log is appended to
 * @param limitMs how long it may take to listen
 * @throws {Error} when it does not come up; it is ended then
 */
export async function startDaemon(
  socket: string,
  log: string,
  limitMs: number,
  options: ClientOptions,
): Promise<ControlClient> {
  const [program, ...first] = ownProgram(undefined, Deno.mainModule);
  const args = [...first, "serve", "--socket", socket, "--on-eof", "linger", "--log", log];
  const daemon = new Deno.Command(program, {
    args,
    cwd: "/",
    // Else the stages would be taken for orders to it.
    env: { CRTOOLS_SCRIPT_ACTION: "", SPFS_SOCKET: "", SPFS_OWN_SOCKET: "", SPFS_CONFIG: "" },
    stdin: "null",
    stdout: "null",
    detached: true,
  }).spawn();
  let ended: number | undefined;
  void daemon.status.then(({ code }) => ended = code);
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      const client = await connect(socket, options);
      daemon.unref();
      return client;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      if (ended !== undefined) throw new Error(`the daemon ended with exit code ${ended}`);
      if (performance.now() > deadline) {
        daemon.kill("SIGKILL");
        throw new Error(`the daemon did not listen at ${socket} within ${limitMs} ms`);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
