/**
 * Stopping processes, all their tasks, until nobody new is found: tasks that are made, and processes that are forked, while others are
 * being stopped are stopped as well. Nothing is changed by it, and it can be given up at any time.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { pause } from "./pause.ts";
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

/** The longest time between two looks whether tasks have stopped, in milliseconds. */
const LOOK_MS = 1;

/**
 * Tasks that did not stop in time, or whose end has not come yet: they cannot be let go before. Until then they stay this thread's, or until it ends. They are taken
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

function endless(pid: number): Obstacle {
  const reason = "does not stop: it was found again and again";
  return { pid, comm: commOf(pid), kind: "process", reason, transient: true };
}

function letGo(tracee: Tracee): void {
  tracee.detach();
  if (tracee.attached) lateTasks.set(tracee.tid, tracee);
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
      if (wanted.length > 0 && performance.now() > until) throw new StopError(wanted.map(endless));
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
    for (const [pid, { tasks }] of this.#processes) {
      if (tasks.size === 0) this.#processes.delete(pid);
      for (const task of tasks.values()) task.leads = task.tid === pid && tasks.size > 1;
    }
  }

  #seize(process: StoppedProcess, tid: number): boolean {
    this.began ??= performance.now();
    try {
      const known = lateTasks.get(tid);
      // Its end is waited for by `releaseLate`.
      if (known?.attached === true && readStat(tid)?.state === "Z") return false;
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

  /**
   * Waits for all of them at once: one may wait for the end of another, which has come only when it was waited for. So does a thread that
   * executes a program for the other threads of its process, in state D, and a first thread's end for theirs.
   */
  #await(until: number): void {
    let waiting: [StoppedProcess, Tracee][] = [];
    for (const process of this.#processes.values()) {
      for (const tracee of process.tasks.values()) waiting.push([process, tracee]);
    }
    for (let sleep = 0.02;; sleep = Math.min(sleep * 2, LOOK_MS)) {
      waiting = waiting.filter(([process, tracee]) => !this.#hasStopped(process, tracee, sleep === LOOK_MS));
      if (waiting.length === 0) return;
      if (performance.now() > until) break;
      pause(sleep);
    }
    throw new StopError(waiting.map(([{ pid, comm }, { tid }]) => {
      const reason = `does not stop: its task ${tid} is in state ${readStat(tid)?.state ?? "?"}`;
      return { pid, comm, kind: "process", reason, transient: true };
    }));
  }

  /** @param look whether to look if it is a first thread that has ended: that is not told before all others have ended */
  #hasStopped(process: StoppedProcess, tracee: Tracee, look: boolean): boolean {
    const end = tracee.awaitStop(0);
    if (end === "stopped") return true;
    if (end === "late" && !(look && readStat(tracee.tid)?.state === "Z")) return false;
    process.tasks.delete(tracee.tid);
    letGo(tracee);
    return true;
  }

  /** Lets processes go on before the others. */
  release(pids: Iterable<number>): void {
    for (const pid of pids) {
      const process = this.#processes.get(pid);
      if (process === undefined) continue;
      this.#processes.delete(pid);
      for (const tracee of process.tasks.values()) letGo(tracee);
    }
  }

  /** Lets all of them go on. */
  [Symbol.dispose](): void {
    for (const { tasks } of this.#processes.values()) {
      for (const tracee of tasks.values()) letGo(tracee);
    }
    this.#processes.clear();
  }
}
