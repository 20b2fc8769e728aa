/**
 * Which pages of a process's memory are in its images: `pagemap-PID.img`.
 *
 * @module
 */

import { ImageError } from "./image_error.ts";
import { eachEntry } from "./image_file.ts";
import type { ImageSource } from "./image_source.ts";
import { eachField, type Message, required } from "./message.ts";

const PAGE = 4096n;
/** Behind the last address that a process can have. */
const END = 1n << 63n;

/** Pages of a process, as ranges of addresses. Addresses are multiples of the page size, so they are exact as numbers. */
export class ImagePages {
  /** Where ranges begin and end, in turn, rising; ranges that touch are one. */
  readonly #bounds: readonly number[];

  /** `bounds`: where ranges begin and end, in turn, rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  /** Visits a range of addresses in pieces, by rising address, each of which is in the images, or not. */
  split(start: number, end: number, visit: (start: number, end: number, isThere: boolean) => void): void {
    let at = this.#after(start);
    for (let from = start; from < end; at++) {
      const to = Math.min(this.#bounds[at] ?? end, end);
      if (to > from) visit(from, to, at % 2 === 1);
      from = to;
    }
  }

  /** How many bounds are not above an address. */
  #after(address: number): number {
    let [low, high] = [0, this.#bounds.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#bounds[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Reads which pages of a process the images have: their content may be in this dump or in one before it. Blocks as reading a file does.
 *
 * @param pid as in the names of the images: its id in the pid namespace of the tree's root
 * @throws {ImageError} when there is no such image, or it is damaged; {SysError} when it cannot be read
 */
export function readImagePages(source: ImageSource, pid: number): ImagePages {
  const name = `pagemap-${pid}.img`;
  const bounds: number[] = [];
  let isHead = true;
  const found = eachEntry(source, name, "pagemap", (entry) => {
    if (!isHead) addRange(entry, bounds);
    isHead = false;
  });
  if (!found) throw new ImageError(name, undefined, "missing");
  if (isHead) throw new ImageError(name, undefined, "cut off before its first entry");
  return new ImagePages(bounds);
}

/** Adds what an entry says. CRIU needs them to rise, as it writes them. */
function addRange(entry: Message, bounds: number[]): void {
  let address: bigint | undefined;
  let short: bigint | undefined;
  let long: bigint | undefined;
  eachField(entry, (field, value) => {
    if (field === 1) address = value.uint64();
    else if (field === 2) short = value.uint64();
    else if (field === 5) long = value.uint64(); // since CRIU 4.2, which leaves the other one at 0
  });
  const start = required(entry, "an address", address);
  const end = start + required(entry, "a number of pages", long ?? short) * PAGE;
  const last = bounds.at(-1) ?? 0;
  if (start % PAGE !== 0n || end > END || start < last) {
    const range = `${start.toString(16)}-${end.toString(16)}`;
    throw new ImageError(entry.file, entry.offset, `pages at ${range}, where none can be`);
  }
  if (start === end) return;
  if (Number(start) === last && bounds.length > 0) bounds[bounds.length - 1] = Number(end);
  else bounds.push(Number(start), Number(end));
}
