/**
 * What injecting system calls needs to know of an architecture.
 *
 * Injected code runs from a scratch mapping in the tracee:
 *
 * ```
 * scratch            code: runs a table of system calls until the first error, then sends itself a signal, which stops it
 * scratch + 0x10000  resume block: the registers and the signal mask to go on with, for the code's own use (see below)
 *        + 0x1f8     the command: not 0 when there is another table to be run, set to 0 by the code when it begins with that
 *        + 0x200     the table, 64 bytes an entry: number (negative ends the table), six arguments, result
 *        + DATA      whatever the calls read and write
 * ```
 *
 * The signal is one whose default is to be ignored. With a tracer it never arrives: the tracer sees the stop and drops it, and the task
 * stays there until it is given another command, or registers. When the tracer has died, nobody stops the code and there is no command, and
 * it goes on by itself to where the task was: so the death of spfs leaves tasks that run.
 *
 * @module
 */
import { type Arch, arch } from "../../ffi/sys/arch.ts";
import { aarch64 } from "./aarch64.ts";
import { x86_64 } from "./x86_64.ts";

/** Bytes of the code area, and so where the data area begins: as large as the largest page. */
export const CODE_SIZE = 0x10000;
/** Bytes of the whole scratch mapping. */
export const SCRATCH_SIZE = 0x20000;
/** Where the command is, 8 bytes, from the beginning of the scratch mapping. The table is behind it. */
export const COMMAND = CODE_SIZE + 0x1f8;
/** How many calls fit in the table. */
export const TABLE_CALLS = 500;
/** Where data is, from the beginning of the scratch mapping. */
export const DATA = CODE_SIZE + 0x8000;
/** Bytes of data. */
export const DATA_SIZE = SCRATCH_SIZE - DATA;

/** Registers of a task: the bytes of its NT_PRSTATUS set. */
export type Registers = DataView;

/** A system call that a stop has ended, as the kernel sees it before it decides whether it is made again. */
export interface InterruptedCall {
  /** Its number. */
  readonly number: number;
  /** Its first argument. */
  readonly argument: bigint;
  /** What it returned: a negated error number of the kernel's own. */
  readonly result: bigint;
}

/** How one architecture does it. All of it is pure. */
export interface Injection {
  /** Bytes of NT_PRSTATUS of a task of this architecture proper; a compat task has fewer. */
  readonly registersSize: number;
  /** The code. */
  readonly code: Uint8Array;
  /** The instruction that makes a system call, to be found in the vdso. */
  readonly syscallInstruction: Uint8Array;
  /** Whether the number of the system call that the task is in is a register set of its own (NT_ARM_SYSTEM_CALL). */
  readonly hasSyscallRegister: boolean;
  /** Whether every system call clears vector registers (NT_ARM_SVE), which a task may have been in the middle of using. */
  readonly clearsVectors: boolean;
  /** Whether code that has been written from outside can be run as it is; otherwise it has to be made executable after it was written. */
  readonly runsWritten: boolean;
  /** Where the task is. */
  instruction(registers: Registers): number;
  /** Sends it elsewhere: into a restartable sequence's abort handler. */
  setInstruction(registers: Registers, address: number): void;
  /** Whether it is a 32-bit task at the moment. */
  isCompat(registers: Registers): boolean;
  /**
   * Has the kernel decide about a system call that answers EINTR because its task was stopped: without a signal that is handled before
   * the task goes on, it is made again, as the kernel does with most others.
   *
   * @returns whether it was such a call; otherwise nothing has changed
   */
  makeAgain(registers: Registers): boolean;
  /**
   * Turns the registers of a stopped task into those with which it goes on by itself: a system call that was interrupted by the stop is
   * made again, signal or not.
   *
   * @param force make it again although it answered EINTR
   */
  restart(registers: Registers, force: boolean): void;
  /**
   * The call at whose beginning the registers are, where the kernel has put the task back there before the stop and tells nobody; only
   * calls that wait, which may end with EINTR even when they have not begun. That an instruction for it is there is for the caller to see.
   */
  putBack(registers: Registers): InterruptedCall | undefined;
  /** Turns the registers at a call's beginning into those that it ends with. */
  endCall(registers: Registers, call: InterruptedCall): void;
  /** Registers for one system call at `address` of such an instruction. */
  forCall(registers: Registers, address: number, call: number, args: readonly bigint[]): void;
  /** Registers for a run of the code over the table. */
  forCode(registers: Registers, scratch: number): void;
  /** What a system call returned. */
  result(registers: Registers): bigint;
  /** Fills the resume block: the first 512 bytes of `block`. */
  fillResumeBlock(registers: Registers, mask: bigint, signal: number, block: DataView): void;
}

/** How it is done on an architecture. */
export function injectionOf(of: Arch): Injection {
  return of === "x86_64" ? x86_64 : aarch64;
}

/** How it is done here. */
export const injection: Injection = injectionOf(arch);
