/**
 * Taking away what daemons left that died without ending their mounts: the dead mounts, and the remains in the runtime directory.
 *
 * @module
 */

import { hasDeadMounts, type Repair } from "./dead_mounts.ts";
import { lockDirectory } from "./directory_lock.ts";
import { createRunJob, type RunJob } from "./namespace_jobs.ts";
import { findLeftovers, runtimeDirectory } from "./runtime_directory.ts";
import { startNamespaceWorker } from "./workers.ts";

/** Whether dead daemons left mounts or directories. Reads /proc and one directory; does not block. */
export function needsRepair(directory: string = runtimeDirectory()): boolean {
  return hasDeadMounts() || findLeftovers(directory).directories.length > 0;
}

/**
 * Takes away what dead daemons left: mounts in this mount namespace, and what is in the runtime directory.
 *
 * @param directory the runtime directory
 * @param run runs the job that touches mountpoints
 */
export async function repair(
  directory: string = runtimeDirectory(),
  run: RunJob = createRunJob(startNamespaceWorker),
): Promise<Repair[]> {
  const repairs = [...await run("unmountDead", {})];
  const { directories, sockets } = findLeftovers(directory);
  for (const path of directories) {
    repairs.push(await attempt("directory", path, () => Deno.remove(path, { recursive: true })));
  }
  if (sockets.length > 0) repairs.push(...await removeSockets(directory, sockets));
  return repairs;
}

async function removeSockets(directory: string, sockets: readonly string[]): Promise<Repair[]> {
  const repairs: Repair[] = [];
  using _ = await lockDirectory(directory);
  for (const path of sockets) {
    if (await isDeserted(path)) repairs.push(await attempt("socket", path, () => Deno.remove(path)));
  }
  return repairs;
}

async function attempt(kind: Repair["kind"], path: string, remove: () => Promise<void>): Promise<Repair> {
  try {
    await remove();
    return { kind, path };
  } catch (error) {
    return { kind, path, error: (error as Error).message };
  }
}

/** Whether a socket's listener is gone: only then does the kernel refuse. */
export async function isDeserted(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}
