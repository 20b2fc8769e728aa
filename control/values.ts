/**
 * The values of the wire that JSON has no type for, as pure functions without any dependency: file names are bytes, 64-bit
 * integers are decimal strings, modes are octal strings.
 *
 * @module
 */

/** Bytes on the wire, in standard base64 with padding (RFC 4648, section 4). */
export interface WireBytes {
  /** The bytes, base64-encoded. */
  b64: string;
}

/** A file name, path or symlink text on the wire: a string where the bytes are valid UTF-8, otherwise the bytes. */
export type WirePath = string | WireBytes;

/** A 64-bit integer as a decimal string. */
export type WireInt64 = string;

/** Permission bits as an octal string such as "0644". */
export type WireMode = string;

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes bytes for the wire. */
export function encodeBytes(bytes: Uint8Array): WireBytes {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { b64: btoa(binary) };
}

/**
 * Decodes bytes from the wire.
 *
 * @throws {TypeError} when the text is not base64 with padding
 */
export function decodeBytes(wire: WireBytes): Uint8Array<ArrayBuffer> {
  const binary = decodeBase64(wire.b64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** What atob is lenient about, and this is not: white space and missing padding. */
function decodeBase64(text: string): string {
  if (text.length % 4 === 0 && !/\s/.test(text)) {
    try {
      return atob(text);
    } catch {
      // Falls through to the one message.
    }
  }
  throw new TypeError("not base64 with padding");
}

/** Encodes a file name for the wire: as a string when the bytes are valid UTF-8, else as base64. */
export function encodePath(bytes: Uint8Array): WirePath {
  try {
    return utf8.decode(bytes);
  } catch {
    return encodeBytes(bytes);
  }
}

/**
 * Decodes a file name from the wire.
 *
 * @throws {TypeError} when the text has a lone surrogate, which no bytes stand for, or is not base64
 */
export function decodePath(wire: WirePath): Uint8Array<ArrayBuffer> {
  if (typeof wire !== "string") return decodeBytes(wire);
  if (!wire.isWellFormed()) throw new TypeError('not well-formed Unicode: give the bytes as {"b64": ...}');
  return encoder.encode(wire);
}

/** Formats permission bits (07777 at most) as the wire has them: octal, four digits. */
export function encodeMode(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** Reads permission bits from the wire's octal text, which the caller has matched with {@link modePattern}. */
export function decodeMode(text: string): number {
  return parseInt(text, 8);
}

/** What an octal mode looks like on the wire: permission, set-id and sticky bits, no file type. */
export const modePattern: RegExp = /^0?[0-7]{1,4}$/;
