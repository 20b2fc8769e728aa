/**
 * Which tasks share a descriptor table, a memory, or their directories. Comparing every pair would take seconds with a thousand processes, so
 * tasks are kept in the order that kcmp(2) gives to what they have.
 *
 * @module
 */
import { kcmp } from "../ffi/sys/pidfd.ts";

/** Tasks of which no two have the same thing of one kind. */
export class DistinctTasks {
  readonly #type: number;
  readonly #tids: number[] = [];

  /** @param type KCMP_FILES, KCMP_FS or KCMP_VM */
  constructor(type: number) {
    this.#type = type;
  }

  /** Adds a task, unless one that was added has the same thing. Tells whether it was added; one that has ended is not. */
  add(tid: number): boolean {
    let low = 0;
    for (let high = this.#tids.length; low < high;) {
      const middle = (low + high) >> 1;
      const order = kcmp(tid, this.#tids[middle]!, this.#type);
      if (order === 0) return false;
      if (order < 0) return this.#addAfterDeath(tid, middle);
      if (order === 1) high = middle;
      else low = middle + 1;
    }
    this.#tids.splice(low, 0, tid);
    return true;
  }

  /** One of the two that could not be compared has ended. */
  #addAfterDeath(tid: number, other: number): boolean {
    if (kcmp(tid, tid, this.#type) !== 0) return false;
    this.#tids.splice(other, 1);
    return this.add(tid);
  }
}
