/**
 * What a program may import of spfs: a client of the control protocol with its types, and the daemon itself.
 *
 * ```ts ignore
 * import { connect } from "@spfs/spfs";
 *
 * using client = await connect("/run/spfs/control.sock", { name: "example" });
 * for (const mount of (await client.call("status", {})).mounts) {
 *   console.log(mount.id, mount.mode, mount.parked.count);
 * }
 * ```
 *
 * @module
 */

import type { ServeOptions } from "./host/serve.ts";

export {
  type CallOptions,
  type ClientOptions,
  connect,
  ConnectionError,
  ControlClient,
} from "./control/client.ts";
export {
  ControlError,
  type ErrorData,
  type ErrorKind,
  errorKinds,
  type WireError,
} from "./control/errors.ts";
export { resourceKinds, swapModes } from "./control/swap_words.ts";
export { stdio, type Transport } from "./control/transport.ts";
export {
  decodeBytes,
  decodePath,
  encodeBytes,
  encodePath,
  type WireBytes,
  type WireInt64,
  type WireMode,
  type WirePath,
} from "./control/values.ts";
export { protocolVersion, version } from "./control/version.ts";
export type * from "./control/wire.ts";
export { type LogLevel, logLevels } from "./host/log.ts";
export type { ServeOptions };

/**
 * Runs the daemon, as `spfs serve` does, until its last mount is gone or it is told to quit. Loads libfuse only when called.
 *
 * @returns the exit code
 */
export async function serve(options: ServeOptions): Promise<number> {
  const host = await import("./host/serve.ts");
  return await host.serve(options);
}

/**
 * Runs the tracer, the process that {@linkcode serve} has for moving processes, until its stdin ends; see {@linkcode ServeOptions.tracer}.
 *
 * @returns the exit code
 */
export async function runTracer(): Promise<number> {
  const host = await import("./host/tracer.ts");
  return await host.runTracer();
}
