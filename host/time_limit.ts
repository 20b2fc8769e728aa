/**
 * Waiting, but not for ever.
 *
 * @module
 */

import { after } from "./timer.ts";

/** The promise's outcome, or undefined when it has none after so many milliseconds; a rejection after that is dropped. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = after(ms, resolve);
  try {
    return (await Promise.race([promise, timeout])) ?? undefined;
  } finally {
    timer.cancel();
    promise.catch(() => {});
  }
}

/** Resolves after so many milliseconds, or as soon as the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  const finish = () => {
    timer.cancel();
    resolve();
  };
  const timer = after(ms, finish);
  signal.addEventListener("abort", finish, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", finish));
}

/**
 * The promise's outcome, or a rejection with the signal's reason as soon as that is aborted; a rejection after that is dropped.
 *
 * @param onAbort called when the signal ends the wait
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  onAbort: () => void = () => {},
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => {
    promise.catch(() => {});
    onAbort();
    aborted.reject(signal.reason);
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
