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
import { TaskGone } from "./remote_call.ts";
import type { Replacements } from "./replacements.ts";
import { makeRoom, neededRoom, restoreRoom } from "./room.ts";
import { sideBySide, type Work } from "./side_by_side.ts";
import type { Tracee } from "./tracee.ts";
import type { Obstacle } from "./types.ts";

/**
 * How many processes are worked on at a time where nothing of them has changed, and where they are between source and target: as many of them
 * may stand in between when the tracer is killed.
 */
const AT_ONCE = { apart: 64, between: Math.min(Math.max(navigator.hardwareConcurrency, 2), 8) };

/** How long leases may keep processes standing still that somebody else's open file is in the way of, in milliseconds. */
const LEASE_MS = 500;

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

  /** Does something in every process that is still there, in some at a time. */
  #each(atOnce: number, act: (part: Part, pid: number) => Work): void {
    const there = [...this.#parts.values()].filter(({ gone }) => !gone);
    sideBySide(there.values().map((part) => unlessGone(part, act(part, part.actor.task.tgid))), atOnce);
  }

  /** Makes everything that is needed. @throws {RemoteError}, {SysError}; `undo` takes it away again */
  prepare(): void {
    const { next } = this.#replacements;
    const [step, inventory] = [this.#step, this.#inventory];
    this.#each(AT_ONCE.apart, function* (part, pid) {
      step("enter", pid);
      const { actor, descriptors, mappings, directories, table } = part;
      const fds = new Set([...(mappings?.needs ?? []), ...(directories?.needs ?? [])]);
      if (descriptors !== undefined) {
        for (const { description } of table!.holders) {
          const fd = next.get(description);
          if (fd !== undefined) fds.add(fd); // the others are made, and brought, when all tasks can act
        }
      }
      if (table !== undefined) part.limit = makeRoom(pid, neededRoom(inventory, table));
      actor.enter();
      yield* actor.bring(fds);
      step("map", pid);
      if (mappings !== undefined) yield* mappings.prepare();
    });
  }

  /** Puts everything in place. @throws {RemoteError}, {SysError}; `undo` puts it back */
  commit(): void {
    const { next } = this.#replacements;
    const step = this.#step;
    this.#each(AT_ONCE.between, function* (part, pid) {
      step("mappings", pid);
      if (part.mappings !== undefined) {
        part.begun.push("mappings");
        yield* part.mappings.commit();
      }
      step("directories", pid);
      if (part.directories !== undefined) {
        part.begun.push("directories");
        yield* part.directories.commit();
      }
      step("descriptors", pid);
      if (part.descriptors !== undefined) {
        part.begun.push("descriptors");
        yield* part.descriptors.install((description) => next.get(description)!);
      }
    });
    this.#step("committed", 0);
  }

  /** Leaves every process as it was before `prepare`. @throws {UndoError} */
  undo(): void {
    const errors: unknown[] = [];
    const shared = new Set<Description>();
    const until = performance.now() + LEASE_MS;
    const undoPart = (part: Part) => this.#undoPart(part, shared, until);
    // One after the other.
    this.#each(1, function* (part) {
      try {
        yield* undoPart(part);
      } catch (error) {
        if (error instanceof TaskGone) throw error;
        errors.push(error);
      }
    });
    if (errors.length > 0) throw new UndoError(errors, "a swap could not be undone");
  }

  *#undoPart(
    { actor, begun, descriptors, directories, mappings, table }: Part,
    shared: Set<Description>,
    until: number,
  ): Work {
    if (!actor.task.entered) return;
    if (begun.includes("descriptors")) {
      const closing = actor.closeBrought(descriptors!.keep);
      if (closing.length > 0) yield* actor.task.batch(closing);
      const { old } = this.#replacements;
      yield* actor.bring(table!.holders.map(({ description }) => old.get(description)!));
      const back = new DescriptorsMove(actor, table!, this.#owners, shared);
      back.keep = descriptors!.keep;
      yield* back.install((description) => old.get(description)!, true);
      back.takeLeases(until);
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
    this.#each(AT_ONCE.apart, function* ({ mappings, memory }, pid) {
      const result = mappings === undefined ? 0 : yield* mappings.finish();
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
    const until = performance.now() + LEASE_MS;
    // deno-lint-ignore require-yield -- one call at a time, each of which is waited for
    this.#each(1, function* ({ descriptors }, pid) {
      for (const fd of descriptors?.takeLeases(until) ?? []) {
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
    const parts = [...this.#parts.values()];
    const works = parts.map((part) => {
      const locks = part.descriptors === undefined ? undefined : () => part.descriptors!.takeLocks();
      return unlessGone(part, part.actor.leave(locks));
    });
    sideBySide(works, AT_ONCE.apart);
    for (const { limit, actor } of parts) if (limit !== undefined) restoreRoom(actor.task.tgid, limit);
  }
}

/** Work in a process, which may end meanwhile: nothing is left to be done in it then. */
function* unlessGone(part: Part, work: Work): Work {
  try {
    yield* work;
  } catch (error) {
    if (!(error instanceof TaskGone)) throw error;
    part.gone = true;
  }
}
