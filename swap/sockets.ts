/**
 * Unix sockets that are bound on a source: they keep its mount, and who connects by their path reaches nobody once another mount is there.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { closeFd } from "../ffi/sys/file.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import type { Actor } from "./actor.ts";
import type { Hindrance, Inventory, Table } from "./inventory.ts";
import type { SourceMount } from "./types.ts";
import { listUnixSocketsOf, socketsOn } from "./unix_sockets_diag.ts";
import { boundFile } from "./unix_sockets_fresh.ts";

/**
 * Sockets of the stopped processes that are bound on a source, or have descriptors on their way. They stay where they are: who is
 * connected goes on.
 *
 * @param sockets who holds them, by inode number
 */
export function socketHindrances(
  sockets: ReadonlyMap<bigint, readonly { readonly table: Table; readonly fd: number }[]>,
  inventory: Inventory,
  sources: readonly SourceMount[],
  actorOf: (table: Table) => Actor,
): Hindrance[] {
  const hindrances: Hindrance[] = [];
  if (sockets.size === 0) return hindrances;
  const holdersPids = [...sockets.values()].map(([holder]) => holder!.table.pid);
  const listed = listUnixSocketsOf([...new Set(holdersPids)]);
  const mountIds = new Set(sources.map(({ id }) => id));
  for (const { major, minor } of distinctDevices(sources)) {
    for (const socket of socketsOn(listed, major, minor)) {
      const holder = sockets.get(BigInt(socket.ino))?.[0];
      if (holder === undefined) continue;
      const { table, fd } = holder;
      const path = boundOn(actorOf(table), fd, mountIds);
      if (path === undefined) continue;
      const comm = inventory.processes.get(table.pid)?.comm ?? "";
      const reason = "is bound there";
      hindrances.push({ obstacle: { pid: table.pid, comm, kind: "socket", fd, path, reason }, alone: true });
    }
  }
  for (const [{ table, fd }] of [...sockets.values()] as [{ table: Table; fd: number }][]) {
    const bytes = readProcFile(`/proc/${table.task.tid}/fdinfo/${fd}`);
    const match = typeof bytes === "number"
      ? null
      : /^scm_fds:\s*(\d+)/m.exec(new TextDecoder("latin1").decode(bytes));
    if (match === null || match[1] === "0") continue;
    const comm = inventory.processes.get(table.pid)?.comm ?? "";
    const reason = "has descriptors on their way (SCM_RIGHTS)";
    hindrances.push({
      obstacle: { pid: table.pid, comm, kind: "socket", fd, reason, transient: true },
      alone: false,
    });
  }
  return hindrances;
}

function distinctDevices(sources: readonly SourceMount[]): SourceMount[] {
  return [...new Map(sources.map((source) => [`${source.major}:${source.minor}`, source])).values()];
}

/** The path that a socket is bound to, if that is on one of the mounts. */
function boundOn(actor: Actor, fd: number, mountIds: ReadonlySet<number>): Uint8Array | undefined {
  try {
    const copy = actor.take(fd);
    try {
      const bound = boundFile(copy);
      return typeof bound !== "number" && mountIds.has(Number(bound.mountId)) ? bound.path : undefined;
    } finally {
      closeFd(copy);
    }
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EBADF) return undefined;
    throw error;
  }
}
