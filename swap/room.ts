/**
 * Room in descriptor tables: for a moment a table holds the old descriptors and the new ones.
 *
 * @module
 */
import { CAP_SYS_RESOURCE, RLIMIT_NOFILE } from "../ffi/sys/constants.ts";
import { capget, hasCapability } from "../ffi/sys/identity.ts";
import { prlimit64, type Rlimit } from "../ffi/sys/process.ts";
import type { Hindrance, Inventory, Table } from "./inventory.ts";

/** What is needed besides what is brought: a pair of sockets, directories, an executable, and some to spare. */
const SPARE = 12;

/** How many descriptors a table may hold at once while it is changed. */
export function neededRoom(inventory: Inventory, table: Table): number {
  const descriptions = new Set(table.holders.map(({ description }) => description)).size;
  const memory = inventory.memories.find(({ task }) => task === table.task);
  return table.count + descriptions + (memory?.mappings.length ?? 0) + SPARE;
}

/** Tables that cannot be given the room. */
export function roomHindrances(inventory: Inventory): Hindrance[] {
  const own = capget();
  const mayRaise = typeof own !== "number" && hasCapability(own.effective, CAP_SYS_RESOURCE);
  const hindrances: Hindrance[] = [];
  for (const table of mayRaise ? [] : inventory.tables) {
    const limit = prlimit64(table.pid, RLIMIT_NOFILE);
    const needed = neededRoom(inventory, table);
    if (typeof limit === "number" || limit.hard >= BigInt(needed)) continue;
    const comm = inventory.processes.get(table.pid)?.comm ?? "";
    const reason = `needs room for ${needed} descriptors and may have ${limit.hard} (RLIMIT_NOFILE), ` +
      "which takes CAP_SYS_RESOURCE to raise";
    hindrances.push({ obstacle: { pid: table.pid, comm, kind: "process", reason }, alone: false });
  }
  return hindrances;
}

/**
 * Raises a process's limit if so many are more than it may have.
 *
 * @returns the limit before, which has to be set again; undefined when nothing was changed
 */
export function makeRoom(pid: number, needed: number): Rlimit | undefined {
  const limit = prlimit64(pid, RLIMIT_NOFILE);
  const soft = BigInt(needed);
  if (typeof limit === "number" || limit.soft >= soft) return undefined;
  const raised = prlimit64(pid, RLIMIT_NOFILE, { soft, hard: limit.hard > soft ? limit.hard : soft });
  return typeof raised === "number" ? undefined : limit;
}

/** Sets a limit again. */
export function restoreRoom(pid: number, limit: Rlimit): void {
  prlimit64(pid, RLIMIT_NOFILE, limit);
}
