/**
 * Container engines, and what they do with a container whose volume is on a file system of its own.
 *
 * @module
 */

import { run } from "./child.ts";
import { Container } from "./container.ts";
import { Remote } from "./remote.ts";
import type { Sandbox } from "./sandbox.ts";

/** What is mounted in a container. */
export interface Volume {
  /** Outside. */
  readonly source: string;
  /** Inside. */
  readonly destination: string;
}

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
  /** Makes it, with a volume. */
  make(sandbox: Sandbox, rootfs: string, program: readonly string[], volume: Volume): Promise<E>;
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

/** Has an engine use CRIU. @throws {Error} what it throws, with the end of CRIU's log */
export async function withCriuLog(log: string, use: () => Promise<unknown>): Promise<void> {
  try {
    await use();
  } catch (error) {
    const told = await Deno.readTextFile(log).catch(() => "");
    throw new Error(`${(error as Error).message}\n${told.split("\n").slice(-25).join("\n")}`);
  }
}

/** @throws {Error} naming cgroups that are called so, as find(1) has it */
export async function refuseCgroups(name: string): Promise<void> {
  const left = await run("find", ["/sys/fs/cgroup", "-type", "d", "-name", name]);
  if (left !== "") throw new Error(`cgroups are left: ${left}`);
}
