/**
 * Lets only so many workers load at a time. Loading one is work for a core and takes memory; what a worker does afterwards may take
 * for ever and counts no more.
 *
 * @module
 */

/** A number of places. */
export class StartGate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** Makes a gate with so many places. */
  constructor(places: number) {
    this.#free = places;
  }

  /** Resolves when there is a place, to the function that gives it back; calling that again does nothing. */
  async enter(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}
