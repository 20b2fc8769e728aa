/**
 * What operations hold that wait on other threads: a descriptor that one of them uses is not closed, since its number would be given to
 * another file, and a node that one of them is about is not let go. Where operations are carried out one after the other, nothing is held.
 *
 * @module
 */
import type { Node } from "./node.ts";

/** What one operation holds. */
export interface Held {
  /** Nodes, once for each time. */
  readonly nodes: Node[];
  /** Descriptors, once for each time. */
  readonly descriptors: number[];
}

/** What the operations of one mount hold. Single-threaded, on the mount's worker. */
export class Holds {
  /** What the operation at hand holds; undefined when no other one can come in between. */
  current: Held | undefined;
  readonly #descriptors = new Map<number, number>(); // how often each is held
  readonly #due = new Set<number>();

  /** Holds a descriptor for the operation at hand; hands it, or -errno, through. */
  descriptor(fd: number): number {
    if (this.current === undefined || fd < 0) return fd;
    this.current.descriptors.push(fd);
    this.#descriptors.set(fd, (this.#descriptors.get(fd) ?? 0) + 1);
    return fd;
  }

  /** Whether a descriptor that is in nobody's table any more may be closed now; else {@linkcode Holds.release} says when. */
  mayClose(fd: number): boolean {
    if (!this.#descriptors.has(fd)) return true;
    this.#due.add(fd);
    return false;
  }

  /** Ends an operation's hold on descriptors. Returns those that are to be closed now. */
  release({ descriptors }: Held): number[] {
    const due: number[] = [];
    for (const fd of descriptors) {
      const count = this.#descriptors.get(fd)! - 1;
      if (count > 0) this.#descriptors.set(fd, count);
      else {
        this.#descriptors.delete(fd);
        if (this.#due.delete(fd)) due.push(fd);
      }
    }
    return due;
  }
}
