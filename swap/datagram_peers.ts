/**
 * Datagram sockets that are connected to one that gets a successor, and those that a successor is to be connected to. The first stay what they are,
 * and are connected to the successor. That is the same call whichever process makes it, so the tracer makes it on copies of their descriptors.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { check } from "../ffi/sys/libc.ts";
import type { Actor } from "./actor.ts";
import type { Inventory, Table } from "./inventory.ts";
import { copyOf, type SocketHolder, socketObstacle, SocketRefused } from "./socket_holders.ts";
import { connectTo, hasQueued } from "./unix_sockets.ts";
import { boundDescriptor, type FreshUnixSocket } from "./unix_sockets_fresh.ts";

/** A socket besides the one that is told of. */
export interface SocketPeer {
  /** Its inode number. */
  readonly ino: number;
  /** One who holds it. */
  readonly holder: SocketHolder;
}

/** A socket that another one is connected to: with an abstract name, or in the hands of a stopped process. */
export type SocketTarget = SocketPeer | { readonly ino: number; readonly name: Uint8Array };

/** One that is connected to the old socket. */
interface Peer {
  readonly fd: Fd;
  readonly old: number;
}

/** Peers that have been connected to successors. Until `keep`, disposing of it connects them back. */
export class DatagramPeers implements Disposable {
  readonly #moved: Peer[] = [];

  /**
   * Connects those who were connected to the old socket.
   *
   * @param holders of each, one who has it
   * @param old our descriptor of the old socket
   * @throws {SysError}; {SocketRefused} when one has got something meanwhile, which connecting it would throw away
   */
  move(
    holders: readonly SocketHolder[],
    old: number,
    fresh: FreshUnixSocket,
    inventory: Inventory,
    actorOf: (table: Table) => Actor,
  ): void {
    if (holders.length === 0) return;
    using file = fresh.file();
    for (const holder of holders) {
      const copy = copyOf(actorOf(holder.table), holder.fd);
      if (copy === undefined) continue;
      const fd = Fd.own(copy);
      if (hasQueued(copy)) {
        fd.close();
        const more = { reason: "was sent something meanwhile", transient: true };
        throw new SocketRefused(socketObstacle(inventory, holder, more));
      }
      this.#moved.push({ fd, old });
      check(connectTo(copy, file.raw), "connect");
    }
  }

  /** Makes it final. */
  keep(): void {
    for (const { fd } of this.#moved.splice(0)) fd.close();
  }

  /** Connects them back. @throws {SysError} when that fails */
  [Symbol.dispose](): void {
    for (const { fd, old } of this.#moved.splice(0).reverse()) {
      using peer = fd;
      const bound = boundDescriptor(old);
      if (bound < 0) throw new SysError("ioctl SIOCUNIXFILE", -bound);
      using file = Fd.own(bound);
      check(connectTo(peer.raw, file.raw), "connect");
    }
  }
}

/** Connects a successor to what its predecessor was connected to, or to the successor of that. @throws {SysError} */
export function connectSuccessor(
  { fd }: FreshUnixSocket,
  successor: FreshUnixSocket | undefined,
  peer: SocketTarget,
  actorOf: (table: Table) => Actor,
): void {
  if (successor !== undefined) connectToFile(fd, successor.file());
  else if ("name" in peer) check(connectTo(fd.raw, peer.name), "connect");
  else connectToFile(fd, fileOf(peer, actorOf));
}

function connectToFile(socket: Fd, target: Fd): void {
  using file = target;
  check(connectTo(socket.raw, file.raw), "connect");
}

/** The file that a socket is bound to. @throws {SysError} */
function fileOf({ holder: { table, fd } }: SocketPeer, actorOf: (table: Table) => Actor): Fd {
  using socket = Fd.own(actorOf(table).take(fd));
  return Fd.own(check(boundDescriptor(socket.raw), "ioctl SIOCUNIXFILE"));
}
