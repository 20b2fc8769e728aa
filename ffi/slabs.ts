/**
 * Many small byte strings in few buffers.
 *
 * @module
 */

const SIZE = 8192;

/**
 * Keeps copies. Small ones share a buffer of 8 KiB with others that came at about the same time, which stays as long as one of them is
 * referred to: a buffer of its own costs an allocation outside of V8's heap, 0.5 us and 150 bytes.
 */
export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /** A copy of some bytes, which stay where they are: C may be given its address. */
  keep(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const { length } = bytes;
    if (length > SIZE / 8) return new Uint8Array(bytes);
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(new ArrayBuffer(SIZE));
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used + length);
    copy.set(bytes);
    this.#used += length;
    return copy;
  }
}
