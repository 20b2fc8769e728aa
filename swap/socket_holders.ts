/**
 * Sockets of stopped processes as records of an inventory, and what is told of those that are in the way.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { O_CLOEXEC } from "../ffi/sys/constants.ts";
import type { Actor } from "./actor.ts";
import type { Description, Hindrance, Inventory, SocketRecord, Table } from "./inventory.ts";
import { readFdinfo } from "./task_files.ts";
import type { Obstacle } from "./types.ts";

/** Who holds a socket. */
export interface SocketHolder {
  /** The table. */
  readonly table: Table;
  /** The descriptor in it. */
  readonly fd: number;
}

/** A socket turned out to be in the way after processes were prepared, but before any was changed. */
export class SocketRefused extends Error {
  override readonly name = "SocketRefused";
  /** `obstacle` is what is told of it. */
  constructor(readonly obstacle: Obstacle) {
    super(obstacle.reason);
  }
}

/** Adds a socket to what is moved. */
export function describeSocket(
  inventory: Inventory,
  holders: readonly SocketHolder[],
  socket: SocketRecord,
): Description {
  const described = holders.map(({ table, fd }) => {
    const flags = readFdinfo(`/proc/${table.task.tid}/fdinfo/${fd}`)?.flags ?? 0;
    return { table, fd, flags: flags & ~O_CLOEXEC, closeOnExec: (flags & O_CLOEXEC) !== 0 };
  });
  const description: Description = {
    place: undefined,
    socket,
    flags: described[0]!.flags,
    position: 0n,
    watches: [],
    holders: described.map(({ table, fd, closeOnExec }) => ({ table, fd, closeOnExec, locks: [] })),
  };
  inventory.descriptions.push(description);
  for (const { table, fd, closeOnExec } of described) {
    table.holders.push({ fd, description, closeOnExec });
    if (!inventory.tables.includes(table)) inventory.tables.push(table);
  }
  return description;
}

/** What is told of a socket that is in the way. */
export function socketObstacle(
  inventory: Inventory,
  { table: { pid }, fd }: SocketHolder,
  more: Pick<Obstacle, "reason"> & Partial<Obstacle>,
): Obstacle {
  const comm = inventory.processes.get(pid)?.comm ?? "";
  return { pid, comm, kind: "socket", fd, ...more };
}

/** See {@linkcode socketObstacle}. `alone` is that of {@linkcode Hindrance}. */
export function socketHindrance(
  inventory: Inventory,
  holder: SocketHolder,
  more: Pick<Obstacle, "reason"> & Partial<Obstacle>,
  alone: boolean,
): Hindrance {
  return { obstacle: socketObstacle(inventory, holder, more), alone };
}

/** Our copy of a descriptor, the caller's; undefined when it is none any more. @throws {SysError} EMFILE, ESRCH */
export function copyOf(actor: Actor, fd: number): number | undefined {
  try {
    return actor.take(fd);
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EBADF) return undefined;
    throw error;
  }
}
