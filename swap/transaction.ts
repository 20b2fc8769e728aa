/**
 * The change itself: everything that was collected is moved, or nothing.
 *
 * `prepare` makes in each process what is needed, where it is in nobody's way. `commit` puts it in place. Until `finish`, `undo` leaves
 * every process as it was. A process that is killed meanwhile drops out: nothing of it is left to be moved.
 *
 * @module
 */
import { SysError } from "../ffi/errno.ts";
import type { Rlimit } from "../ffi/sys/process.ts";
import type { Actor } from "./actor.ts";
import { DescriptorsMove, type Owner } from "./descriptors.ts";
import { DirectoriesMove } from "./directories.ts";
import { carryNextWatch } from "./inotify.ts";
import type { Description, Inventory, Memory, Table } from "./inventory.ts";
import { MappingsMove } from "./mappings.ts";
import type { Replacements } from "./replacements.ts";
import { makeRoom, neededRoom, restoreRoom } from "./room.ts";
import { TaskGone, type Tracee } from "./tracee.ts";
import type { Obstacle } from "./types.ts";

/** Told of every step before it is made: tests make one fail here. */
export type Step = (name: string, pid: number) => void;

/** What one task does for its process. */
interface Part {
  readonly actor: Actor;
  table?: Table;
  descriptors?: DescriptorsMove;
  mappings?: MappingsMove;
  memory?: Memory;
  directories?: DirectoriesMove;
  limit?: Rlimit | undefined;
  /** What has been begun and would have to be undone. */
  begun: ("mappings" | "directories" | "descriptors")[];
  gone: boolean;
}

/** Undoing failed, so that processes may be half moved. It takes a kernel that refuses what it has just allowed. */
export class UndoError extends AggregateError {
  override readonly name = "UndoError";
}

/** One swap's change. */
export class Transaction {
  readonly #parts = new Map<Tracee, Part>();
  readonly #inventory: Inventory;
  readonly #replacements: Replacements;
  readonly #step: Step;
  readonly #owners: ReadonlyMap<Description, Owner>;

  /**
   * @param actorOf the actor of a task, owned by the caller
   * @param owners who is signalled for descriptions, for those that have one
   */
  constructor(
    inventory: Inventory,
    replacements: Replacements,
    actorOf: (task: Tracee) => Actor,
    owners: ReadonlyMap<Description, Owner>,
    step: Step,
  ) {
    this.#inventory = inventory;
    this.#replacements = replacements;
    this.#step = step;
    this.#owners = owners;
    const part = (task: Tracee): Part => {
      let known = this.#parts.get(task);
      if (known === undefined) {
        this.#parts.set(task, known = { actor: actorOf(task), begun: [], gone: false });
      }
      return known;
    };
    const shared = new Set<Description>();
    for (const memory of inventory.memories) {
      const one = part(memory.task);
      one.memory = memory;
      const fds = memory.mappings.map((mapping) => replacements.files.get(mapping)!);
      const exe = memory.exe === undefined ? undefined : replacements.executables.get(memory.exe);
      one.mappings = new MappingsMove(one.actor, memory, fds, exe);
    }
    for (const record of inventory.directories) {
      const one = part(record.task);
      const { next, before } = replacements.directories.get(record)!;
      one.directories = new DirectoriesMove(one.actor, next, before);
    }
    for (const table of inventory.tables) {
      const one = part(table.task);
      one.table = table;
      one.descriptors = new DescriptorsMove(one.actor, table, owners, shared);
      one.descriptors.keep = new Set([...(one.mappings?.keeps ?? []), ...(one.directories?.needs ?? [])]);
    }
  }

  /** Does something in every process that is still there. */
  #each(act: (part: Part, pid: number) => void): void {
    for (const part of this.#parts.values()) {
      if (part.gone) continue;
      try {
        act(part, part.actor.task.tgid);
      } catch (error) {
        if (!(error instanceof TaskGone)) throw error;
        part.gone = true;
      }
    }
  }

  /** Makes everything that is needed. @throws {RemoteError}, {SysError}; `undo` takes it away again */
  prepare(): void {
    this.#each((part, pid) => {
      this.#step("enter", pid);
      const { actor, descriptors, mappings, directories, table } = part;
      const fds = new Set([...(mappings?.needs ?? []), ...(directories?.needs ?? [])]);
      if (descriptors !== undefined) {
        for (const { description } of table!.holders) {
          const fd = this.#replacements.next.get(description);
          if (fd !== undefined) fds.add(fd); // the others are made, and brought, when all tasks can act
        }
      }
      if (table !== undefined) part.limit = makeRoom(pid, neededRoom(this.#inventory, table));
      actor.enter();
      actor.bring(fds);
      this.#step("map", pid);
      mappings?.prepare();
    });
  }

  /** Puts everything in place. @throws {RemoteError}, {SysError}; `undo` puts it back */
  commit(): void {
    this.#each((part, pid) => {
      this.#step("mappings", pid);
      if (part.mappings !== undefined) {
        part.begun.push("mappings");
        part.mappings.commit();
      }
      this.#step("directories", pid);
      if (part.directories !== undefined) {
        part.begun.push("directories");
        part.directories.commit();
      }
      this.#step("descriptors", pid);
      if (part.descriptors !== undefined) {
        part.begun.push("descriptors");
        part.descriptors.install((description) => this.#replacements.next.get(description)!);
      }
    });
    this.#step("committed", 0);
  }

  /** Leaves every process as it was before `prepare`. @throws {UndoError} */
  undo(): void {
    const errors: unknown[] = [];
    const shared = new Set<Description>();
    this.#each((part) => {
      try {
        this.#undoPart(part, shared);
      } catch (error) {
        if (error instanceof TaskGone) throw error;
        errors.push(error);
      }
    });
    if (errors.length > 0) throw new UndoError(errors, "a swap could not be undone");
  }

  #undoPart(
    { actor, begun, descriptors, directories, mappings, table }: Part,
    shared: Set<Description>,
  ): void {
    if (!actor.task.entered) return;
    if (begun.includes("descriptors")) {
      const closing = actor.closeBrought(descriptors!.keep);
      if (closing.length > 0) actor.task.batch(closing);
      const { old } = this.#replacements;
      actor.bring(table!.holders.map(({ description }) => old.get(description)!));
      const back = new DescriptorsMove(actor, table!, this.#owners, shared);
      back.keep = descriptors!.keep;
      back.install((description) => old.get(description)!, true);
      back.takeLeases();
    }
    if (begun.includes("directories")) directories!.undo();
    if (begun.includes("mappings")) mappings!.undo();
    mappings?.cancel();
  }

  /**
   * Lets go of what could still be undone, and does what cannot be undone.
   *
   * @returns what could not be done after all: an executable link, the number of an inotify instance's next watch, a lease
   */
  finish(): Obstacle[] {
    const left: Obstacle[] = [];
    const comm = (pid: number) => this.#inventory.processes.get(pid)?.comm ?? "";
    this.#each(({ mappings, memory }, pid) => {
      const result = mappings?.finish() ?? 0;
      if (result >= 0) return;
      const { message } = new SysError("prctl(PR_SET_MM)", -result);
      const path = memory!.exe === undefined ? {} : { path: memory!.exe.path };
      left.push({ pid, comm: comm(pid), kind: "exe", reason: `could not be changed: ${message}`, ...path });
    });
    this.#carryWatchNumbers(left);
    const hasLease = ({ holders }: Description) =>
      holders.some(({ locks }) => locks.some((lock) => lock.kind === "LEASE"));
    if (!this.#inventory.descriptions.some(hasLease)) return left;
    this.#replacements.releaseOld();
    this.#each(({ descriptors }, pid) => {
      for (const fd of descriptors?.takeLeases() ?? []) {
        const reason = "has a lease that the target does not give";
        left.push({ pid, comm: comm(pid), kind: "lock", fd, reason });
      }
    });
    return left;
  }

  /** Nobody has the old inotify instances any more, so that they can be asked which number would have been next. */
  #carryWatchNumbers(left: Obstacle[]): void {
    const { old, next } = this.#replacements;
    for (const description of this.#inventory.descriptions) {
      if (description.watches.length === 0) continue;
      try {
        carryNextWatch(old.get(description)!, next.get(description)!);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const { table: { pid }, fd } = description.holders[0]!;
        const comm = this.#inventory.processes.get(pid)?.comm ?? "";
        const reason = `gives its next watch a number that it has given before: ${error.message}`;
        left.push({ pid, comm, kind: "inotify", fd, reason });
      }
    }
  }

  /** Leaves all tasks. Does not fail for those that have ended. */
  leave(): void {
    for (const part of this.#parts.values()) {
      try {
        part.actor.leave(() => part.descriptors?.takeLocks());
      } catch (error) {
        if (!(error instanceof TaskGone)) throw error;
      }
      if (part.limit !== undefined) restoreRoom(part.actor.task.tgid, part.limit);
    }
  }
}
