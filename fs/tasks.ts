/**
 * Operations on a backing that may not answer, such as a server's: each of their calls is made by another thread, and this one goes on
 * with other requests meanwhile.
 *
 * An operation whose caller is killed is answered at once. The call that is being made cannot be taken back: its thread comes back with it,
 * the operation is led to its end so that it keeps nothing, makes no further calls, and its answer is dropped.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { statfs, StatfsBuffer } from "../ffi/sys/dir.ts";
import { type Call, pending, privately, type Step, type Steps } from "./calls.ts";
import { type Acting, ROOT_ACTING } from "./caller.ts";
import type { Context, Operation } from "./context.ts";
import { Gate } from "./gate.ts";
import type { Held } from "./holds.ts";

/** Threads that make calls. */
export interface CallThreads {
  /**
   * Has a call made as someone. What it refers to stays as it is until the call is over.
   *
   * @param done is told the result, 0 or more or -errno, once, in a later {@linkcode CallThreads.collect}.
   * @returns takes the call back if it has not begun: true, and `done` is not called.
   */
  make(call: Call, acting: Acting, done: (result: number) => void): () => boolean;
  /** Tells the results that are there. To be called when the session is woken. */
  collect(): void;
  /** Waits until all calls are over, or so many milliseconds, when no session is there to be woken any more. */
  settle(ms: number): Promise<void>;
  /** Ends the threads; what they are at is not waited for. */
  end(): void;
}

/** File systems whose calls may wait for somebody else (linux/magic.h, and those of file systems outside of Linux). */
const FOREIGN: ReadonlySet<bigint> = new Set([
  0x6969n, // NFS
  0xff534d42n, // CIFS
  0xfe534d42n, // SMB
  0x65735546n, // FUSE, whoever serves it
  0x00c36400n, // Ceph
  0x01021997n, // 9p
  0x5346414fn, // AFS
  0x6b414653n, // AFS of Linux
  0x73757245n, // Coda
  0x0bd00bd0n, // Lustre
  0x47504653n, // GPFS
  0x7461636fn, // OCFS2
  0x01161970n, // GFS2
  0x786f4256n, // VirtualBox's shared folders
  0xbacbacbcn, // VMware's shared folders
]);

/** Whether calls on a file system may wait for somebody else. Asks nobody but the kernel, where it can. */
export function mayHang(fd: number): boolean {
  const of = new StatfsBuffer();
  return statfs(fd, of) >= 0 && FOREIGN.has(of.type);
}

/** One operation. */
interface Task extends Held {
  readonly request: Request;
  steps: Steps<void> | undefined;
  acting: Acting;
  /** Takes back the call under way. */
  takeBack: () => boolean;
  /** Its caller has been answered. */
  abandoned: boolean;
}

/** What tasks tell. */
export interface TaskEffects {
  /** An operation failed, or its request is unanswered although it is over. Never throws. */
  failed(request: Request, error: unknown): void;
}

/** The operations under way of one mount. Single-threaded, on the mount's worker. */
export class Tasks {
  readonly #context: Context;
  readonly #threads: CallThreads;
  readonly #effects: TaskEffects;
  readonly #tasks = new Map<bigint, Task>();
  readonly #gate: Gate;

  /** From now on the context's operations are concurrent. */
  constructor(context: Context, threads: CallThreads, effects: TaskEffects) {
    this.#context = context;
    this.#threads = threads;
    this.#effects = effects;
    // Once it is on its way a change may take effect: only who is killed, and will not look, is told that it was interrupted.
    this.#gate = new Gate({
      serve: () => {},
      ended: (request) => this.#abandon(request),
    }, "fatal");
    context.caller.self();
    context.caller.noting = true;
    context.concurrent = true;
  }

  /** Begins to serve a request. Returns when it has been answered, or waits for a call. */
  start(request: Request, operation: Operation): void {
    request.detach(); // what a call refers to must stay
    request.contend();
    const task: Task = {
      request,
      steps: undefined,
      acting: ROOT_ACTING,
      takeBack: () => false,
      abandoned: false,
      nodes: [],
      descriptors: [],
    };
    this.#tasks.set(request.unique, task);
    this.#proceed(task, () => {
      task.steps = operation(request) ?? undefined;
      return task.steps?.next() ?? { done: true, value: undefined };
    });
  }

  /** A signal woke the caller of a request: if it is killed, it is answered. */
  interrupt(request: Request): void {
    this.#gate.interrupt(request);
  }

  /** Answers all requests whose operations are under way. Returns how many there were. */
  fail(errno: number): number {
    return this.#gate.fail(errno);
  }

  /** Goes on with the operations whose calls are over. To be called when the session is woken. */
  collect(): void {
    this.#threads.collect();
  }

  /** Closes descriptors, and waits so many milliseconds for that and for calls under way, when the session is over. */
  async settle(descriptors: readonly number[], ms: number): Promise<void> {
    this.#close(descriptors);
    await this.#threads.settle(ms);
  }

  /** Ends the threads. */
  end(): void {
    this.#gate.close();
    this.#threads.end();
  }

  #proceed(task: Task, next: () => IteratorResult<Step, void>): void {
    const { caller, holds } = this.#context;
    holds.current = task;
    caller.acting = task.acting;
    try {
      for (let step = next(), result = 0; !step.done; step = task.steps!.next(result)) {
        if (typeof step.value === "number") {
          result = step.value;
          continue;
        }
        result = -Errno.EINTR;
        if (task.request.state !== "answered" && !this.#gate.holds(task.request)) {
          this.#gate.park(task.request);
        }
        if (!task.abandoned || step.value.name === "close") return this.#wait(task, step.value);
      }
      if (task.request.state !== "answered") throw new Error("the operation did not answer its request");
    } catch (error) {
      this.#effects.failed(task.request, error);
    } finally {
      task.acting = caller.acting;
      holds.current = undefined;
    }
    this.#finish(task);
  }

  #wait(task: Task, asked: Call): void {
    const { call, deliver } = privately(asked);
    const takeBack = this.#threads.make(call, this.#context.caller.acting, (result) => {
      task.takeBack = () => false;
      this.#proceed(task, () => {
        deliver();
        return task.steps!.next(result);
      });
    });
    if (call.name !== "close") task.takeBack = takeBack;
  }

  #close(descriptors: readonly number[]): void {
    for (const fd of descriptors) this.#threads.make(pending("close", fd), ROOT_ACTING, () => {});
  }

  /** A request has been answered while its operation is under way. */
  #abandon(request: Request): void {
    const task = this.#tasks.get(request.unique)!;
    task.abandoned = true;
    if (task.takeBack()) this.#proceed(task, () => task.steps!.next(-Errno.EINTR));
  }

  #finish(task: Task): void {
    const { nodes, holds } = this.#context;
    this.#gate.leave(task.request);
    this.#tasks.delete(task.request.unique);
    for (const node of task.nodes) nodes.letGo(node);
    this.#close(holds.release(task));
  }
}
