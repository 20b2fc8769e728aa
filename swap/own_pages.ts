/**
 * Which pages of a private mapping are the mapping's own, as `/proc/PID/pagemap` tells: see `Documentation/admin-guide/mm/pagemap.rst`.
 *
 * @module
 */
import { pread } from "../ffi/sys/file.ts";
import { check } from "../ffi/sys/libc.ts";

/** The size of a page. */
export const PAGE = 4096;

const PAGES_AT_ONCE = 8192;
const entries = new Uint8Array(new ArrayBuffer(PAGES_AT_ONCE * 8));
const entryView = new DataView(entries.buffer);

/** Whether a page is the mapping's own: present or swapped out, and not of the file. */
function isOwn(index: number): boolean {
  const high = entryView.getUint32(index * 8 + 4, true);
  return (high >>> 30) !== 0 && ((high >>> 29) & 1) === 0;
}

/**
 * Visits the pages between two addresses that are the mapping's own, by rising address, several at a time.
 *
 * @param pagemap a descriptor of the task's pagemap
 * @param most how many bytes at a time, a multiple of the page size
 * @throws {SysError} when pagemap cannot be read
 */
export function eachOwnRange(
  pagemap: number,
  start: number,
  end: number,
  most: number,
  visit: (start: number, end: number) => void,
): void {
  for (let base = start; base < end; base += PAGES_AT_ONCE * PAGE) {
    const asked = Math.min(PAGES_AT_ONCE, (end - base) / PAGE);
    // Of a task that has ended nothing is told any more.
    const pages = check(pread(pagemap, entries, asked * 8, BigInt(base / PAGE * 8)), "read pagemap") / 8;
    for (let first = 0; first < pages;) {
      if (!isOwn(first)) {
        first++;
        continue;
      }
      let last = first;
      while (last < pages && (last - first) * PAGE < most && isOwn(last)) last++;
      visit(base + first * PAGE, base + last * PAGE);
      first = last;
    }
  }
}
