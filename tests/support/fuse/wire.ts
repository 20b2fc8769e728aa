/**
 * One line of JSON for a message of the mount worker: bigints and bytes, which JSON has no form for, travel as objects of one key.
 *
 * @module
 */

/** Encodes a message; the result has no newline. */
export function encode(message: unknown): string {
  return JSON.stringify(message, (_key, value) => {
    if (typeof value === "bigint") return { $int: String(value) };
    if (value instanceof Uint8Array) return { $hex: value.toHex() };
    return value;
  });
}

/** Decodes what {@linkcode encode} made. */
// deno-lint-ignore no-explicit-any
export function decode(line: string): any {
  return JSON.parse(line, (_key, value) => {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.$int === "string") return BigInt(value.$int);
    if (typeof value.$hex === "string") return Uint8Array.fromHex(value.$hex);
    return value;
  });
}

/** The lines of a stream of bytes. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const text of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
  ) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
