/**
 * Lines out of a byte stream, in bounded memory: a line longer than the limit is reported once and skipped to its newline.
 *
 * @module
 */

/** A piece of input. Numbers count lines from 1. */
export type Line =
  /** A whole line, without its newline. The bytes are the receiver's. */
  | { kind: "line"; number: number; bytes: Uint8Array }
  /** A line that passed the limit; what is left of it is being skipped. */
  | { kind: "tooLong"; number: number }
  /** Input ended in the middle of a line. */
  | { kind: "partial"; number: number };

const newline = 0x0a;

/** Splits chunks into lines. Holds at most `limit` bytes. */
export class LineSplitter {
  readonly #limit: number;
  #pieces: Uint8Array[] = [];
  #held = 0;
  #skipping = false;
  #number = 1;

  /** Makes a splitter for lines of at most `limit` bytes, newline not counted. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the next chunk, which it does not keep, and yields what it completes. */
  *push(chunk: Uint8Array): Generator<Line, void, undefined> {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(newline, start);
      const piece = chunk.subarray(start, end < 0 ? chunk.length : end);
      if (!this.#skipping && this.#held + piece.length > this.#limit) {
        this.#drop();
        this.#skipping = true;
        yield { kind: "tooLong", number: this.#number };
      }
      if (end < 0) {
        if (!this.#skipping && piece.length > 0) this.#keep(piece);
        return;
      }
      if (!this.#skipping) yield { kind: "line", number: this.#number, bytes: this.#take(piece) };
      this.#skipping = false;
      this.#number++;
      start = end + 1;
    }
  }

  /** Takes the end of input and tells of a line that it cut off. */
  end(): Line | undefined {
    if (this.#held === 0 || this.#skipping) return undefined;
    this.#drop();
    return { kind: "partial", number: this.#number };
  }

  #keep(piece: Uint8Array): void {
    this.#pieces.push(piece.slice());
    this.#held += piece.length;
    if (this.#pieces.length >= 256) this.#pieces = [this.#join(new Uint8Array(0))];
  }

  #take(last: Uint8Array): Uint8Array {
    const line = this.#join(last);
    this.#drop();
    return line;
  }

  #join(last: Uint8Array): Uint8Array {
    const joined = new Uint8Array(this.#held + last.length);
    let at = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, at);
      at += piece.length;
    }
    joined.set(last, at);
    return joined;
  }

  #drop(): void {
    this.#pieces = [];
    this.#held = 0;
  }
}
