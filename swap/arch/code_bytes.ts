/**
 * Machine code in source files.
 *
 * @module
 */

/** Bytes that are written as Base64 with line breaks. */
export function decodeBase64Lines(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replaceAll(/\s/g, "")), (character) => character.charCodeAt(0));
}
