/**
 * Unix sockets of this process, and two file systems to bind them on.
 *
 * @module
 */
import {
  AF_UNIX,
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  SOCK_CLOEXEC,
} from "../../../ffi/sys/constants.ts";
import { Fd } from "../../../ffi/sys/fd.ts";
import { openat, statx, StatxBuffer } from "../../../ffi/sys/file.ts";
import { check, cstr } from "../../../ffi/sys/libc.ts";
import { bind, connect, getsockname, getsockopt, setsockopt, socket } from "../../../ffi/sys/socket.ts";
import { listUnixSockets, type UnixSocket } from "../../../swap/unix_sockets_diag.ts";

/** A `struct sockaddr_un` as long as its path with the NUL, or as an abstract name. */
export function unixAddress(path: string | Uint8Array): Uint8Array {
  const bytes = typeof path === "string" ? new TextEncoder().encode(path) : path;
  const nul = bytes[0] === 0 || bytes.length === 108 ? 0 : 1;
  const address = new Uint8Array(2 + bytes.length + nul);
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  return address;
}

/** A socket, bound if an address is given. @throws {SysError} */
export function bound(type: number, address?: string | Uint8Array): Fd {
  const fd = Fd.own(check(socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
  if (address !== undefined) check(bind(fd.raw, unixAddress(address)), "bind");
  return fd;
}

/** A socket that is connected there. @throws {SysError} */
export function connected(type: number, address: string | Uint8Array): Fd {
  const fd = bound(type);
  check(connect(fd.raw, unixAddress(address)), "connect");
  return fd;
}

/** The path or name of a socket's own address. */
export function nameOf(fd: Fd): Uint8Array {
  const out = new Uint8Array(112);
  const length = check(getsockname(fd.raw, out), "getsockname");
  return out.slice(2, length).filter((byte, i) => i === 0 || byte !== 0);
}

/** Sets a socket option that is a number. */
export function setOption(fd: Fd, option: number, value: number): void {
  check(setsockopt(fd.raw, 1, option, new Uint8Array(new Int32Array([value]).buffer)), "setsockopt");
}

/** A socket option that is a number. */
export function option(fd: Fd, number: number): number {
  const value = new Int32Array(1);
  check(getsockopt(fd.raw, 1, number, new Uint8Array(value.buffer)), "getsockopt");
  return value[0]!;
}

/** The inode number of a socket of this process. */
export function inoOf(fd: Fd): number {
  return Number(/\d+/.exec(Deno.readLinkSync(`/proc/self/fd/${fd.raw}`))![0]);
}

/** What the kernel tells of a socket of this process. */
export function diagOf(fd: Fd): UnixSocket {
  const found = listUnixSockets().find(({ ino }) => ino === inoOf(fd));
  if (found === undefined) throw new Error(`socket ${fd.raw} is not told of`);
  return found;
}

/** Runs a command. @throws {Error} with what it says on stderr when it fails. */
export function command(...words: string[]): void {
  const { success, stderr } = new Deno.Command("timeout", { args: ["20", ...words] }).outputSync();
  if (!success) throw new Error(`${words.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** A tmpfs that processes leave, and one that they move to. */
export class TwoMounts implements Disposable {
  readonly #base: string = Deno.makeTempDirSync({ prefix: "spfs-test-" });
  readonly #target: Fd;
  readonly #mounted: string[] = [];
  /** Where the first one is mounted. */
  readonly stub: string = `${this.#base}/stub`;
  /** Where the second one is mounted. */
  readonly real: string = `${this.#base}/real`;

  /** Mounts both; the second one by another command if that is given, which gets the mountpoint. */
  constructor(mountReal?: (mountpoint: string) => void) {
    for (const path of [this.stub, this.real]) Deno.mkdirSync(path);
    command("mount", "-t", "tmpfs", "spfs-test", this.stub);
    this.#mounted.push(this.stub);
    if (mountReal !== undefined) mountReal(this.real);
    else command("mount", "-t", "tmpfs", "spfs-test", this.real);
    this.#mounted.push(this.real);
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    this.#target = Fd.own(check(openat(AT_FDCWD, cstr(this.real), flags), "openat"));
  }

  /** A descriptor of the second one's root. */
  get target(): number {
    return this.#target.raw;
  }

  /** Unmounts the first one, which must not be busy. @throws {Error} when it is. */
  leaveStub(): void {
    command("umount", this.stub);
    this.#mounted.splice(this.#mounted.indexOf(this.stub), 1);
  }

  [Symbol.dispose](): void {
    this.#target.close();
    for (const path of this.#mounted) command("umount", "-l", path);
    for (const path of [this.stub, this.real, this.#base]) Deno.removeSync(path);
  }
}

/** The device of a path, as the kernel has it. */
export function deviceOf(path: string): { major: number; minor: number } {
  const out = new StatxBuffer();
  check(statx(AT_FDCWD, cstr(path), 0, 0, out), "statx");
  return { major: out.devMajor, minor: out.devMinor };
}
