/**
 * Putting descriptions in the place of others in one descriptor table: the new ones for a swap, the old ones to undo it. What hangs on a
 * description or on its descriptor (registrations with epoll, locks, leases, owners) is moved with it.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import {
  F_OFD_SETLK,
  F_RDLCK,
  F_SETFL,
  F_SETLEASE,
  F_SETLK,
  F_SETOWN_EX,
  F_SETSIG,
  F_UNLCK,
  F_WRLCK,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
} from "../ffi/sys/constants.ts";
import type { Actor, Arguments } from "./actor.ts";
import type { Description, Registration, Table } from "./inventory.ts";
import { pause } from "./pause.ts";
import type { LockEntry } from "./procfs/fdinfo.ts";
import type { Work } from "./side_by_side.ts";
import type { Call } from "./remote_call.ts";

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const SETTABLE = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;
/** Of `struct flock`. */
const FLOCK_SIZE = 32;
/** As many descriptors at a time as one batch has room for with what is once for each of them. */
const CHUNK = 64;
/** As many locks or registrations as there is room for at a time. */
const ARGUMENTS_AT_ONCE = 500;

/** What F_SETLEASE answers when somebody else has the file open. */
const IN_USE = -BigInt(Errno.EAGAIN);
/** The time between two attempts, in milliseconds. */
const LOOK_MS = 1;

/** Who is sent a signal for a description, in the numbers of the table's processes. */
export interface Owner {
  /** F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP. */
  readonly type: number;
  /** The task, process or group; 0 for nobody. */
  readonly pid: number;
  /** F_GETSIG; 0 for SIGIO. */
  readonly signal: number;
}

/** One table's descriptors on the way. */
export class DescriptorsMove {
  readonly #actor: Actor;
  readonly #table: Table;
  readonly #owners: ReadonlyMap<Description, Owner>;
  readonly #shared: Set<Description>;

  /**
   * @param owners of those that have one
   * @param shared descriptions whose own locks and owner have been seen to already, by another table; shared by all moves
   */
  constructor(
    actor: Actor,
    table: Table,
    owners: ReadonlyMap<Description, Owner>,
    shared: Set<Description>,
  ) {
    this.#actor = actor;
    this.#table = table;
    this.#owners = owners;
    this.#shared = shared;
  }

  /**
   * Puts other descriptions in place, which have been brought to the task.
   *
   * @param fdOf our descriptor of what is to be in the place of a description
   * @param tolerant whether registrations may be missing or there already: when something half done is undone
   * @throws {RemoteError}, {TaskGone}; what was done is undone by putting the old ones in place
   */
  *install(fdOf: (description: Description) => number, tolerant = false): Work {
    const { holders } = this.#table;
    for (let first = 0; first < holders.length; first += CHUNK) {
      yield* this.#exchange(holders.slice(first, first + CHUNK), fdOf, tolerant);
    }
    // Every close of a file drops the process's POSIX locks on it, so these come when nothing is closed any more.
    const closing = this.#actor.closeBrought(this.keep);
    if (closing.length > 0) yield* this.#actor.task.batch(closing);
    for (let first = 0; first < holders.length; first += CHUNK) {
      yield* this.#attach(holders.slice(first, first + CHUNK));
    }
  }

  /** Our descriptors that stay in the task. */
  keep: ReadonlySet<number> = new Set();

  *#exchange(
    holders: Table["holders"],
    fdOf: (description: Description) => number,
    tolerant: boolean,
  ): Work {
    const room = this.#actor.arguments();
    const numbers = new Set(holders.map(({ fd }) => fd));
    const registrations = this.#table.registrations.filter(({ target }) => numbers.has(target.fd));
    const unregister: Call[] = registrations.map((
      one,
    ) => [NR.epoll_ctl, one.epoll, EPOLL_CTL_DEL, one.target.fd, 0]);
    const calls: Call[] = [];
    const locks: HeldLock[] = [];
    for (const { fd, description, closeOnExec } of holders) {
      if (!this.#shared.has(description)) {
        this.#shared.add(description);
        const held = description.holders.flatMap((holder) => holder.locks).map((lock) => ({ fd, lock }));
        calls.push(...unlockCalls(fd, held, room));
        locks.push(...held.filter(({ lock: { kind } }) => kind === "FLOCK" || kind === "OFDLCK"));
      }
      const number = this.#actor.numberOf(fdOf(description));
      calls.push([NR.dup3, number, fd, closeOnExec ? O_CLOEXEC : 0]);
    }
    room.write(this.#actor.task);
    if (tolerant) this.#try(unregister);
    yield* this.#actor.task.batch(tolerant ? calls : [...unregister, ...calls]);
    yield* this.#lock(locks);
    yield* this.#register(registrations, tolerant);
  }

  *#register(registrations: readonly Registration[], tolerant: boolean): Work {
    for (let first = 0; first < registrations.length; first += ARGUMENTS_AT_ONCE) {
      const room = this.#actor.arguments();
      const calls = registrations.slice(first, first + ARGUMENTS_AT_ONCE).map((one) =>
        registerCall(one, room)
      );
      room.write(this.#actor.task);
      if (tolerant) this.#try(calls);
      else yield* this.#actor.task.batch(calls);
    }
  }

  #try(calls: readonly Call[]): void {
    for (const [number, ...args] of calls) this.#actor.task.call(number, ...args);
  }

  /** @param tolerant whether those that somebody else has taken meanwhile are done without */
  *#lock(locks: readonly HeldLock[], tolerant = false): Work {
    for (let first = 0; first < locks.length; first += ARGUMENTS_AT_ONCE) {
      const room = this.#actor.arguments();
      const calls = locks.slice(first, first + ARGUMENTS_AT_ONCE).map((one) => lockCall(one, room));
      room.write(this.#actor.task);
      if (tolerant) this.#try(calls);
      else yield* this.#actor.task.batch(calls);
    }
  }

  /** What needs the descriptions in place: locks of the process, owners, leases. */
  *#attach(holders: Table["holders"]): Work {
    yield* this.#lock(this.#posixLocks(holders));
    const room = this.#actor.arguments();
    const calls: Call[] = [];
    for (const { fd, description } of holders) {
      if (description.holders[0]!.table !== this.#table || description.holders[0]!.fd !== fd) continue;
      const owner = this.#owners.get(description);
      if (owner !== undefined) calls.push(...ownerCalls(fd, description, owner, room));
    }
    if (calls.length === 0) return;
    room.write(this.#actor.task);
    yield* this.#actor.task.batch(calls);
  }

  #posixLocks(holders: Table["holders"]): HeldLock[] {
    return holders.flatMap(({ fd, description }) => {
      const holder = description.holders.find((one) => one.table === this.#table && one.fd === fd);
      return (holder?.locks ?? []).filter(({ kind }) => kind === "POSIX").map((lock) => ({ fd, lock }));
    });
  }

  /**
   * Takes the process's locks again, when descriptors were closed that may have been of the same files: source and target can be one file
   * system. Takes none that is there already.
   */
  takeLocks(): Work {
    return this.#lock(this.#posixLocks(this.#table.holders), true);
  }

  /**
   * Takes leases again, which nobody else may have the file open for: to be called when the old descriptions are gone. The source's server may
   * have had it open for them, and learns of their end some time later, which nothing tells.
   *
   * @param until performance.now() of when a lease that is refused for that is given up
   * @returns descriptors whose leases were refused
   */
  takeLeases(until: number): number[] {
    const refused: number[] = [];
    for (const { fd, description } of this.#table.holders) {
      const holder = description.holders.find((one) => one.table === this.#table && one.fd === fd);
      const lease = holder?.locks.find((lock) => lock.kind === "LEASE");
      if (lease === undefined || description.holders[0] !== holder) continue;
      const type = lease.type === "WRITE" ? F_WRLCK : F_RDLCK;
      let result: bigint;
      while ((result = this.#actor.task.call(NR.fcntl, fd, F_SETLEASE, type)) === IN_USE) {
        if (performance.now() > until) break;
        pause(LOOK_MS);
      }
      if (result < 0n) refused.push(fd);
      const owner = this.#owners.get(description);
      if (owner === undefined) continue;
      const room = this.#actor.arguments();
      const calls = ownerCalls(fd, description, owner, room);
      room.write(this.#actor.task);
      this.#try(calls);
    }
    return refused;
  }
}

function registerCall({ epoll, target }: Registration, room: Arguments): Call {
  // struct epoll_event is packed on x86_64 and is not elsewhere.
  const packed = Deno.build.arch === "x86_64";
  const event = room.add(16, (view) => {
    view.setUint32(0, target.events, true);
    view.setBigUint64(packed ? 4 : 8, target.data, true);
  });
  return [NR.epoll_ctl, epoll, EPOLL_CTL_ADD, target.fd, event];
}

/** A lock, and a descriptor of what it is on. */
interface HeldLock {
  readonly fd: number;
  readonly lock: LockEntry;
}

/** Gives up what belongs to a description: on one and the same file, the old one's would be in the way of the new one's. */
function unlockCalls(fd: number, held: readonly HeldLock[], room: Arguments): Call[] {
  const kinds = new Set(held.map(({ lock: { kind } }) => kind));
  const calls: Call[] = [];
  if (kinds.has("FLOCK")) calls.push([NR.flock, fd, LOCK_UN]);
  if (kinds.has("OFDLCK")) calls.push([NR.fcntl, fd, F_OFD_SETLK, flock(0n, undefined, F_UNLCK, room)]);
  if (kinds.has("LEASE")) calls.push([NR.fcntl, fd, F_SETLEASE, F_UNLCK]);
  return calls;
}

function lockCall({ fd, lock }: HeldLock, room: Arguments): Call {
  const { kind, start, end } = lock;
  if (kind === "FLOCK") return [NR.flock, fd, (lock.type === "WRITE" ? LOCK_EX : LOCK_SH) | LOCK_NB];
  const type = lock.type === "WRITE" ? F_WRLCK : F_RDLCK;
  return [NR.fcntl, fd, kind === "POSIX" ? F_SETLK : F_OFD_SETLK, flock(start, end, type, room)];
}

/** `struct flock`: type@0, whence@2, start@8, len@16, pid@24. */
function flock(start: bigint, end: bigint | undefined, type: number, room: Arguments): number {
  return room.add(FLOCK_SIZE, (view) => {
    view.setInt16(0, type, true);
    view.setBigInt64(8, start, true);
    view.setBigInt64(16, end === undefined ? 0n : end - start + 1n, true);
  });
}

function ownerCalls(fd: number, { flags }: Description, owner: Owner, room: Arguments): Call[] {
  const calls: Call[] = [];
  if (owner.pid !== 0) {
    const address = room.add(8, (view) => {
      view.setInt32(0, owner.type, true);
      view.setInt32(4, owner.pid, true);
    });
    calls.push([NR.fcntl, fd, F_SETOWN_EX, address]);
  }
  if (owner.signal !== 0) calls.push([NR.fcntl, fd, F_SETSIG, owner.signal]);
  if ((flags & O_ASYNC) !== 0) calls.push([NR.fcntl, fd, F_SETFL, flags & SETTABLE]);
  return calls;
}
