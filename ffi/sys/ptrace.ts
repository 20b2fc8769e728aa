/**
 * ptrace(2) and its companions: waiting for tracees, and reading and writing their memory.
 *
 * A tracee belongs to the thread that seized it: every call for it must come from that thread, and all of these are synchronous. Source:
 * ptrace(2), wait4(2), process_vm_readv(2), `linux/ptrace.h`.
 *
 * @module
 */
import { NR } from "./arch.ts";
import { addressOf, errno, symbol } from "./libc.ts";

export const PTRACE_CONT = 7;
export const PTRACE_DETACH = 17;
export const PTRACE_SYSCALL = 24;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_GETSIGMASK = 0x420a;
export const PTRACE_SETSIGMASK = 0x420b;

export const PTRACE_O_TRACESYSGOOD = 1;
export const PTRACE_O_SUSPEND_SECCOMP = 1 << 21;

export const PTRACE_EVENT_STOP = 128;

/** Note types of register sets, `linux/elf.h`. */
export const NT_PRSTATUS = 1;
/** aarch64: the number of the system call that the task is in. */
export const NT_ARM_SYSTEM_CALL = 0x404;
/** aarch64: scalable vectors and their predicates, after a header. */
export const NT_ARM_SVE = 0x405;

export const WNOHANG = 1;
/** Only children and tracees of the calling thread. */
export const __WNOTHREAD = 0x20000000;
/** Children of any kind. */
export const __WALL = 0x40000000;

const libc = {
  // By number: glibc's ptrace() is variadic and looks at errno for PEEK requests.
  ptrace: symbol("syscall", { parameters: ["i32", "i64", "i64", "i64", "i64"], result: "i32" }),
  ptraceBuffer: symbol("syscall", { parameters: ["i32", "i64", "i64", "i64", "buffer"], result: "i32" }),
  wait4: symbol("syscall", { parameters: ["i32", "i32", "buffer", "i32", "i64"], result: "i32" }),
  processVmReadv: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "i64", "buffer", "i64", "i64"],
    result: "i32",
  }),
  processVmWritev: symbol("syscall", {
    parameters: ["i32", "i32", "buffer", "i64", "buffer", "i64", "i64"],
    result: "i32",
  }),
  tgkill: symbol("syscall", { parameters: ["i32", "i32", "i32", "i32"], result: "i32" }),
};

/**
 * ptrace(2) with plain arguments.
 *
 * @returns 0, or a negated error number: ESRCH when the task is gone, or not stopped, or not this thread's tracee; EPERM when it may not
 *   be traced or is being traced already.
 */
export function ptrace(request: number, tid: number, address: number, data: number): number {
  const r = libc.ptrace.call(NR.ptrace, BigInt(request), BigInt(tid), BigInt(address), BigInt(data));
  return r < 0 ? -errno[0] : r;
}

/** ptrace(2) whose last argument is a buffer of the caller's, as PTRACE_GETSIGMASK has it. */
export function ptraceBuffer(request: number, tid: number, address: number, data: Uint8Array): number {
  const bytes = data as Uint8Array<ArrayBuffer>;
  const r = libc.ptraceBuffer.call(NR.ptrace, BigInt(request), BigInt(tid), BigInt(address), bytes);
  return r < 0 ? -errno[0] : r;
}

const waitStatus = new Int32Array(1);

/**
 * wait4(2) for one task.
 *
 * @param options WNOHANG, __WALL, __WNOTHREAD; without WNOHANG it blocks.
 * @returns the wait status (0 or more); -1 with WNOHANG when there is nothing to tell (no status is negative, and EPERM is no error of
 *   wait4); another negated error number: ECHILD, EINTR.
 */
export function wait4(tid: number, options: number): number {
  const r = libc.wait4.call(NR.wait4, tid, waitStatus, options, 0n);
  if (r > 0) return waitStatus[0]!;
  return r < 0 ? -errno[0] : -1;
}

const localVector = new BigUint64Array(2);
const remoteVector = new BigUint64Array(2);

/** Memory of this process that is copied to and from others: its address is looked up once. */
export class Window {
  /** The bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, for structures. */
  readonly view: DataView;
  /** Its address. */
  readonly address: bigint;

  /** Makes one of so many bytes. */
  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.view = new DataView(this.bytes.buffer);
    this.address = addressOf(this.bytes);
  }
}

function vectors(window: Window, remote: number, count: number): void {
  if (count > window.bytes.length) {
    throw new RangeError(`${count} bytes of a window of ${window.bytes.length}`);
  }
  localVector[0] = window.address;
  localVector[1] = BigInt(count);
  remoteVector[0] = BigInt(remote);
  remoteVector[1] = BigInt(count);
}

/** process_vm_readv(2) into the beginning of a window. Returns how many bytes, or a negated error number: EFAULT, ESRCH, EPERM. */
export function processVmReadv(pid: number, remote: number, window: Window, count: number): number {
  vectors(window, remote, count);
  const r = libc.processVmReadv.call(NR.process_vm_readv, pid, localVector, 1n, remoteVector, 1n, 0n);
  return r < 0 ? -errno[0] : r;
}

/** process_vm_writev(2) from the beginning of a window. Returns how many bytes, or a negated error number: EFAULT, ESRCH, EPERM. */
export function processVmWritev(pid: number, remote: number, window: Window, count: number): number {
  vectors(window, remote, count);
  const r = libc.processVmWritev.call(NR.process_vm_writev, pid, localVector, 1n, remoteVector, 1n, 0n);
  return r < 0 ? -errno[0] : r;
}

/** tgkill(2): a signal for one thread. */
export function tgkill(tgid: number, tid: number, signal: number): number {
  const r = libc.tgkill.call(NR.tgkill, tgid, tid, signal);
  return r < 0 ? -errno[0] : r;
}
