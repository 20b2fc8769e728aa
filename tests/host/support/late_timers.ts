/**
 * The runtime as it is when timers are due just as they are cleared (host/timer.ts): it calls them all the same.
 *
 * @module
 */

/** Runs something while clearing a timer has no effect. One at a time. */
export async function firingClearedTimers(act: () => Promise<void>): Promise<void> {
  const { clearTimeout, clearInterval } = globalThis;
  const uncleared: Parameters<typeof clearTimeout>[0][] = [];
  globalThis.clearTimeout = globalThis.clearInterval = (timer) => void uncleared.push(timer);
  try {
    await act();
  } finally {
    Object.assign(globalThis, { clearTimeout, clearInterval });
    uncleared.forEach(clearTimeout);
  }
}
