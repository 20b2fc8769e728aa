import type { Transport } from "../../../control/transport.ts";

/** One direction of a pair: a queue of at most `capacity` bytes, like a pipe. */
class Direction {
  #chunks: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #broken = false;
  #wake: (() => void)[] = [];

  constructor(readonly capacity: number) {}

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#size === 0 && !this.#ended && !this.#broken) await this.#change();
    if (this.#broken) throw new Deno.errors.BadResource("closed");
    const chunk = this.#chunks[0];
    if (chunk === undefined) return null;
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#size -= count;
    this.#changed();
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (this.#size >= this.capacity && !this.#broken && !this.#ended) await this.#change();
    if (this.#broken || this.#ended) throw new Deno.errors.BrokenPipe("Broken pipe");
    const count = Math.min(bytes.length, this.capacity - this.#size);
    this.#chunks.push(bytes.slice(0, count));
    this.#size += count;
    this.#changed();
    return count;
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }

  break(): void {
    this.#broken = true;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

/** One end of an in-memory connection. */
export interface End extends Transport {
  /** Ends this side's output; the other side reads the end of input. */
  endOutput(): void;
  /** Stops reading; the other side's writes fail as with EPIPE. */
  breakInput(): void;
}

/** An in-memory connection: two transports, each reading what the other writes. */
export function pair(capacity = 65_536): [End, End] {
  const ab = new Direction(capacity);
  const ba = new Direction(capacity);
  const end = (input: Direction, output: Direction): End => ({
    read: (buffer) => input.read(buffer),
    write: (bytes) => output.write(bytes),
    endOutput: () => output.end(),
    breakInput: () => input.break(),
    close: () => {
      output.end();
      input.break();
    },
  });
  return [end(ba, ab), end(ab, ba)];
}
