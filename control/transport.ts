/**
 * What carries the protocol: anything that reads and writes bytes. A `Deno.Conn` is one as it stands.
 *
 * @module
 */

/** A byte channel in both directions. */
export interface Transport {
  /** Reads some bytes into the buffer and tells how many; null at the end of input. Rejects when the channel broke. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes, at least one, and tells how many. Rejects when nobody reads any more (EPIPE). */
  write(bytes: Uint8Array): Promise<number>;
  /** Gives the channel up; a read or write under way ends. */
  close(): void;
}

/** The process's stdin and stdout. Closing it leaves both open: they end with the process. */
export function stdio(): Transport {
  return {
    read: (buffer) => Deno.stdin.read(buffer),
    write: (bytes) => Deno.stdout.write(bytes),
    close: () => {},
  };
}
