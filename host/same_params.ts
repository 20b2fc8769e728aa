/**
 * Whether a request says the same as one before: parameters are compared as values, bytes by their content. Pure.
 *
 * @module
 */

/** Whether two decoded parameter objects say the same. Keys may come in any order; a key with the value undefined is absent. */
export function sameParams(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return a.length === b.length && a.every((byte, at) => byte === b[at]);
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const entries = (value: object) => Object.entries(value).filter(([, item]) => item !== undefined);
  const [left, right] = [entries(a), new Map(entries(b))];
  return left.length === right.size &&
    left.every(([key, item]) => right.has(key) && sameParams(item, right.get(key)));
}
