/**
 * Scalable vector registers of a stopped task, which it loses by every system call.
 *
 * @module
 */

import { NT_ARM_SVE, PTRACE_GETREGSET, PTRACE_SETREGSET, ptraceBuffer, Window } from "../ffi/sys/ptrace.ts";

/** More than vectors of 256 bytes, the longest, take. A multiple of 16 bytes, as the kernel wants it. */
const registers = new Window(16384);
const vector = new Window(16);

/** Where the header has its flags, and the one that says that there are whole vectors behind it. */
const FLAGS = 12;
const WHOLE = 1;

/** What has to be given back after system calls; `undefined` when the task or the machine has no such registers in use. */
export function vectorRegisters(tid: number): Uint8Array | undefined {
  vector.view.setBigUint64(0, registers.address, true);
  vector.view.setBigUint64(8, BigInt(registers.bytes.length), true);
  if (ptraceBuffer(PTRACE_GETREGSET, tid, NT_ARM_SVE, vector.bytes) < 0) return undefined;
  if ((registers.view.getUint16(FLAGS, true) & WHOLE) === 0) return undefined;
  return registers.bytes.slice(0, Number(vector.view.getBigUint64(8, true)));
}

/** Gives back what {@linkcode vectorRegisters} returned. @returns 0, or a negated error number */
export function setVectorRegisters(tid: number, kept: Uint8Array): number {
  registers.bytes.set(kept);
  vector.view.setBigUint64(0, registers.address, true);
  vector.view.setBigUint64(8, BigInt(kept.length), true);
  return ptraceBuffer(PTRACE_SETREGSET, tid, NT_ARM_SVE, vector.bytes);
}
