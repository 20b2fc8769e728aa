/**
 * Who is at the other end of a unix socket. Deno does not say (it hides the descriptors of its sockets), so the process's descriptors
 * are looked through for those that belong to a listening path: an accepted socket has its listener's address.
 *
 * @module
 */

import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../ffi/sys/constants.ts";
import { DirentReader, getdents64 } from "../ffi/sys/dir.ts";
import { closeFd, openat } from "../ffi/sys/file.ts";
import { check, cstr, errno, symbol } from "../ffi/sys/libc.ts";

// asm-generic/socket.h; the same on x86_64 and aarch64.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const AF_UNIX = 1;

const libc = {
  getsockopt: symbol("getsockopt", {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"],
    result: "i32",
  }),
  getsockname: symbol("getsockname", { parameters: ["i32", "buffer", "buffer"], result: "i32" }),
};

/** The process that called connect(2), at that time: `struct ucred`. */
export interface PeerCredentials {
  /** Its pid, 0 when it is of another PID namespace. */
  readonly pid: number;
  /** Its effective uid. */
  readonly uid: number;
  /** Its effective gid. */
  readonly gid: number;
}

/**
 * The peers of all connections that this process has accepted at a path. Does not block; costs about a tenth of a microsecond for each
 * descriptor that the process has open.
 */
export function peersOf(path: string): PeerCredentials[] {
  const peers: PeerCredentials[] = [];
  const address = cstr(path);
  for (const fd of openDescriptors()) {
    if (isBoundTo(fd, address) && !isListening(fd)) peers.push(credentials(fd));
  }
  return peers;
}

function openDescriptors(): number[] {
  const directory = check(
    openat(AT_FDCWD, cstr("/proc/self/fd"), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
    "openat",
  );
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(32_768);
  const found: number[] = [];
  for (let length = getdents64(directory, buffer); length > 0; length = getdents64(directory, buffer)) {
    const reader = new DirentReader(buffer, length);
    while (reader.next()) {
      const fd = Number(decoder.decode(buffer.subarray(reader.nameStart, reader.nameEnd)));
      if (Number.isInteger(fd) && fd !== directory) found.push(fd);
    }
  }
  closeFd(directory);
  return found;
}

const sockaddr = new Uint8Array(110); // struct sockaddr_un: u16 family, the path, a NUL

function isBoundTo(fd: number, path: Uint8Array): boolean {
  const size = new Int32Array([sockaddr.length]);
  if (libc.getsockname.call(fd, sockaddr, size) < 0) return false; // ENOTSOCK, mostly
  const family = sockaddr[0]! | sockaddr[1]! << 8;
  return family === AF_UNIX && path.every((byte, at) => sockaddr[2 + at] === byte);
}

function isListening(fd: number): boolean {
  return socketOption(fd, SO_ACCEPTCONN, new Int32Array(1))[0] !== 0;
}

function credentials(fd: number): PeerCredentials {
  const ucred = socketOption(fd, SO_PEERCRED, new Int32Array(3));
  return { pid: ucred[0]!, uid: ucred[1]! >>> 0, gid: ucred[2]! >>> 0 };
}

function socketOption(fd: number, option: number, value: Int32Array<ArrayBuffer>): Int32Array {
  const size = new Int32Array([value.byteLength]);
  const r = libc.getsockopt.call(fd, SOL_SOCKET, option, value, size);
  check(r < 0 ? -errno[0] : r, "getsockopt");
  return value;
}
