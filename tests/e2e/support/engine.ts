/**
 * Container engines, and what they do with a container whose volume is on a file system of its own.
 *
 * @module
 */

import { Container } from "./container.ts";
import { Remote } from "./remote.ts";
import type { Sandbox } from "./sandbox.ts";

/** A container that an engine runs, gone with its sandbox at the latest. */
export interface Engine {
  /** The directory with CRIU's images, which the caller may put something in before there are any. */
  readonly images: string;
  /** Starts it, and returns the process id of its first process. */
  start(): Promise<number>;
  /** Has CRIU dump it, which ends it. @throws {Error} with the end of CRIU's log */
  checkpoint(): Promise<void>;
  /**
   * Has CRIU restore it, and returns the process id of its first process. All processes are stopped, so that none of them has seen anything.
   *
   * @throws {Error} with the end of CRIU's log
   */
  restoreStopped(): Promise<number>;
  /** Sends a signal to all its processes. */
  kill(signal: string): Promise<void>;
  /** Removes what is left of it when its processes have ended. @throws {Error} when cgroups are left after that */
  delete(): Promise<void>;
}

/** Where a volume is in a container. */
const DESTINATION = "/mnt/net";

/** A container that is ready to be started: its program, a holder, uses a volume. */
export interface WithVolume<E extends Engine> {
  /** The program. */
  readonly container: Container;
  /** What is mounted in the container, at /mnt/net. */
  readonly volume: string;
  /** The file system that is mounted on that. */
  readonly remote: Remote;
  /** Who runs it. */
  readonly engine: E;
}

/** How an engine makes its container. */
export interface EngineType<E extends Engine> {
  /** @param volume what is mounted in it, and where */
  make(
    sandbox: Sandbox,
    rootfs: string,
    program: readonly string[],
    volume: { readonly source: string; readonly destination: string },
  ): Promise<E>;
}

/** Makes such a container. */
export async function withVolume<E extends Engine>(
  type: EngineType<E>,
  sandbox: Sandbox,
): Promise<WithVolume<E>> {
  const container = await Container.make(sandbox, [DESTINATION.slice(1)]);
  const volume = sandbox.directory("volume");
  const remote = await Remote.make(sandbox);
  await remote.attach();
  await remote.mount(volume);
  container.fill(volume);
  const program = ["/holder", "/out/result", DESTINATION];
  const engine = await type.make(sandbox, container.rootfs, program, {
    source: volume,
    destination: DESTINATION,
  });
  return { container, volume, remote, engine };
}
