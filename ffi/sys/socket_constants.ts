/**
 * Constants of sockets under their C names, as in `asm-generic`: x86_64 and aarch64 have the same.
 *
 * @module
 */

/** Address family of local sockets. */
export const AF_UNIX = 1;
/** Address family of the kernel's own conversations. */
export const AF_NETLINK = 16;

/** A byte stream. */
export const SOCK_STREAM = 1;
/** Datagrams. */
export const SOCK_DGRAM = 2;
/** Raw; netlink takes it as datagrams. */
export const SOCK_RAW = 3;
/** Connected datagrams in order. */
export const SOCK_SEQPACKET = 5;
/** With the type: as O_NONBLOCK. */
export const SOCK_NONBLOCK = 0o4000;
/** With the type: as O_CLOEXEC. */
export const SOCK_CLOEXEC = 0o2000000;

/** The level of the options of sockets as such. */
export const SOL_SOCKET = 1;
/** Control message: descriptors. */
export const SCM_RIGHTS = 1;

/** shutdown(2): nothing more is sent. */
export const SHUT_WR = 1;

/** Look at a message and leave it queued. */
export const MSG_PEEK = 0x02;
/** Received: the control messages did not fit. */
export const MSG_CTRUNC = 0x08;
/** Received: the message did not fit. Asked for: return its whole length. */
export const MSG_TRUNC = 0x20;
/** EAGAIN instead of waiting, this once. */
export const MSG_DONTWAIT = 0x40;
/** EPIPE without SIGPIPE. */
export const MSG_NOSIGNAL = 0x4000;
/** recvmsg(2): descriptors that arrive are close-on-exec. */
export const MSG_CMSG_CLOEXEC = 0x40000000;
