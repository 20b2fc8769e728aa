/**
 * Work on several tasks at a time, by one thread: while a task does what it was given, the next one is given something. Each piece of work
 * is a generator that yields when its task runs and goes on when the task is to be waited for.
 *
 * @module
 */

/** Work that yields while its task runs. It must be resumed until it ends: the task cannot be left before. */
export type Work<T = void> = Generator<void, T, void>;

/** Does a piece of work alone. @throws what it throws */
export function complete<T>(work: Work<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/**
 * Does pieces of work, some of them at a time, begun in their order. When one fails, no other is begun, and those that have been are brought to
 * their ends.
 *
 * @param atOnce how many at a time at most
 * @throws the first failure
 */
export function sideBySide(works: Iterable<Work>, atOnce: number): void {
  const waiting = works[Symbol.iterator]();
  let active: Work[] = [];
  let failure: { error: unknown } | undefined;
  /** Resumes a piece of work; returns whether there is more of it. */
  const goesOn = (work: Work): boolean => {
    try {
      return work.next().done !== true;
    } catch (error) {
      failure ??= { error };
      return false;
    }
  };
  for (;;) {
    while (failure === undefined && active.length < atOnce) {
      const { done, value } = waiting.next();
      if (done) break;
      if (goesOn(value)) active.push(value);
    }
    if (active.length === 0) break;
    active = active.filter(goesOn);
  }
  if (failure !== undefined) throw failure.error;
}
