/**
 * A task as `/proc/PID/stat` tells it: see proc_pid_stat(5).
 *
 * @module
 */
import { Cursor } from "./cursor.ts";

/**
 * The addresses that PR_SET_MM_MAP of prctl(2) takes. Without the right to look into the process the kernel shows 0 for them, and 1 for
 * those of the code.
 */
export interface MemoryAddresses {
  /** The code. */
  readonly startCode: bigint;
  /** Behind the code. */
  readonly endCode: bigint;
  /** The bottom of the stack, which is its highest address. */
  readonly startStack: bigint;
  /** The data. */
  readonly startData: bigint;
  /** Behind the data. */
  readonly endData: bigint;
  /** Where brk(2) began. */
  readonly startBrk: bigint;
  /** The arguments. */
  readonly argStart: bigint;
  /** Behind the arguments. */
  readonly argEnd: bigint;
  /** The environment. */
  readonly envStart: bigint;
  /** Behind the environment. */
  readonly envEnd: bigint;
}

/** What is told of a task. */
export interface TaskStat {
  /** The task, in the pid namespace of the /proc that was read. */
  readonly pid: number;
  /** The command name as it is: the kernel escapes nothing here. */
  readonly comm: Uint8Array<ArrayBuffer>;
  /** One letter: R, S, D, T (stopped), t (traced), Z, X and others. */
  readonly state: string;
  /** The parent process. */
  readonly ppid: number;
  /** When it was started, in clock ticks since boot: with the pid, what tells a task from a later one of the same pid. */
  readonly startTime: bigint;
  /** The number of threads of the process. */
  readonly threads: number;
  /** Where things are in its memory; all 0 for what has no memory. */
  readonly memory: MemoryAddresses;
}

const OPEN = 0x28;
const CLOSE = 0x29;
const STATE = 3;

/**
 * Reads the text of a stat file. The name is what stands between the first and the last parenthesis, whatever it contains: only numbers
 * come behind it.
 *
 * @throws {SyntaxError} if it is not one, or was not read to its end.
 */
export function parseStat(bytes: Uint8Array): TaskStat {
  const cursor = new Cursor(bytes, "stat");
  const pid = cursor.number(10);
  cursor.expect(" ");
  const open = cursor.at;
  const close = bytes.lastIndexOf(CLOSE);
  if (bytes[open] !== OPEN || close < 0) cursor.fail("no name in parentheses");
  const comm = bytes.slice(open + 1, close);
  cursor.at = close + 1;
  cursor.expect(" ");
  const state = cursor.word();
  if (!/^[A-Za-z]$/.test(state)) cursor.fail("no state", close + 2);

  let field = STATE;
  /** Goes to the field of that number. */
  const to = (wanted: number) => {
    for (; field < wanted - 1; field++) {
      cursor.expect(" ");
      cursor.skipWord();
    }
    cursor.expect(" ");
    field++;
  };
  const number = (wanted: number) => (to(wanted), cursor.number(10));
  const bigint = (wanted: number) => (to(wanted), cursor.bigint(10));
  const ppid = number(4);
  const threads = number(20);
  const startTime = bigint(22);
  const memory = {
    startCode: bigint(26),
    endCode: bigint(27),
    startStack: bigint(28),
    startData: bigint(45),
    endData: bigint(46),
    startBrk: bigint(47),
    argStart: bigint(48),
    argEnd: bigint(49),
    envStart: bigint(50),
    envEnd: bigint(51),
  };
  cursor.skipLine();
  return { pid, comm, state, ppid, startTime, threads, memory };
}
