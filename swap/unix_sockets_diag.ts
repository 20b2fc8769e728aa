/**
 * The unix sockets of network namespaces, as sock_diag(7) tells of them.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { AF_NETLINK, AF_UNIX, MSG_TRUNC, SOCK_CLOEXEC, SOCK_RAW } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { check } from "../ffi/sys/libc.ts";
import { recv, send, socket } from "../ffi/sys/socket.ts";
import { inNetworkNamespace, linkText, openNamespace } from "./unix_sockets_netns.ts";

/** A socket that listens. */
export const TCP_LISTEN = 10;
/** A socket that is not connected; datagram sockets are always. */
export const TCP_CLOSE = 7;
/** A socket that is connected. */
export const TCP_ESTABLISHED = 1;

/** A unix socket, as far as the kernel tells. Those that wait in a listener's queue are not told of. */
export interface UnixSocket {
  /** The socket's inode number, as in `socket:[N]`. */
  readonly ino: number;
  /** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
  readonly type: number;
  /** TCP_LISTEN, TCP_CLOSE or TCP_ESTABLISHED. */
  readonly state: number;
  /** The file it is bound to, if it is: of connections that were accepted, the file of the listener. */
  readonly file: BoundFile | undefined;
  /** The address without its family: a path with its NUL, or an abstract name, which begins with a NUL. Empty without. */
  readonly name: Uint8Array;
  /** The inode number of the socket that it is connected to; 0 when there is none or it is gone. Undefined when it is not connected. */
  readonly peer: number | undefined;
  /** Of listeners, how many connections wait to be accepted. Of others, the bytes that can be read (of datagrams, of the first). */
  readonly receiveQueue: number;
  /** Of listeners, the backlog. Of others, the bytes that were sent and not read yet. */
  readonly sendQueue: number;
  /** Of listeners: the inode numbers of the clients that wait, 0 for those that are gone. */
  readonly pending: readonly number[];
  /** RCV_SHUTDOWN (1), SEND_SHUTDOWN (2). */
  readonly shutdown: number;
}

/** The file of a bound socket. */
export interface BoundFile {
  /** The lower 32 bits of its inode number. */
  readonly ino: number;
  /** Of the file system's superblock, as in `/proc/PID/maps`. */
  readonly major: number;
  /** See `major`. */
  readonly minor: number;
}

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const SHOW_NAME_VFS_PEER_ICONS_RQLEN = 0x1f;
const DIAG_NAME = 0;
const DIAG_VFS = 1;
const DIAG_PEER = 2;
const DIAG_ICONS = 3;
const DIAG_RQLEN = 4;
const DIAG_SHUTDOWN = 6;
const MESSAGE = 16; // sizeof(struct nlmsghdr), sizeof(struct unix_diag_msg)
const ATTRIBUTE = 4; // sizeof(struct nlattr)

/** How far a dump has come. */
export interface DumpState {
  /** Whether its end has been read. */
  done: boolean;
  /** Whether sockets came or went meanwhile, so that it may lack some. */
  interrupted: boolean;
}

/**
 * Reads one datagram of a dump.
 *
 * @param found gets the sockets.
 * @param state is updated.
 * @throws {SysError} when the kernel answers with an error: ENOENT when it has no CONFIG_UNIX_DIAG. @throws {SyntaxError} when it is cut off.
 */
export function parseUnixDiag(bytes: Uint8Array, found: UnixSocket[], state: DumpState): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length && !state.done;) {
    if (at + MESSAGE > bytes.length) throw new SyntaxError("a netlink header is cut off");
    const length = view.getUint32(at, true);
    const type = view.getUint16(at + 4, true);
    if (length < MESSAGE || at + length > bytes.length) throw new SyntaxError("a netlink message is cut off");
    if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) state.interrupted = true;
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      const error = length >= MESSAGE + 4 ? view.getInt32(at + MESSAGE, true) : 0;
      if (error < 0) throw new SysError("netlink SOCK_DIAG_BY_FAMILY", -error);
      state.done = true;
    }
    if (type === SOCK_DIAG_BY_FAMILY) found.push(parseSocket(bytes.subarray(at + MESSAGE, at + length)));
    at += align(length);
  }
}

function parseSocket(bytes: Uint8Array): UnixSocket {
  if (bytes.length < MESSAGE) throw new SyntaxError("a struct unix_diag_msg is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const socket = {
    ino: view.getUint32(4, true),
    type: bytes[1]!,
    state: bytes[2]!,
    file: undefined as BoundFile | undefined,
    name: new Uint8Array() as Uint8Array,
    peer: undefined as number | undefined,
    receiveQueue: 0,
    sendQueue: 0,
    pending: [] as number[],
    shutdown: 0,
  };
  for (let at = MESSAGE; at + ATTRIBUTE <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || at + length > bytes.length) {
      throw new SyntaxError("a netlink attribute is cut off");
    }
    const payload = at + ATTRIBUTE;
    switch (view.getUint16(at + 2, true)) {
      case DIAG_NAME:
        socket.name = bytes.slice(payload, at + length);
        break;
      case DIAG_VFS: {
        // The kernel's own dev_t, which is not the encoding of stat(2): 12 bits of major above 20 of minor.
        const device = view.getUint32(payload + 4, true);
        socket.file = {
          ino: view.getUint32(payload, true),
          major: device >>> 20,
          minor: device & 0xfffff,
        };
        break;
      }
      case DIAG_PEER:
        socket.peer = view.getUint32(payload, true);
        break;
      case DIAG_ICONS:
        for (let i = payload; i + 4 <= at + length; i += 4) socket.pending.push(view.getUint32(i, true));
        break;
      case DIAG_RQLEN:
        socket.receiveQueue = view.getUint32(payload, true);
        socket.sendQueue = view.getUint32(payload + 4, true);
        break;
      case DIAG_SHUTDOWN:
        socket.shutdown = bytes[payload]!;
        break;
    }
    at += align(length);
  }
  return socket;
}

function align(length: number): number {
  return (length + 3) & ~3;
}

/** How often a dump is asked for again, when sockets come and go while it is made. */
const ATTEMPTS = 8;

/**
 * All unix sockets of the calling thread's network namespace. If sockets come and go all the time, some of them may be missing.
 *
 * @throws {SysError} ENOENT or EPROTONOSUPPORT when the kernel has no CONFIG_UNIX_DIAG.
 */
export function listUnixSockets(): UnixSocket[] {
  let found: UnixSocket[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    found = [];
    if (!dump(found).interrupted) break;
  }
  return found;
}

/**
 * The unix sockets of the network namespaces of these processes, those that are gone left out. The calling thread enters each namespace
 * and comes back before this returns.
 *
 * @throws {SysError} as `listUnixSockets` does, and EPERM without CAP_SYS_ADMIN.
 */
export function listUnixSocketsOf(pids: readonly number[]): UnixSocket[] {
  const seen = new Set<string>();
  const found: UnixSocket[] = [];
  for (const pid of pids) {
    const path = `/proc/${pid}/ns/net`;
    const namespace = linkText(path);
    if (namespace === undefined || seen.has(namespace)) continue;
    if (namespace === linkText("/proc/thread-self/ns/net")) {
      seen.add(namespace);
      found.push(...listUnixSockets());
      continue;
    }
    using fd = openNamespace(path);
    if (fd === undefined) continue;
    seen.add(namespace);
    found.push(...inNetworkNamespace(fd.raw, listUnixSockets));
  }
  return found;
}

/** Those that are bound to a file of this file system, accepted connections included. */
export function socketsOn(sockets: readonly UnixSocket[], major: number, minor: number): UnixSocket[] {
  return sockets.filter(({ file }) => file !== undefined && file.major === major && file.minor === minor);
}

function dump(found: UnixSocket[]): DumpState {
  using channel = Fd.own(
    check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), "socket"),
  );
  // struct nlmsghdr and struct unix_diag_req {u8 family@0, u32 states@4, ino@8, show@12, cookie[2]@16}
  const request = new DataView(new ArrayBuffer(MESSAGE + 24));
  request.setUint32(0, request.byteLength, true);
  request.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  request.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  request.setUint8(MESSAGE, AF_UNIX);
  request.setUint32(MESSAGE + 4, 0xffffffff, true);
  request.setUint32(MESSAGE + 12, SHOW_NAME_VFS_PEER_ICONS_RQLEN, true);
  check(send(channel.raw, new Uint8Array(request.buffer), 0), "send");
  const buffer = new Uint8Array(new ArrayBuffer(1 << 16));
  const state = { done: false, interrupted: false };
  while (!state.done) {
    const length = recv(channel.raw, buffer, MSG_TRUNC);
    if (length === -Errno.EINTR) continue;
    if (check(length, "recv") > buffer.length) throw new SysError("recv", Errno.EMSGSIZE);
    parseUnixDiag(buffer.subarray(0, length), found, state);
  }
  return state;
}
