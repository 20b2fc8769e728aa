/**
 * The functions of `@std/assert` that these tests use, over `node:assert/strict`: same names, same parameters, so that the import map
 * may point `@std/assert` at the original without a change to any test. All throw `AssertionError` and touch nothing else.
 *
 * @module
 */

import nodeAssert from "node:assert/strict";

/** What every assertion here throws. */
export const AssertionError: typeof nodeAssert.AssertionError = nodeAssert.AssertionError;

/** The class of an error, abstract ones included, as `assertThrows` and `assertInstanceOf` take it. */
// deno-lint-ignore no-explicit-any
export type AnyConstructor = abstract new (...args: any[]) => unknown;

/** A class of errors. */
// deno-lint-ignore no-explicit-any
export type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

function withSuffix(text: string, msg: string | undefined): string {
  return msg === undefined ? `${text}.` : `${text}: ${msg}`;
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 8, strAbbreviateSize: 400, iterableLimit: 50 });
}

/** Fails at once. */
export function fail(msg?: string): never {
  throw new AssertionError({ message: withSuffix("Failed assertion", msg) });
}

/** Fails unless `expr` is truthy; narrows its type. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError({ message: msg });
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): void {
  if (expr) throw new AssertionError({ message: msg });
}

/** Fails unless both are deeply and strictly equal: `1` is not `"1"`, `1` is not `1n`, `NaN` is `NaN`. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) return;
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    throw new AssertionError({
      message: msg === undefined ? error.message : `${msg}: ${error.message}`,
      actual,
      expected,
      operator: "deepStrictEqual",
    });
  }
}

/** Fails when both are deeply and strictly equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (actual !== expected) {
    try {
      nodeAssert.deepStrictEqual(actual, expected);
    } catch (error) {
      if (error instanceof AssertionError) return;
      throw error;
    }
  }
  throw new AssertionError({
    message: withSuffix(`Expected actual: ${show(actual)} not to be: ${show(expected)}`, msg),
  });
}

/** Fails unless both are the same value or object (`Object.is`). */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  throw new AssertionError({
    message: withSuffix(`Values are not strictly equal: ${show(actual)} and ${show(expected)}`, msg),
    actual,
    expected,
    operator: "strictEqual",
  });
}

/** Fails when both are the same value or object (`Object.is`). */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError({
    message: withSuffix(`Expected "actual" to not be strictly equal to: ${show(actual)}`, msg),
  });
}

/** Fails for `null` and `undefined`; narrows the type. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError({
    message: withSuffix(`Expected actual: "${actual}" to not be null or undefined`, msg),
  });
}

/** Fails unless `actual` was made by `expectedType`; narrows the type. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const message = `Expected object to be an instance of "${expectedType.name}" but was ${show(actual)}`;
  throw new AssertionError({ message: withSuffix(message, msg === "" ? undefined : msg) });
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError({
    message: withSuffix(`Expected actual: ${show(actual)} to contain: ${show(expected)}`, msg),
  });
}

/** Fails unless every element of `expected` is deeply equal to one of `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  const missing = Array.from(expected).filter((wanted) =>
    !Array.from(actual).some((found) => {
      try {
        nodeAssert.deepStrictEqual(found, wanted);
        return true;
      } catch {
        return false;
      }
    })
  );
  if (missing.length === 0) return;
  throw new AssertionError({
    message: withSuffix(
      `Expected actual: ${show(actual)} to include: ${show(expected)}; missing: ${show(missing)}`,
      msg,
    ),
  });
}

/** Fails unless `actual` has every property of `expected` with a deeply equal value; other properties of `actual` are free. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals<unknown>(projection(actual, expected), expected, msg);
}

function projection(actual: unknown, shape: unknown): unknown {
  if (!isPlain(actual) || !isPlain(shape)) return actual;
  const result: Record<PropertyKey, unknown> = {};
  for (const key of Reflect.ownKeys(shape)) {
    if (Reflect.has(actual, key)) result[key] = projection(actual[key], shape[key]);
  }
  return result;
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Fails unless `expected` matches `actual`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError({
    message: withSuffix(`Expected actual: ${show(actual)} to match: ${expected}`, msg),
  });
}

/** Fails when `expected` matches `actual`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) return;
  throw new AssertionError({
    message: withSuffix(`Expected actual: ${show(actual)} to not match: ${expected}`, msg),
  });
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError({ message: withSuffix(`Expect ${show(actual)} > ${show(expected)}`, msg) });
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError({ message: withSuffix(`Expect ${show(actual)} >= ${show(expected)}`, msg) });
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError({ message: withSuffix(`Expect ${show(actual)} < ${show(expected)}`, msg) });
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError({ message: withSuffix(`Expect ${show(actual)} <= ${show(expected)}`, msg) });
}

/** Fails unless `actual` and `expected` differ by at most `tolerance` (default: a millionth of a per cent of `expected`). */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (Math.abs(expected - actual) <= allowed) return;
  throw new AssertionError({
    message: withSuffix(`Expected ${actual} to be within ${allowed} of ${expected}`, msg),
  });
}

/** Fails unless `error` is an `Error`, of `ErrorClass` when given, its message containing `msgIncludes` when given. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError({
      message: withSuffix(`Expected "error" to be an Error object but was ${show(error)}`, msg),
    });
  }
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    const message =
      `Expected error to be instance of "${ErrorClass.name}", but was "${error.constructor.name}"`;
    throw new AssertionError({ message: withSuffix(`${message} (${error.message})`, msg) });
  }
  if (msgMatches === undefined) return;
  const matches = typeof msgMatches === "string"
    ? error.message.includes(msgMatches)
    : msgMatches.test(error.message);
  if (matches) return;
  throw new AssertionError({
    message: withSuffix(
      `Expected error message to include ${show(msgMatches)}, but got ${show(error.message)}`,
      msg,
    ),
  });
}

/** Fails unless `fn` throws; returns what was thrown. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an error of `ErrorClass` whose message contains `msgIncludes`; returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const [errorClass, text] = typeof errorClassOrMsg === "string"
    ? [undefined, errorClassOrMsg]
    : [errorClassOrMsg, msg];
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    if (errorClass !== undefined) assertIsError(error, errorClass, msgIncludes, text);
    return thrown;
  }
  throw new AssertionError({ message: withSuffix("Expected function to throw", text) });
}

/** Fails unless the promise of `fn` rejects; resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless the promise of `fn` rejects with an error of `ErrorClass` whose message contains `msgIncludes`; resolves to it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const [errorClass, text] = typeof errorClassOrMsg === "string"
    ? [undefined, errorClassOrMsg]
    : [errorClassOrMsg, msg];
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError({
      message: withSuffix(`Function throws when expected to reject: ${error}`, text),
    });
  }
  try {
    await promise;
  } catch (error) {
    if (errorClass !== undefined) assertIsError(error, errorClass, msgIncludes, text);
    return error;
  }
  throw new AssertionError({ message: withSuffix("Expected function to reject", text) });
}

/** Fails when called: for code that must not be reached. */
export function unreachable(reason?: string): never {
  throw new AssertionError({ message: withSuffix("Unreachable", reason) });
}
