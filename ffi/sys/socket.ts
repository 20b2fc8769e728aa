/**
 * Sockets: making and naming them, their options, messages, and descriptors in messages.
 *
 * One function for each system call of that name. All block as the call does unless the socket or MSG_DONTWAIT says otherwise. Each
 * returns 0 or more, or a negated error number.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import {
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./constants.ts";
import { closeFd } from "./file.ts";
import { addressOf, errno, symbol } from "./libc.ts";

const libc = {
  socket: symbol("socket", { parameters: ["i32", "i32", "i32"], result: "i32" }),
  socketpair: symbol("socketpair", { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }),
  bind: symbol("bind", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
  connect: symbol("connect", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
  listen: symbol("listen", { parameters: ["i32", "i32"], result: "i32" }),
  accept4: symbol("accept4", { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }),
  getsockname: symbol("getsockname", { parameters: ["i32", "buffer", "buffer"], result: "i32" }),
  getsockopt: symbol("getsockopt", {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  }),
  setsockopt: symbol("setsockopt", { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" }),
  send: symbol("send", { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" }),
  recv: symbol("recv", { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" }),
  shutdown: symbol("shutdown", { parameters: ["i32", "i32"], result: "i32" }),
  sendmsg: symbol("sendmsg", { parameters: ["i32", "buffer", "i32"], result: "i32" }),
  recvmsg: symbol("recvmsg", { parameters: ["i32", "buffer", "i32"], result: "i32" }),
};

/** The most descriptors that the kernel takes in one message. */
export const SCM_MAX_FD = 253;

/** socket(2). Returns a descriptor. `type` is SOCK_*; pass SOCK_CLOEXEC unless a child is to inherit it. */
export function socket(domain: number, type: number, protocol: number): number {
  const r = libc.socket.call(domain, type, protocol);
  return r < 0 ? -errno[0] : r;
}

/** socketpair(2). Puts the two descriptors into `ends`. */
export function socketpair(domain: number, type: number, protocol: number, ends: Int32Array): number {
  if (ends.length < 2) throw new RangeError("a pair has two ends");
  const r = libc.socketpair.call(domain, type, protocol, ends as Int32Array<ArrayBuffer>);
  return r < 0 ? -errno[0] : r;
}

/** bind(2). `address` is a whole `struct sockaddr_*`: as long as it is, so long is the address. */
export function bind(fd: number, address: Uint8Array): number {
  const r = libc.bind.call(fd, address as Uint8Array<ArrayBuffer>, address.length);
  return r < 0 ? -errno[0] : r;
}

/** connect(2). `address` as for `bind`. */
export function connect(fd: number, address: Uint8Array): number {
  const r = libc.connect.call(fd, address as Uint8Array<ArrayBuffer>, address.length);
  return r < 0 ? -errno[0] : r;
}

/** listen(2). A second call changes the backlog, and, of a unix socket, whose credentials its peers will see. */
export function listen(fd: number, backlog: number): number {
  const r = libc.listen.call(fd, backlog);
  return r < 0 ? -errno[0] : r;
}

/** accept4(2) without the peer's address. Returns a descriptor. `flags` are SOCK_CLOEXEC and SOCK_NONBLOCK. */
export function accept4(fd: number, flags: number): number {
  const r = libc.accept4.call(fd, null, null, flags);
  return r < 0 ? -errno[0] : r;
}

const nameLength = new Uint32Array(1);

/** getsockname(2). Puts the address into `out` as far as it fits and returns its length, which may be more. */
export function getsockname(fd: number, out: Uint8Array): number {
  nameLength[0] = out.length;
  const r = libc.getsockname.call(fd, out as Uint8Array<ArrayBuffer>, nameLength);
  return r < 0 ? -errno[0] : nameLength[0];
}

/** getsockopt(2). Puts the value into `out`, as far as it fits, and returns how many bytes it took. */
export function getsockopt(fd: number, level: number, option: number, out: Uint8Array): number {
  nameLength[0] = out.length;
  const r = libc.getsockopt.call(fd, level, option, out as Uint8Array<ArrayBuffer>, nameLength);
  return r < 0 ? -errno[0] : nameLength[0];
}

/** setsockopt(2). */
export function setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
  const r = libc.setsockopt.call(fd, level, option, value as Uint8Array<ArrayBuffer>, value.length);
  return r < 0 ? -errno[0] : r;
}

/** send(2). Returns the bytes taken. Pass MSG_NOSIGNAL. */
export function send(fd: number, message: Uint8Array, flags: number): number {
  const r = libc.send.call(fd, message as Uint8Array<ArrayBuffer>, BigInt(message.length), flags);
  return r < 0 ? -errno[0] : r;
}

/** recv(2). Returns the bytes received; with MSG_TRUNC, of datagrams, their whole length, which may be more than the buffer. */
export function recv(fd: number, buffer: Uint8Array, flags: number): number {
  const r = libc.recv.call(fd, buffer as Uint8Array<ArrayBuffer>, BigInt(buffer.length), flags);
  return r < 0 ? -errno[0] : r;
}

/** shutdown(2). `how` is SHUT_RD (0), SHUT_WR (1) or SHUT_RDWR (2). */
export function shutdown(fd: number, how: number): number {
  const r = libc.shutdown.call(fd, how);
  return r < 0 ? -errno[0] : r;
}

// One byte of data, which a stream needs for the descriptors to travel with, and one SCM_RIGHTS message. struct msghdr: name@0,
// namelen@8, iov@16, iovlen@24, control@32, controllen@40, flags@48. struct cmsghdr: len@0, level@8, type@12, data from 16.
const CMSG_HEADER = 16;
const rights = {
  header: new DataView(new ArrayBuffer(56)),
  iovec: new BigUint64Array(2),
  data: new Uint8Array(new ArrayBuffer(1)),
  control: new DataView(new ArrayBuffer(CMSG_HEADER + 4 * (SCM_MAX_FD + 1))),
};

function prepareRights(controlLength: number): void {
  const { header, iovec, data, control } = rights;
  iovec[0] = addressOf(data);
  iovec[1] = 1n;
  header.setBigUint64(16, addressOf(new Uint8Array(iovec.buffer)), true);
  header.setBigUint64(24, 1n, true);
  header.setBigUint64(32, addressOf(new Uint8Array(control.buffer)), true);
  header.setBigUint64(40, BigInt(controlLength), true);
  header.setInt32(48, 0, true);
}

/**
 * sendmsg(2) of one zero byte and descriptors (SCM_RIGHTS) through a unix socket. Never waits and never raises SIGPIPE: EAGAIN when the
 * peer's queue is full, ETOOMANYREFS when more are on their way than RLIMIT_NOFILE and this process has no CAP_SYS_RESOURCE or
 * CAP_SYS_ADMIN.
 *
 * @param fds 1 to SCM_MAX_FD of this process's descriptors, O_PATH ones too. They stay open here.
 * @returns 1, the byte sent, or a negated error number.
 * @throws {RangeError} for none or too many.
 */
export function sendFds(socket: number, fds: readonly number[]): number {
  if (fds.length === 0 || fds.length > SCM_MAX_FD) {
    throw new RangeError(`${fds.length} descriptors in a message`);
  }
  const length = CMSG_HEADER + 4 * fds.length;
  const { header, control } = rights;
  control.setBigUint64(0, BigInt(length), true);
  control.setInt32(8, SOL_SOCKET, true);
  control.setInt32(12, SCM_RIGHTS, true);
  for (let i = 0; i < fds.length; i++) control.setInt32(CMSG_HEADER + 4 * i, fds[i]!, true);
  prepareRights(length);
  const r = libc.sendmsg.call(
    socket,
    new Uint8Array(header.buffer as ArrayBuffer),
    MSG_DONTWAIT | MSG_NOSIGNAL,
  );
  return r < 0 ? -errno[0] : r;
}

/**
 * recvmsg(2) of one byte and the descriptors with it, close-on-exec. Never waits.
 *
 * @returns the descriptors, or a negated error number: EAGAIN when nothing is queued; EMFILE when not all of them could be received, in
 * which case none is left open.
 */
export function recvFds(socket: number): number[] | number {
  const { header, control } = rights;
  prepareRights(control.byteLength);
  const r = libc.recvmsg.call(
    socket,
    new Uint8Array(header.buffer as ArrayBuffer),
    MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
  );
  if (r < 0) return -errno[0];
  const fds: number[] = [];
  if (Number(header.getBigUint64(40, true)) > CMSG_HEADER) {
    const end = Number(control.getBigUint64(0, true));
    for (let at = CMSG_HEADER; at + 4 <= end; at += 4) fds.push(control.getInt32(at, true));
  }
  if ((header.getInt32(48, true) & MSG_CTRUNC) === 0) return fds;
  for (const fd of fds) closeFd(fd);
  return -Errno.EMFILE;
}
