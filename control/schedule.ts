/**
 * The order of requests: one after the other for one mount, side by side for different mounts, whatever connection they came by.
 *
 * @module
 */

interface Turn {
  mount: string;
  leave: () => void;
  begin: ((leave: () => void) => void) | undefined;
}

/** Stands for every mount, also those that do not exist yet. */
export const everyMount = "all";

/** A line of requests. */
export class Schedule {
  readonly #turns = new Set<Turn>();

  /**
   * Queues a request for a mount, or for {@linkcode everyMount}. `begin` is called, at once or later, when no earlier request
   * for the same mount is left; it must not throw. Both it and the caller get a function that takes the request out again: one
   * that has not begun then never begins; calling it twice does nothing.
   */
  enter(mount: string, begin: (leave: () => void) => void): () => void {
    const leave = () => {
      if (this.#turns.delete(turn)) this.#beginReady();
    };
    const turn: Turn = { mount, leave, begin };
    this.#turns.add(turn);
    this.#beginReady();
    return leave;
  }

  #beginReady(): void {
    const occupied = new Set<string>();
    const ready: (() => void)[] = [];
    for (const turn of this.#turns) {
      const free = turn.mount === everyMount
        ? occupied.size === 0
        : !occupied.has(turn.mount) && !occupied.has(everyMount);
      occupied.add(turn.mount);
      const { begin } = turn;
      if (!free || begin === undefined) continue;
      turn.begin = undefined;
      ready.push(() => begin(turn.leave));
    }
    for (const begin of ready) begin();
  }
}
