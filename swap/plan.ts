/**
 * From what was found to what is done: which processes are left out when something is in the way, and what is told of the others. Pure.
 *
 * @module
 */
import { S_IFIFO, S_IFMT } from "../ffi/sys/constants.ts";
import type { Description, Hindrance, Inventory, Place } from "./inventory.ts";
import type { MovedProcess, Obstacle, ResourceKind } from "./types.ts";

/**
 * Names a file that is made anew on another file system: a FIFO, whose queue is in memory, and a file without a name. All who have it open
 * must be moved together, or none of them. Undefined for others, which are found there by everybody.
 */
export function inseparable(
  { mode, deleted, links, source: { major, minor }, inode }: Place,
): string | undefined {
  const isMadeAnew = (mode & S_IFMT) === S_IFIFO || (deleted && links === 0);
  return isMadeAnew ? `${major}:${minor}:${inode}` : undefined;
}

/**
 * The processes that cannot be moved: those that something is in the way of, and those that share an open file description with one of
 * them, or a file that is {@linkcode inseparable}, since both have to see one and the same file, or have an end of the same connection.
 */
export function blockedProcesses(inventory: Inventory, hindrances: readonly Hindrance[]): Set<number> {
  const blocked = new Set(hindrances.filter(({ alone }) => !alone).map(({ obstacle }) => obstacle.pid));
  const groups = new Map<Description | string, Set<number>>();
  const join = (key: Description | string, pids: readonly number[]) =>
    groups.set(key, new Set([...groups.get(key) ?? [], ...pids]));
  for (const description of inventory.descriptions) {
    const { place, socket, holders } = description;
    const key = place === undefined ? socket?.bond?.key : inseparable(place);
    join(key ?? description, [...holders.map(({ table }) => table.pid), ...socket?.bond?.pids ?? []]);
  }
  for (const { pid, mappings } of inventory.memories) {
    for (const { place } of mappings) {
      const key = inseparable(place);
      if (key !== undefined) join(key, [pid]);
    }
  }
  for (let grown = blocked.size > 0; grown;) {
    const before = blocked.size;
    for (const pids of groups.values()) {
      if ([...pids].some((pid) => blocked.has(pid))) pids.forEach((pid) => blocked.add(pid));
    }
    grown = blocked.size > before;
  }
  return blocked;
}

/** What is told of processes that are left only for the sake of others. */
export function leftForOthers(
  inventory: Inventory,
  blocked: ReadonlySet<number>,
  told: readonly Obstacle[],
): Obstacle[] {
  const named = new Set(told.map(({ pid }) => pid));
  return [...blocked].filter((pid) => !named.has(pid)).map((pid) => ({
    pid,
    comm: inventory.processes.get(pid)?.comm ?? "",
    kind: "process",
    reason: "shares an open file or a connection with a process that is left",
  }));
}

/** The inventory without some processes. */
export function without(inventory: Inventory, blocked: ReadonlySet<number>): Inventory {
  const stays = ({ pid }: { readonly pid: number }) => !blocked.has(pid);
  return {
    processes: new Map([...inventory.processes].filter(([pid]) => !blocked.has(pid))),
    tables: inventory.tables.filter(stays),
    memories: inventory.memories.filter(stays),
    directories: inventory.directories.filter(stays),
    descriptions: inventory.descriptions.filter(({ holders }) => stays(holders[0]!.table)),
    hindrances: inventory.hindrances.filter(({ obstacle }) => stays(obstacle)),
  };
}

function kindOf({ place, watches }: Description): ResourceKind {
  if (place !== undefined) return "fd";
  return watches.length > 0 ? "inotify" : "socket";
}

/** What is moved, process by process, those with nothing to be moved left out. */
export function movedProcesses(inventory: Inventory): MovedProcess[] {
  const counts = new Map<number, Partial<Record<ResourceKind, number>>>();
  const count = (pid: number, kind: ResourceKind, by = 1) => {
    if (by === 0) return;
    let of = counts.get(pid);
    if (of === undefined) counts.set(pid, of = {});
    of[kind] = (of[kind] ?? 0) + by;
  };
  for (const { pid, holders, registrations } of inventory.tables) {
    for (const { description } of holders) count(pid, kindOf(description));
    count(pid, "epoll", registrations.length);
  }
  for (const { holders } of inventory.descriptions) {
    for (const { table, locks } of holders) count(table.pid, "lock", locks.length);
  }
  for (const { pid, mappings, exe } of inventory.memories) {
    count(pid, "map", mappings.length);
    count(pid, "exe", exe === undefined ? 0 : 1);
  }
  for (const { pid, cwd, root } of inventory.directories) {
    count(pid, "cwd", cwd === undefined ? 0 : 1);
    count(pid, "root", root === undefined ? 0 : 1);
  }
  return [...counts].map(([pid, moved]) => ({ pid, comm: inventory.processes.get(pid)?.comm ?? "", moved }));
}
