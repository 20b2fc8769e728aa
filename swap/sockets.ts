/**
 * Unix sockets that are bound on a source. They keep its mount, and who connects by their path reaches nobody once another mount is there.
 * A socket cannot be bound a second time, so a fresh one with the same address takes its place, where nothing that is queued and nobody's
 * connection is lost by it; the others stay on the source. Connections that were accepted are seen to by connections.ts.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import { F_SETFL, O_NONBLOCK } from "../ffi/sys/constants.ts";
import { closeFd, fcntlSet } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import type { Actor } from "./actor.ts";
import {
  type ConnectCalls,
  type Connection,
  ConnectionMoves,
  findConnection,
  isConnectionEnd,
  type NamedEnd,
} from "./connections.ts";
import { connectSuccessor, DatagramPeers, type SocketPeer, type SocketTarget } from "./datagram_peers.ts";
import type { Description, Hindrance, Inventory, Table } from "./inventory.ts";
import { relativeTo, splitDeleted } from "./procfs/names.ts";
import { complete } from "./side_by_side.ts";
import {
  copyOf,
  describeSocket,
  socketHindrance,
  type SocketHolder,
  socketObstacle,
  SocketRefused,
} from "./socket_holders.ts";
import { readWhole } from "./task_files.ts";
import type { SourceMount } from "./types.ts";
import { hasQueued, judgeUnixSocket, type UnixMove, type UnixObstacle } from "./unix_sockets.ts";
import { listUnixSocketsOf, socketsOn, type UnixSocket } from "./unix_sockets_diag.ts";
import { boundFile, FreshUnixSocket } from "./unix_sockets_fresh.ts";

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
  /** What the kernel tells of it. */
  readonly socket: UnixSocket;
  /** The datagram sockets that are connected to it. */
  readonly peers: readonly SocketPeer[];
  /** The datagram socket that it is connected to. */
  readonly peer: SocketTarget | undefined;
}

/** What was found. */
export interface FoundSockets {
  readonly moves: BoundSocket[];
  readonly connections: Connection[];
  readonly hindrances: Hindrance[];
}

/**
 * Looks at the sockets of stopped processes.
 *
 * @param sockets who holds them, by inode number
 * @param actorOf the actor of a table
 * @param everybody whether all who refer to a source are among the stopped, but for those who came to it since
 */
export function findSockets(
  sockets: ReadonlyMap<bigint, readonly SocketHolder[]>,
  inventory: Inventory,
  sources: readonly SourceMount[],
  actorOf: (table: Table) => Actor,
  everybody: boolean,
): FoundSockets {
  const found: FoundSockets = { moves: [], connections: [], hindrances: [] };
  const ends: NamedEnd[] = [];
  if (sockets.size === 0) return found;
  const pids = new Set([...sockets.values()].map(([holder]) => holder!.table.pid));
  const listed = listUnixSocketsOf([...pids]);
  for (const { major, minor } of distinctDevices(sources)) {
    for (const socket of socketsOn(listed, major, minor)) {
      const holders = sockets.get(BigInt(socket.ino));
      if (holders === undefined) continue;
      look(socket, listed, holders, { found, ends, inventory, sources, actorOf, sockets });
    }
  }
  for (const end of ends) {
    const one = findConnection(end, { inventory, listed, sockets, actorOf, everybody });
    if ("obstacle" in one) found.hindrances.push(one);
    else found.connections.push(one);
  }
  for (const [holder] of sockets.values()) {
    const { table, fd } = holder!;
    const bytes = readWhole(`/proc/${table.task.tid}/fdinfo/${fd}`);
    if (bytes === undefined) continue;
    const onTheirWay = /^scm_fds:\s*(\d+)/m.exec(new TextDecoder("latin1").decode(bytes));
    if (onTheirWay === null || onTheirWay[1] === "0") continue;
    const reason = "has descriptors on their way (SCM_RIGHTS)";
    found.hindrances.push(socketHindrance(inventory, holder!, { reason, transient: true }, false));
  }
  return found;
}

interface Look {
  readonly found: FoundSockets;
  readonly ends: NamedEnd[];
  readonly inventory: Inventory;
  readonly sources: readonly SourceMount[];
  readonly actorOf: (table: Table) => Actor;
  readonly sockets: ReadonlyMap<bigint, readonly SocketHolder[]>;
}

function look(
  socket: UnixSocket,
  all: readonly UnixSocket[],
  holders: readonly SocketHolder[],
  { found, ends, inventory, sources, actorOf, sockets }: Look,
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
    if (isConnectionEnd(socket)) {
      ends.push({ socket, holders, source, path: path ?? shown });
      return;
    }
    const credentials = holders.map(({ table: { pid } }) => {
      const { uid, gid } = inventory.processes.get(pid)!.status;
      return { pid, uid: uid[1], gid: gid[1] };
    });
    const verdict = withKnownPeers(judgeUnixSocket(socket, all, old, credentials), all, sockets);
    if (verdict.kind === "obstacle") {
      const { reason, transient } = verdict;
      const more = {
        reason: `is bound there and ${reason}`,
        path: path ?? shown,
        ...(transient && { transient }),
      };
      found.hindrances.push(socketHindrance(inventory, first, more, true));
      return;
    }
    found.moves.push({
      description: describeSocket(inventory, holders, { ino: socket.ino }),
      move: verdict,
      source,
      path,
      socket,
      peers: verdict.peers.map((ino) => ({ ino, holder: sockets.get(BigInt(ino))![0]! })),
      peer: verdict.peer === undefined ? undefined : targetOf(verdict.peer, all, sockets),
    });
  } finally {
    closeFd(old);
  }
}

/** Who is connected to a datagram socket, and whom it is connected to, has to be in somebody's hands. */
function withKnownPeers(
  verdict: UnixMove | UnixObstacle,
  all: readonly UnixSocket[],
  sockets: ReadonlyMap<bigint, readonly SocketHolder[]>,
): UnixMove | UnixObstacle {
  if (verdict.kind === "obstacle") return verdict;
  const { peer, peers } = verdict;
  if (peer !== undefined && targetOf(peer, all, sockets) === undefined) {
    const reason = `is connected to a socket (${peer}) that no process has which is moved`;
    return { kind: "obstacle", reason, transient: false };
  }
  const unknown = peers.find((ino) => !sockets.has(BigInt(ino)));
  if (unknown === undefined) return verdict;
  const reason = `has a peer (socket ${unknown}) that no process has which is moved`;
  return { kind: "obstacle", reason, transient: false };
}

function targetOf(
  ino: number,
  all: readonly UnixSocket[],
  sockets: ReadonlyMap<bigint, readonly SocketHolder[]>,
): SocketTarget | undefined {
  const name = all.find((one) => one.ino === ino)?.name;
  if (name?.[0] === 0) return { ino, name };
  const [holder] = sockets.get(BigInt(ino)) ?? [];
  return holder === undefined ? undefined : { ino, holder };
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

function distinctDevices(sources: readonly SourceMount[]): SourceMount[] {
  return [...new Map(sources.map((source) => [`${source.major}:${source.minor}`, source])).values()];
}

/** The successors of bound sockets. Until `keep`, disposing of it takes everything back. */
export class SocketMoves implements Disposable {
  readonly #moves: readonly BoundSocket[];
  readonly #fresh = new Map<BoundSocket, FreshUnixSocket>();
  readonly #connections: ConnectionMoves;
  readonly #peers = new DatagramPeers();

  constructor(moves: readonly BoundSocket[], connections: readonly Connection[]) {
    this.#moves = moves;
    this.#connections = new ConnectionMoves(connections);
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
        check(fcntlSet(fresh.fd.raw, F_SETFL, description.flags & O_NONBLOCK), "fcntl F_SETFL");
        made(description, fresh.fd.raw);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const [{ table, fd }] = description.holders as [Description["holders"][number]];
        const reason = `cannot be bound on the target: ${error.message}`;
        hindrances.push(socketHindrance(inventory, { table, fd }, { reason, ...(path && { path }) }, false));
      }
    }
    hindrances.push(...this.#connections.make(inventory, old, (one) => this.#listenerOf(one), made));
    return hindrances;
  }

  /** What will listen in the place of what a connection was accepted on, as the same process. */
  #listenerOf({ socket, source, listening }: Connection): FreshUnixSocket | undefined {
    for (const [one, fresh] of this.#fresh) {
      if (one.move.listen?.pid !== listening.pid || one.source !== source) continue;
      if (one.socket.type !== socket.type || one.socket.file?.ino !== socket.file?.ino) continue;
      if (isEqual(one.socket.name, socket.name)) return fresh;
    }
    return undefined;
  }

  /** Connects the new ends of connections; to be called when those listen that do. @throws as {@linkcode ConnectionMoves.connect} */
  connect(inventory: Inventory, calls: ConnectCalls): void {
    this.#connections.connect(inventory, calls);
  }

  /** Lets those listen that do, each in the process that listened. @throws {RemoteError}, {TaskGone} */
  listen(isMoved: (description: Description) => boolean, actorOf: (table: Table) => Actor): void {
    for (const [{ description, move }, fresh] of this.#fresh) {
      if (move.listen === undefined || !isMoved(description)) continue;
      const { pid, backlog } = move.listen;
      const actor = actorOf(description.holders.find(({ table }) => table.pid === pid)!.table);
      complete(actor.task.batch([[NR.listen, actor.numberOf(fresh.fd.raw), backlog]]));
    }
  }

  /**
   * Gives them their names, and connects who was connected to the old ones.
   *
   * @throws {SysError}; {SocketRefused} when somebody has connected or sent something since the old one was looked at
   */
  place(
    inventory: Inventory,
    isMoved: (description: Description) => boolean,
    old: (description: Description) => number | undefined,
    actorOf: (table: Table) => Actor,
  ): void {
    const moved = [...this.#fresh].filter(([{ description }]) => isMoved(description));
    const successors = new Map(moved.map(([{ socket: { ino } }, fresh]) => [ino, fresh]));
    for (const [{ description, path, peers }, fresh] of moved) {
      fresh.place();
      const before = old(description);
      if (before === undefined) continue;
      const staying = peers.filter(({ ino }) => !successors.has(ino)).map(({ holder }) => holder);
      this.#peers.move(staying, before, fresh, inventory, actorOf);
      if (!hasQueued(before)) continue;
      const more = { reason: "was connected or sent to meanwhile", ...(path && { path }), transient: true };
      throw new SocketRefused(socketObstacle(inventory, description.holders[0]!, more));
    }
    // A socket that is connected cannot be connected to by others, so these come when the others have been.
    for (const [{ peer }, fresh] of moved) {
      if (peer !== undefined) connectSuccessor(fresh, successors.get(peer.ino), peer, actorOf);
    }
  }

  /** Makes it final. */
  keep(): void {
    this.#peers.keep();
    for (const fresh of this.#fresh.values()) fresh.keep();
  }

  /** Takes back what is not kept. */
  [Symbol.dispose](): void {
    this.#peers[Symbol.dispose]();
    this.#connections[Symbol.dispose]();
    for (const fresh of this.#fresh.values()) fresh[Symbol.dispose]();
    this.#fresh.clear();
  }
}
