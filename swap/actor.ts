/**
 * A stopped task as one that acts for its process: descriptors are brought into its table, and calls that need memory are given it.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  O_EXCL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { check } from "../ffi/sys/libc.ts";
import { pidfdGetfd } from "../ffi/sys/pidfd.ts";
import { pidfdOpen } from "../ffi/sys/process.ts";
import { Window } from "../ffi/sys/ptrace.ts";
import { SCM_MAX_FD, sendFds } from "../ffi/sys/socket.ts";
import { DATA_SIZE } from "./arch/injection.ts";
import type { Call } from "./remote_call.ts";
import type { Work } from "./side_by_side.ts";
import type { Tracee } from "./tracee.ts";

/** Where recvmsg(2) finds its arguments in the task's data area, and puts what it gets. */
const HEADER = 64;
const VECTOR = 128;
const BYTE = 200;
const CONTROL = 256;
/** Where an {@linkcode Arguments} begins. */
const ARGUMENTS = 2048;

const window = new Window(DATA_SIZE);
const argumentBytes = new Window(DATA_SIZE - ARGUMENTS);

/** Memory for the arguments of the calls of one batch. */
export class Arguments {
  readonly #base: number;
  #used = 0;

  constructor(base: number) {
    this.#base = base;
    argumentBytes.bytes.fill(0);
  }

  /** Whether so many bytes are left. */
  fits(size: number): boolean {
    return this.#used + size <= argumentBytes.bytes.length;
  }

  /** Puts a structure there. Returns its address in the task. @throws {RangeError} when it does not fit */
  add(size: number, fill: (view: DataView) => void): number {
    if (!this.fits(size)) throw new RangeError("too many arguments for one batch");
    const at = this.#used;
    this.#used += (size + 7) & ~7;
    fill(new DataView(argumentBytes.bytes.buffer, at, size));
    return this.#base + at;
  }

  /** Copies them into the task. */
  write(task: Tracee): void {
    if (this.#used > 0) task.write(this.#base, argumentBytes, this.#used);
  }
}

/** A task that acts. Entered as long as it lives; `using` it lets it be as it was. */
export class Actor {
  /** The task. */
  readonly task: Tracee;
  /** A descriptor for it, by which its descriptors can be had. */
  readonly pidfd: Fd;
  readonly #brought = new Map<number, number>();
  #own: [number, number] | undefined;
  #mine: Fd | undefined;

  private constructor(task: Tracee, pidfd: Fd) {
    this.task = task;
    this.pidfd = pidfd;
  }

  /** Changes nothing yet. @throws {SysError} EINVAL for a thread that is not the leader before Linux 6.9, ESRCH */
  static of(task: Tracee): Actor {
    const flags = task.tid === task.tgid ? 0 : O_EXCL; // PIDFD_THREAD
    return new Actor(task, Fd.own(check(pidfdOpen(task.tid, flags), "pidfd_open", `task ${task.tid}`)));
  }

  /** A copy of one of its descriptors, owned by the caller. @throws {SysError} EBADF, EMFILE, ESRCH */
  take(fd: number): number {
    return check(pidfdGetfd(this.pidfd.raw, fd), "pidfd_getfd", `descriptor ${fd} of task ${this.task.tid}`);
  }

  /** Makes it ready. @throws as {@linkcode Tracee.enter} */
  enter(): void {
    this.task.enter();
  }

  /**
   * Brings descriptors of this process into its table, close-on-exec; those that it has already are not brought again.
   *
   * @throws {SysError} EMFILE when its table is full; {RemoteError}, {TaskGone}
   */
  *bring(fds: Iterable<number>): Work {
    const wanted = [...new Set(fds)].filter((fd) => !this.#brought.has(fd));
    if (wanted.length === 0) return;
    const [receiving] = this.#own ??= yield* this.#connect();
    for (let first = 0; first < wanted.length; first += SCM_MAX_FD) {
      yield* this.#receive(receiving, wanted.slice(first, first + SCM_MAX_FD));
    }
  }

  *#connect(): Work<[number, number]> {
    const { task } = this;
    yield* task.batch([[NR.socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, task.data]]);
    task.read(task.data, window, 8);
    const ends: [number, number] = [window.view.getInt32(0, true), window.view.getInt32(4, true)];
    this.#mine = Fd.own(this.take(ends[1]));
    return ends;
  }

  *#receive(socket: number, fds: readonly number[]): Work {
    const { task } = this;
    check(sendFds(this.#mine!.raw, fds), "sendmsg", `descriptors for task ${task.tid}`);
    const { bytes, view } = window;
    bytes.fill(0, HEADER, CONTROL);
    const size = 16 + 4 * fds.length;
    view.setBigUint64(HEADER + 16, BigInt(task.data + VECTOR), true);
    view.setBigUint64(HEADER + 24, 1n, true);
    view.setBigUint64(HEADER + 32, BigInt(task.data + CONTROL), true);
    view.setBigUint64(HEADER + 40, BigInt((size + 7) & ~7), true);
    view.setBigUint64(VECTOR, BigInt(task.data + BYTE), true);
    view.setBigUint64(VECTOR + 8, 1n, true);
    task.write(task.data, window, CONTROL);
    yield* task.batch([[NR.recvmsg, socket, task.data + HEADER, MSG_CMSG_CLOEXEC | MSG_DONTWAIT]]);
    task.read(task.data + CONTROL, window, size);
    const got = (Number(view.getBigUint64(0, true)) - 16) / 4;
    for (let i = 0; i < got; i++) this.#brought.set(fds[i]!, view.getInt32(16 + 4 * i, true));
    if (got < fds.length) {
      throw new SysError("recvmsg SCM_RIGHTS", Errno.EMFILE, { pid: task.tid });
    }
  }

  /** The number that a descriptor of ours has in the task. */
  numberOf(fd: number): number {
    const number = this.#brought.get(fd);
    if (number === undefined) {
      throw new TypeError(`descriptor ${fd} was not brought to task ${this.task.tid}`);
    }
    return number;
  }

  /** Calls that close what was brought, but for `keep`; to be made at once. */
  closeBrought(keep: ReadonlySet<number> = new Set()): Call[] {
    const calls: Call[] = [];
    for (const [fd, number] of this.#brought) {
      if (keep.has(fd)) continue;
      calls.push([NR.close, number]);
      this.#brought.delete(fd);
    }
    return calls;
  }

  /** Room for arguments of the next batch; what was there before is overwritten. */
  arguments(): Arguments {
    return new Arguments(this.task.data + ARGUMENTS);
  }

  /** Reads from where `arguments` are. */
  readArguments(address: number, size: number): DataView {
    this.task.read(address, window, size);
    return new DataView(window.bytes.slice(0, size).buffer);
  }

  /**
   * Leaves the task as it was: closes what is left of what was brought. Does not fail for a task that has ended.
   *
   * @param closed called when all that is closed, while the task can still make calls
   */
  *leave(closed?: () => Work): Work {
    if (!this.task.attached) return;
    if (this.task.scratch !== 0) {
      const calls = this.closeBrought();
      if (this.#own !== undefined) calls.push([NR.close, this.#own[0]], [NR.close, this.#own[1]]);
      this.#own = undefined;
      yield* this.task.batch(calls);
      if (closed !== undefined) yield* closed();
    }
    this.task.leave();
  }

  /** Closes what this process has for it. */
  [Symbol.dispose](): void {
    this.#mine?.[Symbol.dispose]();
    this.pidfd[Symbol.dispose]();
  }
}
