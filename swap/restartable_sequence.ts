/**
 * Restartable sequences, rseq(2): code that the kernel sends to an abort handler when its task was preempted in it. A task that is stopped
 * there and made to do something else would come back into the middle of it, so it has to be sent to the handler.
 *
 * @module
 */
import { processVmReadv, ptraceBuffer, Window } from "../ffi/sys/ptrace.ts";

/** Linux 5.13. */
const PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;
/** Of `struct ptrace_rseq_configuration`. */
const CONFIGURATION_SIZE = 24;
/** Of `rseq_cs` in `struct rseq`. */
const RSEQ_CS = 8;

const window = new Window(32);

/**
 * The abort handler of the sequence that a stopped tracee is in; undefined when it is in none.
 *
 * @param instruction where the task is
 */
export function interruptedSequence(tid: number, instruction: number): number | undefined {
  const got = ptraceBuffer(PTRACE_GET_RSEQ_CONFIGURATION, tid, CONFIGURATION_SIZE, window.bytes);
  const area = got < 0 ? 0 : Number(window.view.getBigUint64(0, true));
  if (area === 0 || processVmReadv(tid, area + RSEQ_CS, window, 8) !== 8) return undefined;
  const sequence = Number(window.view.getBigUint64(0, true));
  if (sequence === 0 || processVmReadv(tid, sequence, window, 32) !== 32) return undefined;
  const start = Number(window.view.getBigUint64(8, true));
  const length = Number(window.view.getBigUint64(16, true));
  if (instruction < start || instruction >= start + length) return undefined;
  return Number(window.view.getBigUint64(24, true));
}
