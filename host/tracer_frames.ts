/**
 * How the daemon and its tracer talk: messages with structured clone's types (bigints, bytes) in frames, each a length of 4 bytes, little
 * endian, and so many bytes of V8's own format. Both ends are one program.
 *
 * @module
 */

import { deserialize, serialize } from "node:v8";

/** The longest message, in bytes: what a swap of a hundred thousand descriptors tells is far below it. */
export const maxFrameBytes: number = 1 << 28;

const HEADER = 4;

/** What arrived is no frame. */
export class FrameError extends Error {
  /** The error's name. */
  override readonly name = "FrameError";
}

/** A message as a frame. Throws a DataCloneError for what cannot be sent, functions for example. */
export function frame(message: unknown): Uint8Array<ArrayBuffer> {
  const body = serialize(message);
  const bytes = new Uint8Array(HEADER + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, HEADER);
  return bytes;
}

/** Takes frames apart as their bytes arrive. */
export class FrameReader {
  #bytes = new Uint8Array(0);

  /** Takes the next bytes, which it does not keep. */
  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    this.#bytes = joined;
  }

  /**
   * The next message that is complete, in an array of its own.
   *
   * @throws {FrameError} for one that is too long or cannot be read; nothing can be read after that
   */
  next(): [unknown] | undefined {
    if (this.#bytes.length < HEADER) return undefined;
    const { buffer, byteOffset } = this.#bytes;
    const size = new DataView(buffer, byteOffset).getUint32(0, true);
    if (size > maxFrameBytes) throw new FrameError(`a message of ${size} bytes`);
    if (this.#bytes.length < HEADER + size) return undefined;
    const body = this.#bytes.slice(HEADER, HEADER + size);
    this.#bytes = this.#bytes.subarray(HEADER + size);
    try {
      return [deserialize(body)];
    } catch (error) {
      throw new FrameError(`an unreadable message: ${(error as Error).message}`);
    }
  }
}
