/**
 * Timers that can be taken back.
 *
 * Deno 2.6.8, which a compiled program may have, calls a timer in spite of `clearTimeout` or `clearInterval` when it is due in the same turn of
 * the event loop as the end of the operation that called them, the end of a child process, say (2.9.6 does not). What the timer was to end may
 * have new work by then. So these look whether they are still wanted.
 *
 * @module
 */

/** A timer that has been started. */
export interface Timer {
  /** From now on it does not act. */
  cancel(): void;
}

/** How a timer is kept. */
export interface TimerOptions {
  /** Whether a program that has nothing else to do ends without waiting for it; no by default. */
  readonly unref?: boolean;
}

/** Acts once, after so many milliseconds. */
export function after(ms: number, act: () => void, { unref = false }: TimerOptions = {}): Timer {
  return started(setTimeout, clearTimeout, ms, act, unref);
}

/** Acts again and again, every so many milliseconds. */
export function every(ms: number, act: () => void, { unref = false }: TimerOptions = {}): Timer {
  return started(setInterval, clearInterval, ms, act, unref);
}

function started(
  start: (act: () => void, ms: number) => ReturnType<typeof setTimeout>,
  clear: (timer: ReturnType<typeof setTimeout>) => void,
  ms: number,
  act: () => void,
  unref: boolean,
): Timer {
  let wanted = true;
  const timer = start(() => wanted && act(), ms);
  if (unref) Deno.unrefTimer(timer);
  return {
    cancel() {
      wanted = false;
      clear(timer);
    },
  };
}
