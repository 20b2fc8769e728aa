/**
 * Injection on aarch64. Written from the headers (`asm/ptrace.h`: x0 to x30, sp, pc, pstate) and assembled; it has not run anywhere.
 *
 * @module
 */
import { decodeBase64Lines } from "./code_bytes.ts";
import type { Injection, Registers } from "./injection.ts";

const X0 = 0;
const X8 = 8 * 8;
const X19 = 19 * 8;
const PC = 32 * 8;
const PSTATE = 33 * 8;

/** PSTATE: AArch32 state. */
const MODE32 = 0x10n;
const ERESTARTSYS = -512n;
const ERESTART_RESTARTBLOCK = -516n;
const RESTART_SYSCALL = 128n;
const SVC_LENGTH = 4n;
/** `svc #0`. */
const SVC = [0x01, 0x00, 0x00, 0xd4];

/*
 * The same as on x86_64: x20 walks the table that x19 points to, x8 is the number. Resume block: x0 to x30, sp, pstate, pc, mask, signal.
 * The way back goes through x17, which is lost: a task that was interrupted between instructions may miss it, one that was in a system
 * call does not.
 */
const CODE = `
dgII0d/+APn0AxOqiAJA+UgB+LeAhkCpgo5BqYSWQqkBAADUgB4A+R/8P7FiAABUlAIBkfb//xeIFYDSAQAA1PUDAKpIFoDSAQAA1OED
AKrgAxWqwo5A+WgQgNIBAADUyf5A+en8/7XoEIDSQACA0sFCBJECAIDSAwGA0gEAANTxAxaqIH5A+R8AAJEggkD5AEIb1SAGQKkiDkGp
JBZCqSYeQ6koJkSpKi5FqSw2RqkuPkepMEJA+TJOSak0VkqpNl5LqThmTKk6bk2pPHZOqT56QPkxhkD5IAIf1g==`;

function get(registers: Registers, at: number): bigint {
  return registers.getBigInt64(at, true);
}

function set(registers: Registers, at: number, value: bigint): void {
  registers.setBigInt64(at, value, true);
}

/** Whether it was interrupted in a system call: the instruction before is `svc` and the kernel has put its own errno in x0. */
function wasInterrupted(registers: Registers): boolean {
  const result = get(registers, X0);
  return result <= ERESTARTSYS && result >= ERESTART_RESTARTBLOCK;
}

/** See {@linkcode Injection}. */
export const aarch64: Injection = {
  registersSize: 272,
  code: decodeBase64Lines(CODE),
  syscallInstruction: new Uint8Array(SVC),
  hasSyscallRegister: true,
  instruction: (registers) => Number(registers.getBigUint64(PC, true)),
  setInstruction: (registers, address) => set(registers, PC, BigInt(address)),
  isCompat: (registers) => (get(registers, PSTATE) & MODE32) !== 0n,
  // The first argument is overwritten by the result here and cannot be had back, so such a call cannot be made again.
  makeAgain: () => false,
  restart(registers) {
    // As a rule the kernel has moved pc back to the svc and put the argument back in x0 before the task stops.
    if (!wasInterrupted(registers)) return;
    if (get(registers, X0) === ERESTART_RESTARTBLOCK) set(registers, X8, RESTART_SYSCALL);
    set(registers, PC, get(registers, PC) - SVC_LENGTH);
  },
  forCall(registers, address, call, args) {
    set(registers, PC, BigInt(address));
    set(registers, X8, BigInt(call));
    for (let i = 0; i < 6; i++) set(registers, X0 + 8 * i, args[i] ?? 0n);
  },
  forCode(registers, scratch) {
    set(registers, PC, BigInt(scratch));
    set(registers, X19, BigInt(scratch) + 0x10200n);
  },
  result: (registers) => get(registers, X0),
  fillResumeBlock(registers, mask, signal, block) {
    for (let at = 0; at < PC; at += 8) block.setBigInt64(at, get(registers, at), true);
    block.setBigInt64(0x100, get(registers, PSTATE), true);
    block.setBigInt64(0x108, get(registers, PC), true);
    block.setBigUint64(0x110, mask, true);
    block.setBigInt64(0x118, BigInt(signal), true);
  },
};
