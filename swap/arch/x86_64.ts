/**
 * Injection on x86_64. Offsets are those of `struct user_regs_struct` (`sys/user.h`).
 *
 * @module
 */
import { decodeBase64Lines } from "./code_bytes.ts";
import type { Injection, Registers } from "./injection.ts";

const AX = 80;
const DX = 96;
const SI = 104;
const DI = 112;
const R10 = 56;
const R9 = 64;
const R8 = 72;
const ORIG_AX = 120;
const IP = 128;
const CS = 136;
const FLAGS = 144;
const SP = 152;

const CS_32 = 0x23n;
const NO_CALL = -1n;
const ERESTARTSYS = -512n;
const ERESTARTNOHAND = -514n;
const ERESTART_RESTARTBLOCK = -516n;
const EINTR = -4n;
const RESTART_SYSCALL = 219n;
/** `syscall` is two bytes long. */
const SYSCALL_LENGTH = 2n;
/** Trap, direction and resume flags must not be on when the code begins. */
const CLEARED_FLAGS = ~0x10700n;

/*
 * begin: movq $0,command(%rip); lea table(%rip),%rbx
 * loop: mov (%rbx),%rax; test %rax,%rax; js done
 *       mov 8(%rbx),%rdi; 16: %rsi; 24: %rdx; 32: %r10; 40: %r8; 48: %r9
 *       syscall; mov %rax,56(%rbx); cmp $-4095,%rax; jae done; add $64,%rbx; jmp loop
 * done: getpid, gettid; tgkill(%edi, %esi, signal): here the tracer takes over.
 *       cmpq $0,command(%rip); jne begin. Without a command:
 *       rt_sigprocmask(SIG_SETMASK, mask, 0, 8)
 *       lea flags(%rip),%rsp; popfq; mov ...(%rip) for all registers, %rsp last; jmp *ip(%rip)
 * Resume block: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di sp flags mask signal ip, 8 bytes each.
 */
const CODE = `
SMcF7QEBAAAAAABIjR3uAQEASIsDSIXAeCxIi3sISItzEEiLUxhMi1MgTItDKEyLSzAPBUiJQzhIPQHw//9zBkiDw0DrzLgnAAAADwWJ
x7i6AAAADwWJxosVMgABALjqAAAADwVIgz2LAQEAAHWRuA4AAAC/AgAAAEiNNQgAAQAx0kG6CAAAAA8FSI0l7/8AAJ1Miz1n/wAATIs1
aP8AAEyLLWn/AABMiyVq/wAASIsta/8AAEiLHWz/AABMix1t/wAATIsVbv8AAEyLDW//AABMiwVw/wAASIsFcf8AAEiLDXL/AABIixVz
/wAASIs1dP8AAEiLPXX/AABIiyV2/wAA/yWQ/wAA`;

/** The call that has been made although it answers EINTR. */
const CLOSE = 3n;

function get(registers: Registers, at: number): bigint {
  return registers.getBigInt64(at, true);
}

function set(registers: Registers, at: number, value: bigint): void {
  registers.setBigInt64(at, value, true);
}

function prepare(registers: Registers, address: number): void {
  set(registers, IP, BigInt(address));
  set(registers, ORIG_AX, NO_CALL);
  set(registers, FLAGS, get(registers, FLAGS) & CLEARED_FLAGS);
}

/** See {@linkcode Injection}. */
export const x86_64: Injection = {
  registersSize: 216,
  code: decodeBase64Lines(CODE),
  syscallInstruction: new Uint8Array([0x0f, 0x05]),
  hasSyscallRegister: false,
  clearsVectors: false,
  runsWritten: true,
  instruction: (registers) => Number(registers.getBigUint64(IP, true)),
  setInstruction(registers, address) {
    set(registers, IP, BigInt(address));
    set(registers, ORIG_AX, NO_CALL);
  },
  isCompat: (registers) => get(registers, CS) === CS_32,
  makeAgain(registers) {
    const call = get(registers, ORIG_AX);
    if (call < 0n || call === CLOSE || get(registers, AX) !== EINTR) return false;
    set(registers, AX, ERESTARTNOHAND);
    return true;
  },
  restart(registers, force) {
    const call = get(registers, ORIG_AX);
    const result = get(registers, AX);
    if (call >= 0n && (force || (result <= ERESTARTSYS && result >= ERESTART_RESTARTBLOCK))) {
      set(registers, AX, result === ERESTART_RESTARTBLOCK ? RESTART_SYSCALL : call);
      set(registers, IP, get(registers, IP) - SYSCALL_LENGTH);
    }
    set(registers, ORIG_AX, NO_CALL);
  },
  putBack: () => undefined,
  endCall: () => {},
  forCall(registers, address, call, args) {
    prepare(registers, address);
    set(registers, AX, BigInt(call));
    [DI, SI, DX, R10, R8, R9].forEach((at, i) => set(registers, at, args[i] ?? 0n));
  },
  forCode(registers, scratch) {
    prepare(registers, scratch);
  },
  result: (registers) => get(registers, AX),
  fillResumeBlock(registers, mask, signal, block) {
    for (let at = 0; at < ORIG_AX; at += 8) block.setBigInt64(at, get(registers, at), true);
    block.setBigInt64(0x78, get(registers, SP), true);
    block.setBigInt64(0x80, get(registers, FLAGS), true);
    block.setBigUint64(0x88, mask, true);
    block.setBigInt64(0x90, BigInt(signal), true);
    block.setBigInt64(0x98, get(registers, IP), true);
  },
};
