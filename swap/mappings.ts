/**
 * Moving the mappings of one memory, and its executable.
 *
 * New mappings are made elsewhere, with the pages that the old ones have of their own. Then, all tasks being stopped, the old ones are moved
 * aside and the new ones in their place: that can be undone to the last page. When nothing is to be undone any more, the old ones go.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { NR } from "../ffi/sys/arch.ts";
import { O_RDONLY, O_RDWR } from "../ffi/sys/constants.ts";
import type { Actor } from "./actor.ts";
import type { Mapping, Memory } from "./inventory.ts";
import { eachOwnRange } from "./own_pages.ts";
import { complete, type Work } from "./side_by_side.ts";
import { openTask, readMemory, writeMemory } from "./task_memory.ts";
import { type Call, RemoteError } from "./remote_call.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_NORESERVE = 0x4000;
const MAP_ANONYMOUS = 0x20;
const MREMAP_MAYMOVE_FIXED = 3;
const MLOCK_ONFAULT = 1;
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;

/** What madvise(2) is to be told, by the flag that smaps shows. */
const ADVICE: readonly (readonly [flag: string, advice: number])[] = [
  ["rr", 1], // MADV_RANDOM
  ["sr", 2], // MADV_SEQUENTIAL
  ["dc", 10], // MADV_DONTFORK
  ["mg", 12], // MADV_MERGEABLE
  ["hg", 14], // MADV_HUGEPAGE
  ["nh", 15], // MADV_NOHUGEPAGE
  ["dd", 16], // MADV_DONTDUMP
];

/** One memory's mappings on the way. */
export class MappingsMove {
  readonly #actor: Actor;
  readonly #memory: Memory;
  readonly #fds: readonly number[];
  readonly #exeFd: number | undefined;
  /** Where the new mappings are made, and then the old ones are kept. */
  #addresses: number[] = [];
  #aside = 0;
  #asideSize = 0;
  /** How many of the calls of `commit` have been made. */
  #committed = 0;

  /**
   * @param fds of each mapping, the file on the target
   * @param exeFd the executable on the target, if it is to be changed
   */
  constructor(actor: Actor, memory: Memory, fds: readonly number[], exeFd: number | undefined) {
    this.#actor = actor;
    this.#memory = memory;
    this.#fds = fds;
    this.#exeFd = exeFd;
  }

  /** Descriptors that have to be brought to the task. */
  get needs(): number[] {
    return this.#exeFd === undefined ? [...this.#fds] : [...this.#fds, this.#exeFd];
  }

  /** Those of them that are needed until the end. */
  get keeps(): number[] {
    return this.#exeFd === undefined ? [] : [this.#exeFd];
  }

  /** Makes the new mappings where they are in nobody's way. @throws {RemoteError}, {SysError}: nothing has changed, see `cancel` */
  *prepare(): Work {
    const { mappings } = this.#memory;
    if (mappings.length === 0) return;
    const { task } = this.#actor;
    this.#asideSize = mappings.reduce((sum, { area }) => sum + area.end - area.start, 0);
    const calls: Call[] = mappings.map((mapping, i) => this.#mapCall(mapping, this.#fds[i]!));
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    calls.push([NR.mmap, 0, this.#asideSize, 0, flags, -1, 0]);
    const results = (yield* task.batch(calls)).map(Number);
    this.#aside = results.pop()!;
    this.#addresses = results;
    this.#copyPages();
    const finish: Call[] = [];
    mappings.forEach((mapping, i) => finish.push(...this.#finishCalls(mapping, this.#addresses[i]!)));
    if (finish.length > 0) yield* task.batch(finish);
  }

  #mapCall({ area, details }: Mapping, fd: number): Call {
    const kind = area.shared ? MAP_SHARED : MAP_PRIVATE;
    const reserve = details.vmFlags.has("nr") ? MAP_NORESERVE : 0;
    const size = area.end - area.start;
    return [
      NR.mmap,
      0,
      size,
      startProtection(area, details.vmFlags),
      kind | reserve,
      this.#actor.numberOf(fd),
      area.offset,
    ];
  }

  #finishCalls({ area, details }: Mapping, address: number): Call[] {
    const { vmFlags, protectionKey } = details;
    const size = area.end - area.start;
    const calls: Call[] = [];
    const wanted = protection(area);
    // The kernel itself keeps a key for what may only be executed, which nobody may ask for by number.
    if (protectionKey !== 0 && wanted !== PROT_EXEC) {
      calls.push([NR.pkey_mprotect, address, size, wanted, protectionKey]);
    } else if (startProtection(area, vmFlags) !== wanted) calls.push([NR.mprotect, address, size, wanted]);
    for (const [flag, advice] of ADVICE) {
      if (vmFlags.has(flag)) calls.push([NR.madvise, address, size, advice]);
    }
    return calls;
  }

  /** Copies what private mappings have of their own. */
  #copyPages(): void {
    const { task } = this.#actor;
    const moved = this.#memory.mappings.map((mapping, i) => ({ mapping, to: this.#addresses[i]! }));
    const own = moved.filter(({ mapping }) => !mapping.area.shared);
    if (own.length === 0) return;
    using memory = openTask(task.tid, "mem", O_RDWR);
    using pagemap = openTask(task.tid, "pagemap", O_RDONLY);
    for (const { mapping: { area }, to } of own) {
      eachOwnRange(pagemap.raw, area.start, area.end, COPY, (start, end) => {
        const part = copied.subarray(0, end - start);
        readMemory(task.tid, memory.raw, part, start);
        writeMemory(task.tid, memory.raw, part, to + (start - area.start));
      });
    }
  }

  /** Puts the new mappings in place. @throws {RemoteError}, {TaskGone}; `undo` takes back what was done */
  *commit(): Work {
    const { mappings } = this.#memory;
    const calls: Call[] = [];
    let aside = this.#aside;
    mappings.forEach(({ area: { start, end } }, i) => {
      const size = end - start;
      calls.push(
        [NR.mremap, start, size, size, MREMAP_MAYMOVE_FIXED, aside],
        [NR.mremap, this.#addresses[i]!, size, size, MREMAP_MAYMOVE_FIXED, start],
      );
      aside += size;
    });
    if (calls.length === 0) return;
    try {
      yield* this.#actor.task.batch(calls);
      this.#committed = calls.length;
    } catch (error) {
      if (error instanceof RemoteError) this.#committed = error.index;
      throw error;
    }
  }

  /** Puts the old mappings back. */
  undo(): void {
    const calls: Call[] = [];
    let aside = this.#aside;
    this.#memory.mappings.forEach(({ area: { start, end } }, i) => {
      const size = end - start;
      const isMoved = this.#committed > 2 * i;
      const isReplaced = this.#committed > 2 * i + 1;
      if (isReplaced) {
        calls.push([NR.munmap, start, size]);
        this.#addresses[i] = 0;
      }
      if (isMoved) calls.push([NR.mremap, aside, size, size, MREMAP_MAYMOVE_FIXED, start]);
      aside += size;
    });
    this.#committed = 0;
    if (calls.length > 0) complete(this.#actor.task.batch(calls));
  }

  /** Takes away what `prepare` made. */
  cancel(): void {
    const calls: Call[] = [];
    this.#memory.mappings.forEach(({ area: { start, end } }, i) => {
      const address = this.#addresses[i] ?? 0;
      if (address !== 0) calls.push([NR.munmap, address, end - start]);
    });
    if (this.#aside !== 0) calls.push([NR.munmap, this.#aside, this.#asideSize]);
    this.#addresses = [];
    this.#aside = 0;
    if (calls.length > 0) complete(this.#actor.task.batch(calls));
  }

  /**
   * Lets the old mappings go, and changes the executable. Nothing can be undone after it.
   *
   * @returns why the executable could not be changed, as a negated error number; 0
   */
  *finish(): Work<number> {
    const { task } = this.#actor;
    if (this.#aside !== 0) yield* task.batch([[NR.munmap, this.#aside, this.#asideSize]]);
    this.#aside = 0;
    for (const { area: { start, end }, details: { vmFlags } } of this.#memory.mappings) {
      if (!vmFlags.has("lo")) continue;
      // It says ENOMEM when not every page can be made present, as behind the end of the file; locked they are nevertheless.
      task.call(NR.mlock2, start, end - start, vmFlags.has("lf") ? MLOCK_ONFAULT : 0);
    }
    return this.#exeFd === undefined ? 0 : this.#changeExe(this.#exeFd);
  }

  #changeExe(exeFd: number): number {
    const { addresses } = this.#memory;
    if (addresses === undefined) return -Errno.ESRCH;
    const { task } = this.#actor;
    const brk = task.call(NR.brk, 0);
    const room = this.#actor.arguments();
    const map = room.add(104, (view) => {
      const { startCode, endCode, startData, endData, startBrk, startStack, argStart, argEnd } = addresses;
      const { envStart, envEnd } = addresses;
      [startCode, endCode, startData, endData, startBrk, brk, startStack, argStart, argEnd, envStart, envEnd]
        .forEach((value, i) => view.setBigUint64(i * 8, value, true));
      view.setUint32(100, this.#actor.numberOf(exeFd), true);
    });
    room.write(task);
    return Number(task.call(NR.prctl, PR_SET_MM, PR_SET_MM_MAP, map, 104, 0));
  }
}

function protection(area: Mapping["area"]): number {
  return (area.read ? PROT_READ : 0) | (area.write ? PROT_WRITE : 0) | (area.exec ? PROT_EXEC : 0);
}

/** A private mapping that once was writable stays accounted for, which only one that begins writable is. */
function startProtection(area: Mapping["area"], vmFlags: ReadonlySet<string>): number {
  const wanted = protection(area);
  return !area.shared && vmFlags.has("ac") ? PROT_READ | PROT_WRITE : wanted;
}

const COPY = 256 * 1024;
const copied = new Uint8Array(new ArrayBuffer(COPY));
