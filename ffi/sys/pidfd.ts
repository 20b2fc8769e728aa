/**
 * What a process holds, by its pidfd or pid: descriptors taken out of it, and whether two of them are the same thing.
 *
 * All need the right to trace the process (PTRACE_MODE_ATTACH_REALCREDS, for kcmp(2) PTRACE_MODE_READ_REALCREDS), else EPERM.
 *
 * @module
 */
import { NR } from "./arch.ts";
import { KCMP_EPOLL_TFD } from "./constants.ts";
import { errno, symbol } from "./libc.ts";

const libc = {
  // The kernel looks at the lower halves of pids, types and descriptors only, so that i32 is enough for each.
  getfd: symbol("syscall", { parameters: ["i32", "i32", "i32", "u32"], result: "i32" }),
  sendSignal: symbol("syscall", { parameters: ["i32", "i32", "i32", "pointer", "u32"], result: "i32" }),
  kcmp: symbol("syscall", { parameters: ["i32", "i32", "i32", "i32", "i32", "i32"], result: "i32" }),
  kcmpEpoll: symbol("syscall", { parameters: ["i32", "i32", "i32", "i32", "i32", "buffer"], result: "i32" }),
};

/**
 * pidfd_getfd(2), Linux 5.6. Returns a descriptor, close-on-exec, for the open file description that `fd` is in that process: EBADF when
 * there is none, ESRCH when the process is gone. The table is the one of the thread that the pidfd is for: the leader's.
 */
export function pidfdGetfd(pidfd: number, fd: number): number {
  const r = libc.getfd.call(NR.pidfd_getfd, pidfd, fd, 0);
  return r < 0 ? -errno[0] : r;
}

/** pidfd_send_signal(2), Linux 5.1: kill(2) that cannot meet another process which has got the pid since. Signal 0 only checks. */
export function pidfdSendSignal(pidfd: number, signal: number): number {
  const r = libc.sendSignal.call(NR.pidfd_send_signal, pidfd, signal, null, 0);
  return r < 0 ? -errno[0] : r;
}

/**
 * kcmp(2): compares what two tasks (pids or tids, which may be the same) have.
 *
 * @param type KCMP_*, but for KCMP_EPOLL_TFD, which `kcmpEpollTarget` asks.
 * @param first for KCMP_FILE, the descriptor in the first; else 0.
 * @param second for KCMP_FILE, the descriptor in the second; else 0.
 * @returns 0 the same, 1 the first is less, 2 the first is greater in an order that stays as long as the kernel runs, 3 different but in
 * no order, or a negated error number: ENOSYS or EOPNOTSUPP without CONFIG_KCMP, EBADF for a descriptor that is not open.
 */
export function kcmp(
  pid1: number,
  pid2: number,
  type: number,
  first: number = 0,
  second: number = 0,
): number {
  const r = libc.kcmp.call(NR.kcmp, pid1, pid2, type, first, second);
  return r < 0 ? -errno[0] : r;
}

const epollSlot = new Uint32Array(3);

/** One registration of an epoll instance. */
export interface EpollSlot {
  /** The epoll instance's descriptor. */
  readonly epoll: number;
  /** The number that the file had when it was registered (`tfd:` in fdinfo). */
  readonly target: number;
  /** Which one, of several registrations under that number, counted from 0. */
  readonly offset: number;
}

/**
 * kcmp(2) KCMP_EPOLL_TFD: compares the open file description of `fd` in the first task with the one that an epoll instance of the second
 * watches, which need not be the one that now has the number.
 *
 * @returns as `kcmp`; ENOENT when there is no such registration.
 */
export function kcmpEpollTarget(pid1: number, fd: number, pid2: number, slot: EpollSlot): number {
  epollSlot[0] = slot.epoll;
  epollSlot[1] = slot.target;
  epollSlot[2] = slot.offset;
  const r = libc.kcmpEpoll.call(NR.kcmp, pid1, pid2, KCMP_EPOLL_TFD, fd, epollSlot);
  return r < 0 ? -errno[0] : r;
}
