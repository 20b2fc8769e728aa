/**
 * A directory that was being listed while its backing changed. Positions in the old directory mean nothing in the new one, so what was
 * listed before is remembered by name, and the rest of the new directory follows: every name that both have is seen exactly once.
 *
 * @module
 */
import { DirentReader } from "../ffi/sys/dir.ts";
import { SEEK_SET } from "../ffi/sys/constants.ts";
import { call, type Steps } from "./calls.ts";

/** One entry of a directory, as a `DirentReader` has it. */
export interface Entry {
  /** The inode number. */
  readonly ino: bigint;
  /** The position after it. */
  readonly off: bigint;
  /** DT_*. */
  readonly type: number;
  /** Where its name starts in its buffer; it is NUL-terminated. */
  readonly nameStart: number;
  /** Where its NUL is. */
  readonly nameEnd: number;
  /** Whether it is `.` or `..`. */
  readonly isDot: boolean;
}

/** An entry with the bytes of its name. */
export type NamedEntry = Entry & { readonly buffer: Uint8Array };

/** All entries of an open directory, from its start. What cannot be read any more is left out. Moves the descriptor's position. */
export function* entriesOf(fd: number): Steps<NamedEntry[]> {
  const entries: NamedEntry[] = [];
  const buffer = new Uint8Array(32 * 1024);
  if ((yield call("lseek", fd, 0n, SEEK_SET, new Uint8Array(8))) < 0) return entries;
  for (let length; (length = yield call("getdents64", fd, buffer)) > 0;) {
    const reader = new DirentReader(buffer, length);
    while (reader.next()) {
      const { ino, off, type, isDot } = reader;
      const name = buffer.slice(reader.nameStart, reader.nameEnd + 1);
      entries.push({ ino, off, type, isDot, buffer: name, nameStart: 0, nameEnd: name.length - 1 });
    }
  }
  return entries;
}

/** The listing of one open directory from the change of its backing to the next rewind. */
export class ResumedListing {
  readonly #before: readonly NamedEntry[];
  readonly #base: bigint;
  #after: readonly NamedEntry[] = [];
  #loaded = false;
  #listed = new Set<string>();

  /** `before`: the entries of the old directory. */
  constructor(before: readonly NamedEntry[]) {
    this.#before = before;
    // Positions after the change follow those before, so that either is known for what it is.
    this.#base = before.reduce((most, { off }) => off > most ? off : most, 0n);
  }

  /** Reads the new directory `fd` the first time, and moves its position then. */
  *load(fd: number): Steps<void> {
    if (this.#loaded) return;
    this.#after = yield* entriesOf(fd);
    this.#loaded = true;
  }

  /** What follows `offset`, which is a position in the old directory or one that an earlier call gave. The new one has been loaded. */
  *from(offset: bigint): Generator<NamedEntry> {
    let index = Number(offset - this.#base);
    if (index <= 0) {
      const listed = this.#before.findIndex(({ off }) => off === offset) + 1;
      this.#listed = new Set(this.#before.slice(0, listed).map(nameOf));
      index = 0;
    }
    for (; index < this.#after.length; index++) {
      const entry = this.#after[index]!;
      if (!this.#listed.has(nameOf(entry))) yield { ...entry, off: this.#base + BigInt(index) + 1n };
    }
  }
}

function nameOf({ buffer }: NamedEntry): string {
  return String.fromCharCode(...buffer);
}
