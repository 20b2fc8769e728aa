/**
 * One task that is stopped and made to do system calls.
 *
 * ```
 * seized --awaitStop--> stopped --enter--> entered --leave--> stopped --detach--> detached
 *    \                     \                  \
 *     `---------------------`------------------`--> dying --detach--> gone
 * ```
 *
 * A task that is killed is dying until its end has been waited for. As long as it has not been, its process does not end for its parent, and
 * a thread of it that executes a program waits for ever.
 *
 * Between calls the task has its own registers and signal mask, or is in code that gives them back to it, so that a tracer which dies leaves a task
 * that goes on. All of it is synchronous and belongs to the thread that seized the task.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import {
  processVmReadv,
  processVmWritev,
  ptrace,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_STOP,
  PTRACE_INTERRUPT,
  PTRACE_O_SUSPEND_SECCOMP,
  PTRACE_O_TRACESYSGOOD,
  PTRACE_SEIZE,
  PTRACE_SYSCALL,
  tgkill,
  Window,
} from "../ffi/sys/ptrace.ts";
import {
  CODE_SIZE,
  COMMAND,
  DATA,
  injection,
  type InterruptedCall,
  SCRATCH_SIZE,
  TABLE_CALLS,
} from "./arch/injection.ts";
import {
  KeptRegisters,
  loadRegisters,
  loadSignalMask,
  readRegisters,
  readSignalMask,
  registers,
  setVectorRegisters,
  vectorRegisters,
} from "./registers.ts";
import { interruptedSequence } from "./restartable_sequence.ts";
import type { Work } from "./side_by_side.ts";
import { type Call, RemoteError, TaskGone } from "./remote_call.ts";
import { readStatus, syscallInstructionOf } from "./task_files.ts";
import { isStop, nextStatus, NOTHING, statusBefore } from "./wait_status.ts";

const SIGTRAP = 5;
const SYSCALL_STOP = SIGTRAP | 0x80;
const SIGSTOP = 19;
/** Signals whose default is to be ignored, and that nobody minds: SIGURG, SIGWINCH. */
const STOP_SIGNALS = [23, 28];
const PROT_RWX = 7;
const PROT_RW = 3;
const PROT_RX = 5;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** The command, and the table behind it. */
const table = new Window(8 + TABLE_CALLS * 64 + 64);
const block = new Window(512);
const codeBytes = new Window(injection.code.length);
codeBytes.bytes.set(injection.code);
const UNSET = 0x7fffffffffffffffn;

/** Puts an argument of a system call somewhere. */
function putWord(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === "number") {
    view.setInt32(at, value, true); // modulo 2^32
    view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
  } else view.setBigInt64(at, BigInt.asIntN(64, value), true);
}

/** One traced task. */
export class Tracee {
  /** The thread. */
  readonly tid: number;
  /** Its process. */
  readonly tgid: number;
  /** Where the scratch mapping is; 0 when there is none. */
  scratch = 0;
  /** Whether it is the first task of a process that has others. Its end is told only when theirs have been waited for. */
  leads = false;
  #state: "seized" | "stopped" | "entered" | "detached" | "dying" | "gone" = "seized";
  #mask = 0n;
  #signal = 0;
  #heldStop = 0;
  // What it stopped with, for the kernel to go on from: what becomes of an interrupted call depends on the signals that come until then.
  readonly #original = new KeptRegisters();
  // What it goes on with when nobody is there any more to load that.
  readonly #resume = new KeptRegisters();
  // What its system calls would clear besides.
  #vectors: Uint8Array | undefined;
  // The call whose beginning it has been put back to.
  #interrupted: InterruptedCall | undefined;
  #compat = false;
  #changed = false;
  // Whether it has a seccomp filter, which comes back when the tracer dies: it may be killed for the calls that it is in the middle of.
  #filtered = false;
  #instruction: number | undefined;
  // Whether it is in the scratch memory's code and has that one's signal mask: waiting for a command, and without a tracer on its way back.
  #waits = false;

  private constructor(tid: number, tgid: number) {
    this.tid = tid;
    this.tgid = tgid;
  }

  /**
   * Seizes a task and asks it to stop. It runs on until {@linkcode Tracee.awaitStop}.
   *
   * @returns undefined when it is gone. @throws {SysError} EPERM: it is being traced by somebody else, or may not be traced.
   */
  static seize(tid: number, tgid: number): Tracee | undefined {
    let r = ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP);
    // Suspending seccomp takes CAP_SYS_ADMIN, and a kernel that has it.
    if (r === -Errno.EPERM || r === -Errno.EINVAL) r = ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD);
    if (r === -Errno.ESRCH) return undefined;
    if (r < 0) throw new SysError("ptrace(PTRACE_SEIZE)", -r, { pid: tid });
    ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    return new Tracee(tid, tgid);
  }

  /** A task that is only looked at: it runs on, and can be made to do nothing. */
  static running(tid: number, tgid: number): Tracee {
    const task = new Tracee(tid, tgid);
    task.#state = "detached";
    return task;
  }

  /** Whether it has been killed or has ended: nothing more can be done in it. */
  get gone(): boolean {
    return this.#state === "dying" || this.#state === "gone";
  }

  /** Whether it was running 32-bit code when it stopped. */
  get compat(): boolean {
    return this.#compat;
  }

  /**
   * Waits until it has stopped. Signals that come first are delivered. A system call that a stop makes fail with EINTR is made again.
   *
   * @param until performance.now() of the latest moment; one that has passed asks once, and does not wait
   * @returns whether it has stopped, has ended, or neither in time
   */
  awaitStop(until: number): "stopped" | "gone" | "late" {
    if (this.#state !== "seized" && this.#state !== "dying") return this.gone ? "gone" : "stopped";
    for (;;) {
      const status = statusBefore(this.tid, until);
      if (status === NOTHING) return "late";
      if (!isStop(status)) return this.#end();
      const event = status >>> 16;
      if (event === PTRACE_EVENT_STOP) break;
      // Another event needs nothing; a signal goes to the task.
      const signal = event === 0 ? (status >> 8) & 0xff : 0;
      if (ptrace(PTRACE_CONT, this.tid, 0, signal) >= 0) continue;
      this.#state = "dying";
      return "gone";
    }
    // One that was dying is another by now: a thread that has executed a program has taken its number, and has a new memory.
    [this.scratch, this.#heldStop, this.#changed, this.#waits] = [0, 0, false, false];
    [this.#vectors, this.#interrupted] = [undefined, undefined];
    this.#state = "stopped";
    this.#save();
    return this.gone ? "gone" : "stopped";
  }

  #end(): "gone" {
    this.#state = "gone";
    return "gone";
  }

  #must(result: number): void {
    if (result >= 0) return;
    if (result === -Errno.ESRCH) {
      this.#state = "dying";
      throw new TaskGone(this.tid);
    }
    throw new SysError("ptrace", -result, { pid: this.tid });
  }

  /** Notes what it goes on with. Of a task that is not entered, only a call that would answer EINTR has to be changed. */
  #save(): void {
    const size = readRegisters(this.tid);
    if (size === -Errno.ESRCH) return void (this.#state = "dying");
    this.#must(size);
    this.#compat = size !== injection.registersSize || injection.isCompat(registers.view);
    this.#original.keep();
    this.#resume.keep();
    if (this.#compat) return;
    this.#changed = injection.makeAgain(this.#original.view);
    injection.restart(this.#resume.view, this.#changed);
  }

  /**
   * Makes it ready to be given system calls: maps scratch memory into it.
   *
   * @throws {TaskGone}, {SysError} with nothing changed but what `leave` takes back
   */
  enter(): void {
    if (this.#state !== "stopped") throw new TypeError(`task ${this.tid} is ${this.#state}`);
    const abort = interruptedSequence(this.tid, injection.instruction(this.#resume.view));
    if (abort !== undefined) {
      injection.setInstruction(this.#original.view, abort);
      injection.setInstruction(this.#resume.view, abort);
    }
    if (injection.clearsVectors) this.#vectors = vectorRegisters(this.tid);
    const mask = readSignalMask(this.tid);
    if (typeof mask === "number") return this.#must(mask);
    this.#mask = mask;
    const pending = readStatus(this.tid);
    if (pending === undefined) throw new TaskGone(this.tid);
    this.#filtered = pending.seccomp !== 0;
    const blocked = pending.sigPnd | pending.shdPnd;
    const signal = STOP_SIGNALS.find((one) => (blocked >> BigInt(one - 1) & 1n) === 0n);
    this.#signal = signal ?? 0;
    this.#state = "entered";
    this.#changed = true;
    this.#interrupted = this.#interruptedCall();
    this.#mapScratch();
  }

  #interruptedCall(): InterruptedCall | undefined {
    const call = injection.putBack(this.#original.view);
    const { length } = injection.syscallInstruction;
    if (call === undefined) return undefined;
    if (processVmReadv(this.tid, injection.instruction(this.#original.view), block, length) !== length) {
      return undefined;
    }
    return injection.syscallInstruction.every((byte, at) => byte === block.bytes[at]) ? call : undefined;
  }

  /** Lets it have these registers, and no signal but the one that ends its run. */
  #beginUndisturbed(): void {
    const held = this.#signal === 0 ? ~0n : ~(1n << BigInt(this.#signal - 1));
    this.#must(loadSignalMask(this.tid, held));
    this.#must(loadRegisters(this.tid));
  }

  /** Now it is as it would go on by itself. */
  #endUndisturbed(): void {
    this.#must(loadSignalMask(this.tid, this.#mask));
    this.#load(this.#resume);
    this.#waits = false;
  }

  #mapScratch(): void {
    const anonymous = [MAP_PRIVATE_ANONYMOUS, -1, 0] as const;
    const mapped = injection.runsWritten ? this.call(NR.mmap, 0, SCRATCH_SIZE, PROT_RWX, ...anonymous) : 0n;
    if (mapped > 0n) {
      this.scratch = Number(mapped);
      this.write(this.scratch, codeBytes, codeBytes.bytes.length);
    } else {
      // Somewhere nothing may be writable and executable at once, or caches have to be told.
      const plain = this.call(NR.mmap, 0, SCRATCH_SIZE, PROT_RW, ...anonymous);
      if (plain < 0n) throw new RemoteError(this.tid, 0, [NR.mmap, 0, SCRATCH_SIZE], Number(-plain));
      this.scratch = Number(plain);
      this.write(this.scratch, codeBytes, codeBytes.bytes.length);
      const protect: Call = [NR.mprotect, this.scratch, CODE_SIZE, PROT_RX];
      const result = this.call(...protect);
      if (result < 0n) throw new RemoteError(this.tid, 0, protect, Number(-result));
    }
    block.bytes.fill(0);
    injection.fillResumeBlock(this.#resume.view, this.#mask, this.#signal, block.view);
    this.write(this.scratch + CODE_SIZE, block, block.bytes.length);
  }

  /** Address of the data area of the scratch memory. */
  get data(): number {
    return this.scratch + DATA;
  }

  /** Copies the beginning of a window into its memory. @throws {SysError} EFAULT; {TaskGone} */
  write(address: number, window: Window, count: number): void {
    const r = processVmWritev(this.tid, address, window, count);
    if (r === -Errno.ESRCH) throw new TaskGone(this.tid);
    if (r !== count) throw new SysError("process_vm_writev", r < 0 ? -r : Errno.EFAULT, { pid: this.tid });
  }

  /** Copies its memory to the beginning of a window. @throws {SysError} EFAULT; {TaskGone} */
  read(address: number, window: Window, count: number): void {
    const r = processVmReadv(this.tid, address, window, count);
    if (r === -Errno.ESRCH) throw new TaskGone(this.tid);
    if (r !== count) throw new SysError("process_vm_readv", r < 0 ? -r : Errno.EFAULT, { pid: this.tid });
  }

  /**
   * One system call, by its entry and exit stops: needs no scratch memory. Returns what the kernel returns. It is waited for at once: a task
   * that is in one when its tracer dies is lost.
   *
   * @throws {TaskGone}
   */
  call(number: number, ...args: (number | bigint)[]): bigint {
    this.#resume.use();
    this.#instruction ??= syscallInstructionOf(this.tid);
    injection.forCall(registers.view, this.#instruction, number, args.map(BigInt));
    this.#beginUndisturbed();
    for (let stops = 0; stops < 2;) {
      this.#must(ptrace(PTRACE_SYSCALL, this.tid, 0, 0));
      if (this.#nextStop() === SYSCALL_STOP) stops++;
    }
    this.#must(readRegisters(this.tid));
    const result = injection.result(registers.view);
    this.#endUndisturbed();
    return result;
  }

  /**
   * System calls one after the other, until the first that fails. Yields while it makes them, unless it has to be watched: one with a seccomp
   * filter would be killed when its tracer dies meanwhile.
   *
   * @returns their results, all of them. @throws {RemoteError} for the first that failed; those before it are done. {TaskGone}
   */
  *batch(calls: readonly Call[]): Work<bigint[]> {
    const results: bigint[] = [];
    if (this.#signal === 0) {
      for (const [index, call] of calls.entries()) {
        const result = this.call(...call);
        if (result < 0n && result > -4096n) throw new RemoteError(this.tid, index, call, Number(-result));
        results.push(result);
      }
      return results;
    }
    for (let first = 0; first < calls.length; first += TABLE_CALLS) {
      yield* this.#run(calls, first, Math.min(TABLE_CALLS, calls.length - first), results);
    }
    return results;
  }

  *#run(calls: readonly Call[], first: number, count: number, results: bigint[]): Work {
    const { view } = table;
    view.setBigInt64(0, 1n, true);
    for (let i = 0; i < count; i++) {
      const call = calls[first + i]!;
      for (let word = 0; word < 7; word++) putWord(view, 8 + i * 64 + word * 8, call[word] ?? 0);
      view.setBigInt64(8 + i * 64 + 56, UNSET, true);
    }
    view.setBigInt64(8 + count * 64, -1n, true);
    this.write(this.scratch + COMMAND, table, 8 + count * 64 + 8);
    if (!this.#waits) {
      this.#resume.use();
      injection.forCode(registers.view, this.scratch);
      this.#beginUndisturbed();
      this.#waits = true;
    }
    do {
      this.#must(ptrace(PTRACE_CONT, this.tid, 0, 0));
      if (!this.#filtered) yield;
    } while (this.#nextStop() !== this.#signal);
    // What it does without a tracer, its filter may not allow.
    if (this.#filtered) this.#endUndisturbed();
    this.read(this.scratch + COMMAND, table, 8 + count * 64);
    for (let i = 0; i < count; i++) {
      const result = view.getBigInt64(8 + i * 64 + 56, true);
      if (result === UNSET || (result < 0n && result > -4096n)) {
        const errno = result === UNSET ? Errno.EINTR : Number(-result);
        throw new RemoteError(this.tid, first + i, calls[first + i]!, errno);
      }
      results.push(result);
    }
  }

  #load(what: KeptRegisters): void {
    what.use();
    this.#must(loadRegisters(this.tid));
    if (this.#vectors !== undefined) this.#must(setVectorRegisters(this.tid, this.#vectors));
  }

  /** What it goes on with when it is let go: in a call that the stop has ended it still is, for the kernel to decide what becomes of that. */
  #loadOriginal(): void {
    if (this.#interrupted === undefined) return this.#load(this.#original);
    this.#original.use();
    injection.endCall(registers.view, this.#interrupted);
    this.#must(loadRegisters(this.tid, this.#interrupted.number));
  }

  /** Waits for its next stop and tells the signal of it, 0 for an event. A SIGSTOP, which no mask holds back, is kept for later. */
  #nextStop(): number {
    for (;;) {
      const status = nextStatus(this.tid, this.leads);
      if (!isStop(status)) {
        this.#state = status === NOTHING ? "dying" : "gone";
        throw new TaskGone(this.tid);
      }
      if (status >>> 16 !== 0) return 0;
      const signal = (status >> 8) & 0xff;
      if (signal === SIGSTOP) this.#heldStop = signal;
      return signal;
    }
  }

  /** Takes the scratch memory away. What is done already is not done again. @throws {TaskGone} */
  leave(): void {
    if (this.#state !== "entered") return;
    if (this.scratch !== 0) {
      this.call(NR.munmap, this.scratch, SCRATCH_SIZE);
      this.scratch = 0;
    }
    // A call that does nothing. At its end the kernel has its first argument, which is what it would make the interrupted call with.
    if (this.#interrupted !== undefined) this.call(NR.munmap, this.#interrupted.argument, 0);
    this.#state = "stopped";
  }

  /** Lets it go on, or waits no longer for its end. Does not fail; what is still {@linkcode Tracee.attached} after it has to be let go again. */
  detach(): void {
    if (!this.attached) return;
    try {
      this.leave();
      if (!this.gone && this.#changed) this.#loadOriginal();
      if (this.#heldStop !== 0) tgkill(this.tgid, this.tid, this.#heldStop);
    } catch (error) {
      if (!(error instanceof TaskGone) && !(error instanceof SysError)) throw error;
    }
    // A task that has not stopped cannot be detached: it stops first, however long that takes, or its tracer ends.
    if (this.#state === "seized") this.awaitStop(performance.now() + 5);
    if (this.#state === "stopped" || this.#state === "entered") {
      const result = ptrace(PTRACE_DETACH, this.tid, 0, 0);
      if (result >= 0) this.#state = "detached";
      else if (result === -Errno.ESRCH) this.#state = "dying";
    }
    // The end of a first thread comes when all others of its process have ended.
    if (this.#state === "dying") this.awaitStop(0);
  }

  /** Whether it can be given system calls. */
  get entered(): boolean {
    return this.#state === "entered" && this.scratch !== 0;
  }

  /** Whether it still is this thread's tracee: it can be one when it is {@linkcode Tracee.gone}, too. */
  get attached(): boolean {
    return this.#state !== "gone" && this.#state !== "detached";
  }
}
