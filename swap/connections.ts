/**
 * Connections of which one end was accepted on a socket that is bound on a source. That end shows the listener's name and keeps its file,
 * and with it the mount. Both ends are replaced together: the process that connected connects once more, to a listener of the same name on
 * the target, which listens as the process that listened, so that names and credentials (SO_PEERCRED) are what they were. What waits to be
 * read is copied.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import {
  AF_UNIX,
  F_SETFL,
  O_NONBLOCK,
  S_IFMT,
  S_IFSOCK,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  STATX_MODE,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { closeFd, fchmodFd, fcntlSet, fstat, StatxBuffer } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import { accept4, shutdown } from "../ffi/sys/socket.ts";
import type { Actor } from "./actor.ts";
import type { Description, Hindrance, Inventory, Table } from "./inventory.ts";
import { complete } from "./side_by_side.ts";
import {
  copyOf,
  describeSocket,
  socketHindrance,
  type SocketHolder,
  socketObstacle,
  SocketRefused,
} from "./socket_holders.ts";
import { allProcesses, numbersIn, reach } from "./task_files.ts";
import { RemoteError } from "./remote_call.ts";
import type { SourceMount } from "./types.ts";
import { type Credentials, peerCredentials } from "./unix_sockets.ts";
import { TCP_ESTABLISHED, type UnixSocket } from "./unix_sockets_diag.ts";
import { FreshUnixSocket, socketBeside } from "./unix_sockets_fresh.ts";
import { copyOptions, hasFilter } from "./unix_sockets_options.ts";
import { copyQueue, fill, type Queued } from "./unix_sockets_queue.ts";

/** An end of a connection, whose name is on a source. */
export interface NamedEnd {
  /** What the kernel tells of it. */
  readonly socket: UnixSocket;
  /** Who holds it. */
  readonly holders: readonly SocketHolder[];
  /** Where its name is. */
  readonly source: SourceMount;
  /** Its path there, for messages. */
  readonly path: Uint8Array;
}

/** A connection that gets a successor. */
export interface Connection {
  /** The end that was accepted. */
  readonly server: Description;
  /** The end that connected. */
  readonly client: Description;
  /** What the kernel tells of the first. */
  readonly socket: UnixSocket;
  /** The mount that it keeps. */
  readonly source: SourceMount;
  /** Who connects. */
  readonly connecting: Table;
  /** Who listens. */
  readonly listening: Table;
  /** What waits on the server's end. */
  readonly toServer: Queued;
  /** What waits on the client's end. */
  readonly toClient: Queued;
  /** Which ends send nothing any more. */
  readonly shut: { readonly server: boolean; readonly client: boolean };
}

/** Where sockets and those who hold them are looked up. */
export interface ConnectionLook {
  readonly inventory: Inventory;
  /** All sockets that the kernel tells of. */
  readonly listed: readonly UnixSocket[];
  /** Who holds them, of the stopped. */
  readonly sockets: ReadonlyMap<bigint, readonly SocketHolder[]>;
  readonly actorOf: (table: Table) => Actor;
  /** Whether who is not stopped was not there, and will be stopped the next time. */
  readonly everybody: boolean;
}

/** Whether a socket is an end of a connection. */
export function isConnectionEnd({ type, state, peer }: UnixSocket): boolean {
  return type !== SOCK_DGRAM && (state === TCP_ESTABLISHED || peer !== undefined);
}

/** Looks at one end, and at the other. Adds both to what is moved, or says why they are not. */
export function findConnection(end: NamedEnd, look: ConnectionLook): Connection | Hindrance {
  const { inventory, actorOf } = look;
  const [first] = end.holders as [SocketHolder];
  const refuse = (reason: string, transient = false) =>
    socketHindrance(inventory, first, {
      reason: `is an end of a connection to a name there and ${reason}`,
      path: end.path,
      ...(transient && { transient }),
    }, true);
  const peer = look.listed.find(({ ino }) => ino !== 0 && ino === end.socket.peer);
  if (end.socket.peer === 0) return refuse("the other end is closed, or was not accepted yet", true);
  if (peer === undefined) return refuse("the other end is not to be seen");
  if (peer.name.length > 0) return refuse("both ends have a name");
  const holders = look.sockets.get(BigInt(peer.ino));
  if (holders === undefined) {
    const pid = holderOf(peer.ino);
    if (pid === undefined) return refuse(`no process has the other end (socket ${peer.ino})`, true);
    return refuse(`process ${pid} has the other end, which is not moved`, look.everybody);
  }
  const [server, client] = [
    copyOf(actorOf(first.table), first.fd),
    copyOf(
      actorOf(holders[0]!.table),
      holders[0]!.fd,
    ),
  ];
  try {
    if (server === undefined || client === undefined) return refuse("one end has been closed", true);
    if (hasFilter(server) || hasFilter(client)) {
      return refuse("has a socket filter, which cannot be read out");
    }
    const toServer = copyQueue(server, client, end.socket.type);
    if ("reason" in toServer) return refuse(toServer.reason, true);
    const toClient = copyQueue(client, server, end.socket.type);
    if ("reason" in toClient) return refuse(`the other end ${toClient.reason}`, true);
    const tables = [...end.holders, ...holders].map(({ table }) => table).concat(inventory.tables);
    const connecting = actingAs(peerCredentials(server), tables, inventory);
    if (typeof connecting === "string") return refuse(`was connected by ${connecting}`);
    const listening = actingAs(peerCredentials(client), tables, inventory);
    if (typeof listening === "string") return refuse(`was listened for by ${listening}`);
    const bond = { key: `connection ${end.socket.ino}`, pids: [connecting.pid, listening.pid] };
    const shut = {
      server: (end.socket.shutdown & SEND_SHUTDOWN) !== 0,
      client: (peer.shutdown & SEND_SHUTDOWN) !== 0,
    };
    return {
      server: describeSocket(inventory, end.holders, { ino: end.socket.ino, bond }),
      client: describeSocket(inventory, holders, { ino: peer.ino, bond }),
      ...{ socket: end.socket, source: end.source, connecting, listening, toServer, toClient, shut },
    };
  } finally {
    for (const fd of [server, client]) if (fd !== undefined) closeFd(fd);
  }
}

const SEND_SHUTDOWN = 2;

/** The table of the process that credentials are of; a string that says why there is none. */
function actingAs(
  { pid, uid, gid }: Credentials,
  tables: readonly Table[],
  { processes }: Inventory,
): Table | string {
  const table = tables.find((one) => one.pid === pid);
  if (table === undefined) return `process ${pid}, which is not moved or is gone`;
  const { status } = processes.get(pid)!;
  if (status.uid[1] === uid && status.gid[1] === gid) return table;
  return `process ${pid} as user ${uid} and group ${gid}, which it no longer is`;
}

/** A process that has a socket, if there is one. */
function holderOf(ino: number): number | undefined {
  return allProcesses().find((pid) =>
    (numbersIn(`/proc/${pid}/fd`) ?? []).some((fd) => {
      const found = reach(`/proc/${pid}/fd/${fd}`);
      return found?.ino === BigInt(ino) && (found.mode & S_IFMT) === S_IFSOCK;
    })
  );
}

/** What is connected to on the target. */
interface Listener {
  readonly fresh: FreshUnixSocket;
  /** Whether somebody listens already. */
  listens: boolean;
}

/** The successors of connections. Until the processes are changed, disposing of it takes everything back; afterwards it closes our copies. */
export class ConnectionMoves implements Disposable {
  readonly #connections: readonly Connection[];
  readonly #stack = new DisposableStack();
  readonly #listeners = new Map<string, Listener>();
  /** O_PATH descriptors of their files. */
  readonly #files = new Map<FreshUnixSocket, Fd>();
  readonly #made = new Map<Connection, { client: Fd; listener: Listener }>();

  constructor(connections: readonly Connection[]) {
    this.#connections = connections;
  }

  /**
   * Makes the clients' new ends, unconnected, and what they are to be connected to.
   *
   * @param old our descriptor of an old end
   * @param successor that of the listener, which will listen, if it is moved as well
   * @param made is told of each new end
   * @returns what stands in the way
   */
  make(
    inventory: Inventory,
    old: (description: Description) => number | undefined,
    successor: (connection: Connection) => FreshUnixSocket | undefined,
    made: (description: Description, fd: number) => void,
  ): Hindrance[] {
    const hindrances: Hindrance[] = [];
    for (const connection of this.#connections) {
      const { server, client, socket } = connection;
      const [oldServer, oldClient] = [old(server), old(client)];
      if (oldServer === undefined || oldClient === undefined) continue;
      try {
        const listener = this.#listener(connection, oldServer, successor(connection));
        const fd = this.#stack.use(socketBeside(oldClient, socket.type | SOCK_CLOEXEC));
        this.#made.set(connection, { client: fd, listener });
        made(client, fd.raw);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const reason = `cannot be connected on the target: ${error.message}`;
        hindrances.push(socketHindrance(inventory, server.holders[0]!, { reason }, false));
      }
    }
    return hindrances;
  }

  #listener(connection: Connection, oldServer: number, successor: FreshUnixSocket | undefined): Listener {
    if (successor !== undefined) return { fresh: successor, listens: true };
    const { source, socket, listening } = connection;
    const key = [source.id, socket.type, socket.file?.ino, listening.pid, ...socket.name].join(" ");
    let known = this.#listeners.get(key);
    if (known === undefined) {
      const order = { old: oldServer, root: source.targetFd, path: undefined };
      known = { fresh: this.#stack.use(new FreshUnixSocket(order)), listens: false };
      this.#listeners.set(key, known);
    }
    return known;
  }

  /**
   * Connects them, each in the process that connected the old one, and fills them. Brings the servers' new ends to who has the old ones.
   *
   * @param made is told of each of those
   * @param step called before each
   * @throws {SocketRefused} when a process may not connect; {SysError}, {RemoteError}, {TaskGone}
   */
  connect(
    inventory: Inventory,
    { isMoved, old, actorOf, made, step }: ConnectCalls,
  ): void {
    for (const [connection, { client, listener }] of this.#made) {
      if (!isMoved(connection.server)) continue;
      step("connect", connection.connecting.pid);
      const { toServer, toClient, shut } = connection;
      if (!listener.listens) {
        const actor = actorOf(connection.listening);
        complete(actor.bring([listener.fresh.fd.raw]));
        complete(actor.task.batch([[NR.listen, actor.numberOf(listener.fresh.fd.raw), 1]]));
        listener.listens = true;
      }
      this.#connectOne(inventory, connection, client, listener.fresh, actorOf(connection.connecting));
      const server = this.#stack.use(
        Fd.own(check(accept4(listener.fresh.fd.raw, SOCK_CLOEXEC), "accept4")),
      );
      fill(client.raw, toServer);
      fill(server.raw, toClient);
      if (shut.client) check(shutdown(client.raw, SHUT_WR), "shutdown");
      if (shut.server) check(shutdown(server.raw, SHUT_WR), "shutdown");
      for (const [description, fd] of [[connection.server, server], [connection.client, client]] as const) {
        copyOptions(old(description)!, fd.raw);
        check(fcntlSet(fd.raw, F_SETFL, description.flags & O_NONBLOCK), "fcntl F_SETFL");
      }
      made(connection.server, server.raw);
      for (const { table } of connection.server.holders) complete(actorOf(table).bring([server.raw]));
    }
  }

  #connectOne(
    inventory: Inventory,
    { client: { holders } }: Connection,
    client: Fd,
    fresh: FreshUnixSocket,
    actor: Actor,
  ): void {
    let file = this.#files.get(fresh);
    if (file === undefined) this.#files.set(fresh, file = this.#stack.use(fresh.file()));
    complete(actor.bring([file.raw, client.raw]));
    const path = new TextEncoder().encode(`/proc/self/fd/${actor.numberOf(file.raw)}\0`);
    const room = actor.arguments();
    const address = room.add(2 + path.length, (view) => {
      view.setUint16(0, AF_UNIX, true);
      path.forEach((byte, i) => view.setUint8(2 + i, byte));
    });
    room.write(actor.task);
    // Nobody else can reach it where it is. Who could connect once need not have the right to any more.
    const out = new StatxBuffer();
    check(fstat(file.raw, STATX_MODE, out), "statx");
    check(fchmodFd(file.raw, 0o777), "fchmod");
    try {
      complete(actor.task.batch([[NR.connect, actor.numberOf(client.raw), address, 2 + path.length]]));
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      const reason = `cannot be connected anew by process ${actor.task.tgid}: ${error.message}`;
      throw new SocketRefused(socketObstacle(inventory, holders[0]!, { reason }));
    } finally {
      check(fchmodFd(file.raw, out.mode & 0o7777), "fchmod");
    }
  }

  /** Closes our copies. */
  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** What connecting takes. */
export interface ConnectCalls {
  readonly isMoved: (description: Description) => boolean;
  readonly old: (description: Description) => number | undefined;
  readonly actorOf: (table: Table) => Actor;
  readonly made: (description: Description, fd: number) => void;
  readonly step: (name: string, pid: number) => void;
}
