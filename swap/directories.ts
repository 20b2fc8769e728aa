/**
 * Moving the root and the working directory of the tasks that share them.
 *
 * @module
 */
import { NR } from "../ffi/sys/arch.ts";
import type { Actor } from "./actor.ts";
import { complete, type Work } from "./side_by_side.ts";
import type { Call } from "./remote_call.ts";

/** A pair of directories, by descriptors of ours. */
export interface DirectoryPair {
  /** The root; undefined where it is not to be changed. */
  readonly root: number | undefined;
  /** The working directory; changing the root needs it in any case. */
  readonly cwd: number;
}

/** One such record on the way. */
export class DirectoriesMove {
  readonly #actor: Actor;
  readonly #next: DirectoryPair;
  readonly #before: DirectoryPair;

  constructor(actor: Actor, next: DirectoryPair, before: DirectoryPair) {
    this.#actor = actor;
    this.#next = next;
    this.#before = before;
  }

  /** Descriptors that have to be brought to the task, to move and to undo it. */
  get needs(): number[] {
    const all = [this.#next.root, this.#next.cwd, this.#before.root, this.#before.cwd];
    return all.filter((fd) => fd !== undefined);
  }

  /** Changes them. @throws {RemoteError}, {TaskGone} */
  commit(): Work {
    return this.#go(this.#next);
  }

  /** Changes them back. */
  undo(): void {
    complete(this.#go(this.#before));
  }

  *#go({ root, cwd }: DirectoryPair): Work {
    const { task } = this.#actor;
    const calls: Call[] = [];
    if (root !== undefined) {
      const room = this.#actor.arguments();
      const here = room.add(2, (view) => view.setUint8(0, 0x2e));
      room.write(task);
      calls.push([NR.fchdir, this.#actor.numberOf(root)], [NR.chroot, here]);
    }
    calls.push([NR.fchdir, this.#actor.numberOf(cwd)]);
    yield* task.batch(calls);
  }
}
