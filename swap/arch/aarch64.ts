/**
 * Injection on aarch64. Written from the headers (`asm/ptrace.h`: x0 to x30, sp, pc, pstate). It has run in an emulated machine (Linux 6.12
 * with BTI, pointer authentication and SVE, 4 KiB pages), where nothing can be seen of caches that do not agree.
 *
 * @module
 */
import { decodeBase64Lines } from "./code_bytes.ts";
import type { Injection, InterruptedCall, Registers } from "./injection.ts";

const X0 = 0;
const X8 = 8 * 8;
const X19 = 19 * 8;
const PC = 32 * 8;
const PSTATE = 33 * 8;

/** PSTATE: BTYPE, which the last instruction was if it was an indirect branch: only a landing pad may follow, and no `svc` is one. */
const CLEARED_PSTATE = ~0xc00n;
/** PSTATE: AArch32 state. */
const MODE32 = 0x10n;
const ERESTARTSYS = -512n;
const ERESTARTNOHAND = -514n;
const SVC_LENGTH = 4n;
/** futex(2), its second argument without flags, FUTEX_WAIT and FUTEX_WAIT_BITSET. */
const [FUTEX, FUTEX_COMMAND, FUTEX_WAITS] = [98, 0x7fn, [0n, 9n]];
/** Calls that any handled signal ends: pselect6, ppoll, nanosleep, clock_nanosleep, rt_sigsuspend. */
const ENDED_BY_SIGNALS = [72, 73, 101, 115, 133];
/** Calls that a signal ends unless SA_RESTART: flock, read, waitid, accept, recvfrom, recvmsg, accept4, wait4. */
const MADE_AGAIN = [32, 63, 95, 202, 207, 212, 242, 260];
/** `svc #0`. */
const SVC = [0x01, 0x00, 0x00, 0xd4];

/*
 * The same as on x86_64: x20 walks the table that x19 points to, x8 is the number. Resume block: x0 to x30, sp, pstate, pc, mask, signal.
 * The way back goes through x17, which is lost, as are vectors that system calls clear: a task that was interrupted between instructions
 * may miss them, one that was in a system call does not. It is `ret x17`, because where `br` leads there has to be a landing pad (BTI).
 */
const CODE = `
dgII0d/+APn0AxOqiAJA+UgB+LeAhkCpgo5BqYSWQqkBAADUgB4A+R/8P7FiAABUlAIBkfb//xeIFYDSAQAA1PUDAKpIFoDSAQAA1OEDAKrg
AxWqwo5A+WgQgNIBAADUyf5A+en8/7XoEIDSQACA0sFCBJECAIDSAwGA0gEAANTxAxaqIH5A+R8AAJEggkD5AEIb1SAGQKkiDkGpJBZCqSYe
Q6koJkSpKi5FqSw2RqkuPkepMEJA+TJOSak0VkqpNl5LqThmTKk6bk2pPHZOqT56QPkxhkD5IAJf1g==`;

function get(registers: Registers, at: number): bigint {
  return registers.getBigInt64(at, true);
}

function set(registers: Registers, at: number, value: bigint): void {
  registers.setBigInt64(at, value, true);
}

function resultOf(registers: Registers, number: number): bigint | undefined {
  if (ENDED_BY_SIGNALS.includes(number)) return ERESTARTNOHAND;
  if (MADE_AGAIN.includes(number)) return ERESTARTSYS;
  if (number !== FUTEX || !FUTEX_WAITS.includes(get(registers, X0 + 8) & FUTEX_COMMAND)) return undefined;
  return get(registers, X0 + 24) === 0n ? ERESTARTSYS : ERESTARTNOHAND; // with a timeout or without
}

function prepare(registers: Registers, address: number): void {
  set(registers, PC, BigInt(address));
  set(registers, PSTATE, get(registers, PSTATE) & CLEARED_PSTATE);
}

/** See {@linkcode Injection}. */
export const aarch64: Injection = {
  registersSize: 272,
  code: decodeBase64Lines(CODE),
  syscallInstruction: new Uint8Array(SVC),
  hasSyscallRegister: true,
  clearsVectors: true,
  // Instructions need not be fetched through the data caches, and process_vm_writev(2) does not clean those. mprotect(2) does, for pages
  // that have not been executable before.
  runsWritten: false,
  instruction: (registers) => Number(registers.getBigUint64(PC, true)),
  setInstruction: (registers, address) => set(registers, PC, BigInt(address)),
  isCompat: (registers) => (get(registers, PSTATE) & MODE32) !== 0n,
  // The first argument is overwritten by the result here and cannot be had back, so such a call cannot be made again.
  makeAgain: () => false,
  // The kernel has moved pc back to the svc and put the argument back in x0 before the task stops.
  restart: () => {},
  putBack(registers): InterruptedCall | undefined {
    const number = Number(BigInt.asIntN(32, get(registers, X8)));
    const result = resultOf(registers, number);
    return result === undefined ? undefined : { number, argument: get(registers, X0), result };
  },
  endCall(registers, { result }) {
    set(registers, X0, result);
    set(registers, PC, get(registers, PC) + SVC_LENGTH);
  },
  forCall(registers, address, call, args) {
    prepare(registers, address);
    set(registers, X8, BigInt(call));
    for (let i = 0; i < 6; i++) set(registers, X0 + 8 * i, args[i] ?? 0n);
  },
  forCode(registers, scratch) {
    prepare(registers, scratch);
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
