/** The contents that victims/pattern.h knows: the bytes of the file with this seed, from its beginning. None of them is zero. */
export function patternBytes(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let offset = 0; offset < size; offset++) {
    const mixed = Math.imul(offset + Math.imul(seed, 40503), 2654435761);
    bytes[offset] = 1 + (mixed >>> 15) % 255;
  }
  return bytes;
}
