/**
 * One JSON value a line: reading bytes that may be anything, writing pure ASCII.
 *
 * @module
 */

import { ControlError } from "./errors.ts";

/** Containers nested deeper than this are refused before anything walks them. */
export const maxDepth = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a line.
 *
 * @throws {ControlError} `parse_error` for invalid UTF-8, invalid JSON and nesting beyond {@linkcode maxDepth}
 */
export function parseLine(bytes: Uint8Array): unknown {
  if (isTooDeep(bytes)) {
    throw new ControlError("parse_error", `the line nests deeper than ${maxDepth} levels`);
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new ControlError("parse_error", "the line is not valid UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ControlError("parse_error", `the line is not JSON: ${(error as SyntaxError).message}`);
  }
}

/** Whether a line has nothing but white space; such lines mean nothing. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** Formats a value as a line with its newline: ASCII only, every other character as \uXXXX. */
export function formatLine(value: unknown): string {
  const escaped = JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"),
  );
  return escaped + "\n";
}

const quote = 0x22;
const backslash = 0x5c;

function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (quoted) {
      if (byte === backslash) at++;
      else if (byte === quote) quoted = false;
    } else if (byte === quote) {
      quoted = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > maxDepth) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return false;
}
