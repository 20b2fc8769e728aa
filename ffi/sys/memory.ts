/**
 * The memory of the C library's allocator.
 *
 * @module
 */
import { symbol } from "./libc.ts";

const libc = { mallocTrim: symbol("malloc_trim", { parameters: ["usize"], result: "i32" }) };

let missing = false;

/**
 * malloc_trim(3): gives memory that was freed back to the kernel, of all threads, whole pages from the middle of their arenas as well. Takes
 * milliseconds, in which other threads may wait for their next allocation. Returns whether any was; false where the C library has no such
 * function (musl).
 */
export function mallocTrim(): boolean {
  if (missing) return false;
  try {
    return libc.mallocTrim.call(0n) !== 0;
  } catch {
    missing = true;
    return false;
  }
}
