/**
 * Unix sockets that are bound on a source. They keep its mount, and who connects by their path reaches nobody once another mount is there.
 * A socket cannot be bound a second time, so a fresh one with the same address takes its place, where nothing that is queued and nobody's
 * connection is lost by it; the others stay on the source.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import { O_CLOEXEC } from "../ffi/sys/constants.ts";
import { closeFd } from "../ffi/sys/file.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import type { Actor } from "./actor.ts";
import type { Description, Hindrance, Inventory, Table } from "./inventory.ts";
import { relativeTo, splitDeleted } from "./procfs/names.ts";
import { readFdinfo } from "./task_files.ts";
import type { Obstacle, SourceMount } from "./types.ts";
import { hasQueued, judgeUnixSocket, type UnixMove, type UnixObstacle } from "./unix_sockets.ts";
import { listUnixSocketsOf, socketsOn, type UnixSocket } from "./unix_sockets_diag.ts";
import { boundFile, FreshUnixSocket } from "./unix_sockets_fresh.ts";

/** Who holds a socket. */
export interface SocketHolder {
  /** The table. */
  readonly table: Table;
  /** The descriptor in it. */
  readonly fd: number;
}

/** A socket that gets a successor. */
export interface BoundSocket {
  /** Its description, among those of the inventory; its successor is made by `SocketMoves.make`. */
  readonly description: Description;
  /** What else is to be done. */
  readonly move: UnixMove;
  /** The mount it is bound on. */
  readonly source: SourceMount;
  /** Its path below the root of that; undefined when it has lost it. */
  readonly path: Uint8Array | undefined;
}

/** What was found. */
export interface FoundSockets {
  readonly moves: BoundSocket[];
  readonly hindrances: Hindrance[];
}

/**
 * Looks at the sockets of stopped processes.
 *
 * @param sockets who holds them, by inode number
 * @param actorOf the actor of a table
 */
export function findSockets(
  sockets: ReadonlyMap<bigint, readonly SocketHolder[]>,
  inventory: Inventory,
  sources: readonly SourceMount[],
  actorOf: (table: Table) => Actor,
): FoundSockets {
  const found: FoundSockets = { moves: [], hindrances: [] };
  if (sockets.size === 0) return found;
  const pids = new Set([...sockets.values()].map(([holder]) => holder!.table.pid));
  const listed = listUnixSocketsOf([...pids]);
  for (const { major, minor } of distinctDevices(sources)) {
    for (const socket of socketsOn(listed, major, minor)) {
      const holders = sockets.get(BigInt(socket.ino));
      if (holders !== undefined) look(socket, listed, holders, { found, inventory, sources, actorOf });
    }
  }
  for (const [holder] of sockets.values()) {
    const { table, fd } = holder!;
    const bytes = readProcFile(`/proc/${table.task.tid}/fdinfo/${fd}`);
    if (typeof bytes === "number") continue;
    const onTheirWay = /^scm_fds:\s*(\d+)/m.exec(new TextDecoder("latin1").decode(bytes));
    if (onTheirWay === null || onTheirWay[1] === "0") continue;
    const reason = "has descriptors on their way (SCM_RIGHTS)";
    found.hindrances.push(hindrance(inventory, holder!, { reason, transient: true }, false));
  }
  return found;
}

interface Look {
  readonly found: FoundSockets;
  readonly inventory: Inventory;
  readonly sources: readonly SourceMount[];
  readonly actorOf: (table: Table) => Actor;
}

function look(
  socket: UnixSocket,
  all: readonly UnixSocket[],
  holders: readonly SocketHolder[],
  { found, inventory, sources, actorOf }: Look,
): void {
  const [first] = holders as [SocketHolder];
  const old = copyOf(actorOf(first.table), first.fd);
  if (old === undefined) return;
  try {
    const bound = boundFile(old);
    const source = typeof bound === "number" ? undefined : sources.find(({ id }) => id === bound.mountId);
    if (typeof bound === "number" || source === undefined) return;
    const { path: shown, deleted } = splitDeleted(bound.path);
    const path = deleted ? undefined : relativeTo(source.mountpoint, shown);
    const credentials = holders.map(({ table: { pid } }) => {
      const { uid, gid } = inventory.processes.get(pid)!.status;
      return { pid, uid: uid[1], gid: gid[1] };
    });
    const verdict = withoutPeers(judgeUnixSocket(socket, all, old, credentials));
    if (verdict.kind === "obstacle") {
      const { reason, transient } = verdict;
      const more = {
        reason: `is bound there and ${reason}`,
        path: path ?? shown,
        ...(transient && { transient }),
      };
      found.hindrances.push(hindrance(inventory, first, more, true));
      return;
    }
    found.moves.push({ description: describe(inventory, holders), move: verdict, source, path });
  } finally {
    closeFd(old);
  }
}

/** Datagram sockets with peers stay: each of those would have to be connected to the successor, and back if the swap is undone. */
function withoutPeers(verdict: UnixMove | UnixObstacle): UnixMove | UnixObstacle {
  if (verdict.kind === "obstacle" || (verdict.peers.length === 0 && verdict.peer === undefined)) {
    return verdict;
  }
  return { kind: "obstacle", reason: "has peers that are connected to it", transient: false };
}

/** Adds a socket to what is moved. */
function describe(inventory: Inventory, holders: readonly SocketHolder[]): Description {
  const described = holders.map(({ table, fd }) => {
    const flags = readFdinfo(`/proc/${table.task.tid}/fdinfo/${fd}`)?.flags ?? 0;
    return { table, fd, flags: flags & ~O_CLOEXEC, closeOnExec: (flags & O_CLOEXEC) !== 0 };
  });
  const description: Description = {
    place: undefined,
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

function hindrance(
  inventory: Inventory,
  { table: { pid }, fd }: SocketHolder,
  more: Pick<Obstacle, "reason"> & Partial<Obstacle>,
  alone: boolean,
): Hindrance {
  const comm = inventory.processes.get(pid)?.comm ?? "";
  return { obstacle: { pid, comm, kind: "socket", fd, ...more }, alone };
}

function distinctDevices(sources: readonly SourceMount[]): SourceMount[] {
  return [...new Map(sources.map((source) => [`${source.major}:${source.minor}`, source])).values()];
}

function copyOf(actor: Actor, fd: number): number | undefined {
  try {
    return actor.take(fd);
  } catch (error) {
    if (error instanceof SysError && error.errno === Errno.EBADF) return undefined;
    throw error;
  }
}

/** The successors of bound sockets. Until `keep`, disposing of it takes everything back. */
export class SocketMoves implements Disposable {
  readonly #moves: readonly BoundSocket[];
  readonly #fresh = new Map<BoundSocket, FreshUnixSocket>();

  constructor(moves: readonly BoundSocket[]) {
    this.#moves = moves;
  }

  /**
   * Makes the successors, aside.
   *
   * @param old our descriptor of the old one
   * @param made is told of each
   * @returns what stands in the way
   */
  make(
    inventory: Inventory,
    old: (description: Description) => number | undefined,
    made: (description: Description, fd: number) => void,
  ): Hindrance[] {
    const hindrances: Hindrance[] = [];
    for (const move of this.#moves) {
      const { description, source, path } = move;
      const descriptor = old(description);
      if (descriptor === undefined) continue;
      try {
        const fresh = new FreshUnixSocket({ old: descriptor, root: source.targetFd, path });
        this.#fresh.set(move, fresh);
        made(description, fresh.fd.raw);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const [{ table, fd }] = description.holders as [Description["holders"][number]];
        const reason = `cannot be bound on the target: ${error.message}`;
        hindrances.push(hindrance(inventory, { table, fd }, { reason, ...(path && { path }) }, false));
      }
    }
    return hindrances;
  }

  /** Lets those listen that do, each in the process that listened. @throws {RemoteError}, {TaskGone} */
  listen(isMoved: (description: Description) => boolean, actorOf: (table: Table) => Actor): void {
    for (const [{ description, move }, fresh] of this.#fresh) {
      if (move.listen === undefined || !isMoved(description)) continue;
      const { pid, backlog } = move.listen;
      const actor = actorOf(description.holders.find(({ table }) => table.pid === pid)!.table);
      actor.task.batch([[NR.listen, actor.numberOf(fresh.fd.raw), backlog]]);
    }
  }

  /**
   * Gives them their names.
   *
   * @throws {SysError}; EAGAIN when somebody has connected or sent something since the old one was looked at
   */
  place(
    isMoved: (description: Description) => boolean,
    old: (description: Description) => number | undefined,
  ): void {
    for (const [{ description }, fresh] of this.#fresh) {
      if (!isMoved(description)) continue;
      fresh.place();
      const before = old(description);
      if (before !== undefined && hasQueued(before)) throw new SysError("poll", Errno.EAGAIN);
    }
  }

  /** Makes it final. */
  keep(): void {
    for (const fresh of this.#fresh.values()) fresh.keep();
  }

  /** Takes back what is not kept. */
  [Symbol.dispose](): void {
    for (const fresh of this.#fresh.values()) fresh[Symbol.dispose]();
    this.#fresh.clear();
  }
}
