/**
 * Stopping processes, all their tasks, until nobody new is found: tasks that are made, and processes that are forked, while others are
 * being stopped are stopped as well. Nothing is changed by it, and it can be given up at any time.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { Tracee } from "./tracee.ts";
import { commOf, readStat, tasksOf } from "./task_files.ts";
import type { Obstacle } from "./types.ts";

/** A process all of whose tasks are stopped. */
export interface StoppedProcess {
  /** The process. */
  readonly pid: number;
  /** Its command name. */
  readonly comm: string;
  /** Its tasks by thread id, the leader first unless it has ended before its threads. */
  readonly tasks: Map<number, Tracee>;
}

/** Tasks did not stop. Nothing has changed; those that did stop go on when the set of them is disposed of. */
export class StopError extends Error {
  /** `obstacles` name the tasks. */
  constructor(readonly obstacles: readonly Obstacle[]) {
    super(obstacles.map(({ pid, reason }) => `process ${pid} ${reason}`).join("; "));
    this.name = "StopError";
  }
}

/**
 * Tasks that did not stop in time: they cannot be let go before they do. Until then they stay this thread's, or until it ends. They are taken
 * up again by the next attempt, and let go by `releaseLate`.
 */
const lateTasks = new Map<number, Tracee>();

/**
 * Lets those go that have stopped since.
 *
 * @returns whether there are any left
 */
export function releaseLate(): boolean {
  for (const [tid, tracee] of lateTasks) {
    tracee.detach();
    if (!tracee.attached) lateTasks.delete(tid);
  }
  return lateTasks.size > 0;
}

/** Processes that are stopped, for as long as this is not disposed of. */
export class StoppedSet implements Disposable {
  readonly #processes = new Map<number, StoppedProcess>();
  /** When the first task was asked to stop, by performance.now(); undefined when none was. */
  began: number | undefined;

  /** The processes, in the order in which they were found. */
  get processes(): IterableIterator<StoppedProcess> {
    return this.#processes.values();
  }

  /** Whether a process is among them. */
  has(pid: number): boolean {
    return this.#processes.has(pid);
  }

  /** How many tasks are stopped. */
  get taskCount(): number {
    let count = 0;
    for (const { tasks } of this.#processes.values()) count += tasks.size;
    return count;
  }

  /**
   * Stops processes and whoever `more` finds once they are stopped, until it finds nobody new.
   *
   * @param pids where to begin
   * @param more the processes that belong to them as well: called after each pass, with what is stopped
   * @param until performance.now() of the latest moment
   * @throws {StopError} naming tasks that do not stop, or may not be stopped
   */
  stop(pids: Iterable<number>, more: () => Iterable<number>, until: number): void {
    let wanted = [...pids];
    while (wanted.length > 0) {
      for (const pid of wanted) this.#begin(pid);
      this.#settle(until);
      wanted = [...more()].filter((pid) => !this.#processes.has(pid));
    }
  }

  #begin(pid: number): void {
    const stat = readStat(pid);
    if (stat === undefined) return;
    // A process whose first thread has ended looks like a zombie, but has others.
    if ((stat.state === "Z" || stat.state === "X") && tasksOf(pid).length <= 1) return;
    this.#processes.set(pid, { pid, comm: commOf(pid), tasks: new Map() });
  }

  /** Seizes every task of every process, and waits for them, until a pass finds no new one. */
  #settle(until: number): void {
    for (let fresh = true; fresh;) {
      fresh = false;
      for (const process of this.#processes.values()) {
        for (const tid of tasksOf(process.pid)) {
          if (process.tasks.has(tid) || !this.#seize(process, tid)) continue;
          fresh = true;
        }
      }
      this.#await(until);
    }
    for (const [pid, process] of this.#processes) if (process.tasks.size === 0) this.#processes.delete(pid);
  }

  #seize(process: StoppedProcess, tid: number): boolean {
    this.began ??= performance.now();
    try {
      const known = lateTasks.get(tid);
      lateTasks.delete(tid);
      const tracee = known?.attached === true ? known : Tracee.seize(tid, process.pid);
      if (tracee !== undefined) process.tasks.set(tid, tracee);
      return tracee !== undefined;
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== Errno.EPERM) throw error;
      const state = readStat(tid)?.state;
      if (state === undefined || state === "Z" || state === "X") return false; // a leader that ended before its threads
      const { pid, comm } = process;
      const reason = `cannot be traced (task ${tid}): it is being traced already, or this may not trace it`;
      throw new StopError([{ pid, comm, kind: "process", reason, transient: true }]);
    }
  }

  #await(until: number): void {
    const late: Obstacle[] = [];
    for (const { pid, comm, tasks } of this.#processes.values()) {
      for (const [tid, tracee] of tasks) {
        const end = tracee.awaitStop(until);
        if (end === "gone") tasks.delete(tid);
        if (end !== "late") continue;
        const state = readStat(tid)?.state ?? "?";
        const reason = `does not stop: its task ${tid} is in state ${state}`;
        late.push({ pid, comm, kind: "process", reason, transient: true });
      }
    }
    if (late.length > 0) throw new StopError(late);
  }

  /** Lets processes go on before the others. */
  release(pids: Iterable<number>): void {
    for (const pid of pids) {
      const process = this.#processes.get(pid);
      if (process === undefined) continue;
      this.#processes.delete(pid);
      for (const tracee of process.tasks.values()) tracee.detach();
    }
  }

  /** Lets all of them go on. */
  [Symbol.dispose](): void {
    for (const { tasks } of this.#processes.values()) {
      for (const [tid, tracee] of tasks) {
        tracee.detach();
        if (tracee.attached) lateTasks.set(tid, tracee);
      }
    }
    this.#processes.clear();
  }
}
