/**
 * Registers and signal mask of stopped tasks, by ptrace(2). What is read, and what is loaded, is in one place: {@linkcode registers}.
 *
 * @module
 */
import {
  NT_ARM_SVE,
  NT_ARM_SYSTEM_CALL,
  NT_PRSTATUS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGMASK,
  PTRACE_SETREGSET,
  PTRACE_SETSIGMASK,
  ptraceBuffer,
  Window,
} from "../ffi/sys/ptrace.ts";
import { injection } from "./arch/injection.ts";

/** The registers of the task that was last read, or is loaded next. */
export const registers: Window = new Window(512);
const maskBytes = new Window(8);
const callNumber = new Window(4);
/** A `struct iovec`: what of our memory the kernel is to take or fill. */
const pointer = new Window(16);
const NO_CALL = -1;

function point(window: Window, size: number): void {
  pointer.view.setBigUint64(0, window.address, true);
  pointer.view.setBigUint64(8, BigInt(size), true);
}

/** Reads a task's registers. Returns how many bytes it has of them, fewer when it runs code of another kind; or a negated error number. */
export function readRegisters(tid: number): number {
  point(registers, injection.registersSize);
  const result = ptraceBuffer(PTRACE_GETREGSET, tid, NT_PRSTATUS, pointer.bytes);
  return result < 0 ? result : Number(pointer.view.getBigUint64(8, true));
}

/**
 * Loads a task's registers.
 *
 * @param inCall the number of the system call that it is in then, where that is a register of its own; in none
 * @returns 0, or a negated error number
 */
export function loadRegisters(tid: number, inCall: number = NO_CALL): number {
  point(registers, injection.registersSize);
  const result = ptraceBuffer(PTRACE_SETREGSET, tid, NT_PRSTATUS, pointer.bytes);
  if (result < 0 || !injection.hasSyscallRegister) return result;
  callNumber.view.setInt32(0, inCall, true);
  point(callNumber, 4);
  return ptraceBuffer(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, pointer.bytes);
}

/** A copy of what {@linkcode registers} has. */
export class KeptRegisters {
  readonly #bytes = new Uint8Array(new ArrayBuffer(injection.registersSize));
  /** The copy. */
  readonly view: DataView = new DataView(this.#bytes.buffer);

  /** Takes it. */
  keep(): void {
    this.#bytes.set(registers.bytes.subarray(0, injection.registersSize));
  }

  /** Puts it back there. */
  use(): void {
    registers.bytes.set(this.#bytes);
  }
}

/** The signals that a task holds back, bit 0 being signal 1; or a negated error number, which no mask is. */
export function readSignalMask(tid: number): bigint | number {
  const result = ptraceBuffer(PTRACE_GETSIGMASK, tid, 8, maskBytes.bytes);
  return result < 0 ? result : maskBytes.view.getBigUint64(0, true);
}

/** Has a task hold back signals, those without a bit being let through. @returns 0, or a negated error number */
export function loadSignalMask(tid: number, mask: bigint): number {
  maskBytes.view.setBigUint64(0, BigInt.asUintN(64, mask), true);
  return ptraceBuffer(PTRACE_SETSIGMASK, tid, 8, maskBytes.bytes);
}

/** More than vectors of 256 bytes, the longest, take. A multiple of 16 bytes, as the kernel wants it. */
const vectors = new Window(16384);

/** Where the header has its flags, and the one that says that there are whole vectors behind it. */
const FLAGS = 12;
const WHOLE = 1;

/** What has to be given back after system calls; `undefined` when the task or the machine has no such registers in use. */
export function vectorRegisters(tid: number): Uint8Array | undefined {
  point(vectors, vectors.bytes.length);
  if (ptraceBuffer(PTRACE_GETREGSET, tid, NT_ARM_SVE, pointer.bytes) < 0) return undefined;
  if ((vectors.view.getUint16(FLAGS, true) & WHOLE) === 0) return undefined;
  return vectors.bytes.slice(0, Number(pointer.view.getBigUint64(8, true)));
}

/** Gives back what {@linkcode vectorRegisters} returned. @returns 0, or a negated error number */
export function setVectorRegisters(tid: number, kept: Uint8Array): number {
  vectors.bytes.set(kept);
  point(vectors, kept.length);
  return ptraceBuffer(PTRACE_SETREGSET, tid, NT_ARM_SVE, pointer.bytes);
}
