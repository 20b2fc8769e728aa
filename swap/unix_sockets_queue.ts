/**
 * What waits to be read on an end of a connection, copied for a new connection that takes its place. Nothing is taken out of the old one:
 * until it is closed, it is as it was.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import {
  AF_UNIX,
  FIONREAD,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  POLLERR,
  POLLPRI,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  TIOCOUTQ,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { ioctl } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";
import { PollSet } from "../ffi/sys/poll.ts";
import { getsockopt, recv, send, setsockopt, socketpair } from "../ffi/sys/socket.ts";

/** What a queue holds: one part for a stream, one for each message otherwise. */
export type Queued = readonly Uint8Array<ArrayBuffer>[];

/** A queue that cannot be copied, and why: one sentence's end, see `Obstacle.reason`. */
export interface Uncopied {
  /** Why. */
  readonly reason: string;
}

const SO_SNDBUFFORCE = 32;
const SO_PEEK_OFF = 42;
/** SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD, SO_TIMESTAMP, SO_TIMESTAMPNS: what is received says who sent it, or when. */
const TOLD_WITH_DATA = [16, 34, 76, 29, 35];
/** Room in a socket that is filled before anybody uses it. */
const AMPLE = 1 << 30;

function numberOf(fd: number, option: number): number {
  const value = new Int32Array(1);
  return getsockopt(fd, SOL_SOCKET, option, new Uint8Array(value.buffer)) < 0 ? 0 : value[0]!;
}

function setNumber(fd: number, option: number, value: number): void {
  check(setsockopt(fd, SOL_SOCKET, option, new Uint8Array(new Int32Array([value]).buffer)), "setsockopt");
}

function count(fd: number, request: number): number {
  const out = new Int32Array(1);
  check(ioctl(fd, BigInt(request), new Uint8Array(out.buffer)), "ioctl");
  return out[0]!;
}

/**
 * Copies what waits on an end of a connection whose other end nobody uses meanwhile. Does not block.
 *
 * @param end our descriptor of it
 * @param other our descriptor of the other end
 * @param type SOCK_STREAM or SOCK_SEQPACKET
 * @throws {SysError} for what is no socket
 */
export function copyQueue(end: number, other: number, type: number): Queued | Uncopied {
  const poll = new PollSet([{ fd: end, events: POLLPRI }]);
  check(poll.wait(0), "poll");
  if ((poll.revents(0) & POLLPRI) !== 0) return { reason: "has out-of-band data that was not read yet" };
  if ((poll.revents(0) & POLLERR) !== 0) return { reason: "has an error that was not read yet" };
  const total = count(end, FIONREAD);
  const sent = count(other, TIOCOUTQ);
  if (total === 0 && sent === 0) return [];
  if (TOLD_WITH_DATA.some((option) => numberOf(end, option) !== 0)) {
    return { reason: "has data not read yet that say who sent them, or when" };
  }
  if (numberOf(end, SO_PEEK_OFF) >= 0) return { reason: "has data not read yet, and SO_PEEK_OFF" };
  const queued = type === SOCK_STREAM ? copyStream(end, total) : copyMessages(end, total);
  if (queued === undefined) return { reason: "has data not read yet that cannot be copied" };
  // Empty messages are not shown for certain, but they are counted.
  if (type !== SOCK_STREAM && wouldTake(queued, type) !== sent) {
    return { reason: "has empty messages that were not read yet" };
  }
  return queued;
}

function copyStream(end: number, total: number): Queued | undefined {
  const bytes = new Uint8Array(total);
  return recv(end, bytes, MSG_PEEK | MSG_DONTWAIT) === total ? [bytes] : undefined;
}

function copyMessages(end: number, total: number): Queued | undefined {
  const messages: Uint8Array<ArrayBuffer>[] = [];
  const bytes = new Uint8Array(total);
  setNumber(end, SO_PEEK_OFF, 0);
  try {
    for (let at = 0; at < total;) {
      const length = recv(end, bytes, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
      if (length <= 0 || length > total - at) return undefined;
      messages.push(bytes.slice(0, length));
      at += length;
    }
  } finally {
    setNumber(end, SO_PEEK_OFF, -1);
  }
  return messages;
}

/** What the sender of these messages has on its account while they wait. */
function wouldTake(messages: Queued, type: number): number {
  const ends = new Int32Array(2);
  check(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  using from = Fd.own(ends[0]!);
  using _to = Fd.own(ends[1]!);
  fill(from.raw, messages);
  return count(from.raw, TIOCOUTQ);
}

/**
 * Sends what was copied. Whatever it takes is made room for: how much the socket may send is to be set again afterwards.
 *
 * @param from the end that is opposite to the one they wait on
 * @throws {SysError} EPERM without CAP_NET_ADMIN; ENOBUFS, ENOMEM
 */
export function fill(from: number, queued: Queued): void {
  if (queued.length === 0) return;
  setNumber(from, SO_SNDBUFFORCE, AMPLE);
  for (const part of queued) {
    for (let at = 0; at < part.length;) {
      const sent = check(send(from, part.subarray(at), MSG_DONTWAIT | MSG_NOSIGNAL), "send");
      if (sent === 0) throw new SysError("send", Errno.EMSGSIZE);
      at += sent;
    }
  }
}
