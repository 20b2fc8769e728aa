/**
 * Which unix sockets that are bound on a file system can be moved to another one, and what that takes.
 *
 * What the owner and the peers see has to stay: descriptors, addresses, credentials (SO_PEERCRED), backlog, options, and what is queued.
 *
 * @module
 */
import { AF_UNIX, POLLIN, SOCK_DGRAM, SOL_SOCKET } from "../ffi/sys/constants.ts";
import { check } from "../ffi/sys/libc.ts";
import { PollSet } from "../ffi/sys/poll.ts";
import { connect, getsockopt } from "../ffi/sys/socket.ts";
import { TCP_ESTABLISHED, TCP_LISTEN, type UnixSocket } from "./unix_sockets_diag.ts";
import { hasFilter } from "./unix_sockets_options.ts";

/** A process that holds a socket and is stopped. */
export interface SocketHolder {
  /** In this process's pid namespace. */
  readonly pid: number;
  /** The effective user in this process's user namespace. */
  readonly uid: number;
  /** The effective group. */
  readonly gid: number;
}

/** Whose credentials a socket shows to its peers. */
export interface Credentials {
  /** 0 when the process is gone or not known to this process's pid namespace. */
  readonly pid: number;
  /** See `pid`. */
  readonly uid: number;
  /** See `pid`. */
  readonly gid: number;
}

/** A call of listen(2) that is to be made in another process. */
export interface ListenCall {
  /** By which process. */
  readonly pid: number;
  /** The second argument. */
  readonly backlog: number;
}

/** How a socket can be moved: by a `FreshUnixSocket`, and then in this order. */
export interface UnixMove {
  /** It can. */
  readonly kind: "move";
  /**
   * What is to be called on the fresh socket before it takes the old one's place: clients see the credentials of the caller.
   */
  readonly listen: ListenCall | undefined;
  /**
   * The inode numbers of datagram sockets that are connected to it: `connectTo` points them at the fresh one. An empty datagram that waits
   * on one of them is known only by `hasQueued` of its descriptor.
   */
  readonly peers: readonly number[];
  /** The inode number of the datagram socket that it is connected to: the fresh one is connected to that one or to its successor. */
  readonly peer: number | undefined;
}

/** Why a socket cannot be moved. */
export interface UnixObstacle {
  /** It cannot. */
  readonly kind: "obstacle";
  /** One sentence's end, see `Obstacle.reason`. */
  readonly reason: string;
  /** Whether it goes away by itself. */
  readonly transient: boolean;
}

const SO_PEERCRED = 17;

/** SO_PEERCRED: of a listener, of who called listen(2); of others, of who made the peer what it is. @throws {SysError} */
export function peerCredentials(socketFd: number): Credentials {
  const out = new DataView(new ArrayBuffer(12));
  check(getsockopt(socketFd, SOL_SOCKET, SO_PEERCRED, new Uint8Array(out.buffer)), "getsockopt SO_PEERCRED");
  return { pid: out.getInt32(0, true), uid: out.getUint32(4, true), gid: out.getUint32(8, true) };
}

/**
 * Whether something is to be taken from a socket: data, an empty datagram, the end of a stream, or a connection to be accepted. To be asked
 * again when the socket's name leads to the fresh one and nobody can reach the old one any more.
 */
export function hasQueued(socketFd: number): boolean {
  const poll = new PollSet([{ fd: socketFd, events: POLLIN }]);
  check(poll.wait(0), "poll");
  return (poll.revents(0) & POLLIN) !== 0;
}

/**
 * Looks at a socket that is bound on the file system, and decides.
 *
 * @param socket what `listUnixSocketsOf` says of it.
 * @param all what it says of the others: those that are connected to this one are among them, if they are in the same network namespace.
 * @param old a descriptor of it.
 * @param holders the stopped processes that hold it.
 * @throws {SysError} when the descriptor is no unix socket.
 */
export function judgeUnixSocket(
  socket: UnixSocket,
  all: readonly UnixSocket[],
  old: number,
  holders: readonly SocketHolder[],
): UnixMove | UnixObstacle {
  if (hasFilter(old)) return obstacle("has a socket filter, which cannot be read out");
  if (socket.type === SOCK_DGRAM) return judgeDatagrams(socket, all, old);
  if (socket.state === TCP_LISTEN) return judgeListener(socket, old, holders);
  if (socket.state === TCP_ESTABLISHED || socket.peer !== undefined) {
    return obstacle("is an end of a connection, which keeps the file that it was accepted on or bound to");
  }
  return { kind: "move", listen: undefined, peers: [], peer: undefined };
}

function judgeListener(
  socket: UnixSocket,
  old: number,
  holders: readonly SocketHolder[],
): UnixMove | UnixObstacle {
  if (socket.receiveQueue > 0 || hasQueued(old)) {
    return obstacle("has connections that were not accepted yet", true);
  }
  const { pid, uid, gid } = peerCredentials(old);
  const listener = holders.find((holder) => holder.pid === pid);
  if (listener === undefined) {
    return obstacle(`listens with the credentials of process ${pid}, which is not moved or is gone`);
  }
  if (listener.uid !== uid || listener.gid !== gid) {
    return obstacle(`listens as user ${uid} and group ${gid}, which process ${pid} no longer is`);
  }
  return { kind: "move", listen: { pid, backlog: socket.sendQueue }, peers: [], peer: undefined };
}

function judgeDatagrams(
  socket: UnixSocket,
  all: readonly UnixSocket[],
  old: number,
): UnixMove | UnixObstacle {
  if (hasQueued(old)) return obstacle("has datagrams that were not read yet", true);
  if (socket.shutdown !== 0) return obstacle("was shut down");
  const peers = all.filter(({ type, peer }) => type === SOCK_DGRAM && peer === socket.ino);
  // connect(2) throws away what is queued on the socket that is connected.
  const waiting = peers.find(({ receiveQueue }) => receiveQueue > 0);
  if (waiting !== undefined) {
    return obstacle(`has a peer (socket ${waiting.ino}) with datagrams that were not read yet`, true);
  }
  if (socket.peer !== undefined) {
    // Whoever else is connected to it came before and cannot send any more; nor could it be connected again.
    const other = peers.find(({ ino }) => ino !== socket.peer);
    if (other !== undefined) {
      return obstacle(`has a peer (socket ${other.ino}) besides the one it is connected to`);
    }
    const peer = all.find(({ ino }) => ino === socket.peer);
    if (peer === undefined) return obstacle("is connected to a socket that is gone or not to be seen");
    if (peer.name.length === 0) return obstacle("is connected to a socket that has no name");
    if (peer.peer !== undefined && peer.peer !== socket.ino) {
      return obstacle("is connected to a socket that is connected to another one");
    }
  }
  return { kind: "move", listen: undefined, peers: peers.map(({ ino }) => ino), peer: socket.peer };
}

function obstacle(reason: string, transient = false): UnixObstacle {
  return { kind: "obstacle", reason, transient };
}

/**
 * Connects a datagram socket, which any process may hold, to one that is bound. The peer's address stays what it was bound to. What is
 * queued on `socketFd` is lost, if there is anything (`hasQueued`), and the former peer gets ECONNRESET then.
 *
 * Of two sockets that are connected to each other, the one that stays is connected to the fresh one first: a socket that is connected to
 * another one cannot be connected to (EPERM).
 *
 * @param target the name of the socket: an O_PATH descriptor of its file, or an abstract name with its leading NUL.
 * @returns 0, or a negated error number: ECONNREFUSED when nobody is bound there.
 */
export function connectTo(socketFd: number, target: number | Uint8Array): number {
  const name = typeof target === "number" ? new TextEncoder().encode(`/proc/self/fd/${target}\0`) : target;
  const address = new Uint8Array(2 + name.length);
  address[0] = AF_UNIX;
  address.set(name, 2);
  return connect(socketFd, address);
}
