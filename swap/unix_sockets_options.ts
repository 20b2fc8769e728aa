/**
 * The options of a unix socket, carried over to another one.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { SOL_SOCKET } from "../ffi/sys/constants.ts";
import { check } from "../ffi/sys/libc.ts";
import { getsockopt, setsockopt } from "../ffi/sys/socket.ts";

/** An option by its number, with the number that sets what the first one tells. */
interface Option {
  readonly name: string;
  readonly number: number;
  readonly size: number;
  /** For buffer sizes: the kernel doubles what is set. */
  readonly setBy?: number;
}

const int = 4;
const timeval = 16;

/** In the order in which they are set. */
const options: readonly Option[] = [
  { name: "SO_DEBUG", number: 1, size: int },
  { name: "SO_REUSEADDR", number: 2, size: int },
  { name: "SO_DONTROUTE", number: 5, size: int },
  { name: "SO_BROADCAST", number: 6, size: int },
  { name: "SO_SNDBUF", number: 7, size: int, setBy: 32 },
  { name: "SO_RCVBUF", number: 8, size: int, setBy: 33 },
  { name: "SO_BUF_LOCK", number: 72, size: int },
  { name: "SO_KEEPALIVE", number: 9, size: int },
  { name: "SO_OOBINLINE", number: 10, size: int },
  { name: "SO_PRIORITY", number: 12, size: int },
  { name: "SO_LINGER", number: 13, size: 8 },
  { name: "SO_PASSCRED", number: 16, size: int },
  { name: "SO_RCVLOWAT", number: 18, size: int },
  { name: "SO_RCVTIMEO", number: 20, size: timeval },
  { name: "SO_SNDTIMEO", number: 21, size: timeval },
  { name: "SO_TIMESTAMP", number: 29, size: int },
  { name: "SO_PASSSEC", number: 34, size: int },
  { name: "SO_TIMESTAMPNS", number: 35, size: int },
  { name: "SO_MARK", number: 36, size: int },
  { name: "SO_RXQ_OVFL", number: 40, size: int },
  { name: "SO_PEEK_OFF", number: 42, size: int },
  { name: "SO_PASSPIDFD", number: 76, size: int },
  { name: "SO_PASSRIGHTS", number: 83, size: int },
];

const SO_GET_FILTER = 26;

/** Whether somebody has attached a filter (classic or eBPF), which cannot be read out for certain. */
export function hasFilter(fd: number): boolean {
  // The answer is a number of instructions; of an eBPF program it is an error.
  return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, new Uint8Array()) !== 0;
}

function valueOf(fd: number, option: Option): Uint8Array<ArrayBuffer> | undefined {
  const value = new Uint8Array(new ArrayBuffer(option.size));
  const length = getsockopt(fd, SOL_SOCKET, option.number, value);
  return length < 0 ? undefined : value.subarray(0, length);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * Gives one socket the options of another. Only what differs is set.
 *
 * @throws {SysError} EPERM for what the caller may not set, EINVAL when an option does not become what it is on the other.
 */
export function copyOptions(from: number, to: number): void {
  for (const option of options) {
    const wanted = valueOf(from, option);
    const present = valueOf(to, option);
    if (wanted === undefined || present === undefined || equal(wanted, present)) continue;
    let value = wanted;
    if (option.setBy !== undefined) {
      value = new Uint8Array(option.size);
      new DataView(value.buffer).setInt32(0, new DataView(wanted.buffer).getInt32(0, true) / 2, true);
    }
    const context = option.name;
    check(setsockopt(to, SOL_SOCKET, option.setBy ?? option.number, value), "setsockopt", context);
    if (!equal(valueOf(to, option)!, wanted)) {
      throw new SysError("setsockopt", Errno.EINVAL, { path: context });
    }
  }
}
