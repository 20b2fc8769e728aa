/**
 * Values as people read them.
 *
 * @module
 */

import { decodeBytes, type WirePath } from "../control/values.ts";

/** A file name for a terminal: what is no printable text is escaped. */
export function pathText(path: WirePath): string {
  if (typeof path === "string") return printable(path);
  let text = "";
  for (const byte of decodeBytes(path)) {
    text += byte >= 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

/** Text for a terminal: control characters are escaped, so that nothing a mount's user wrote can steer it. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (unit) => `\\u{${unit.codePointAt(0)!.toString(16)}}`);
}

/** A duration in milliseconds: "850 ms", "12.3 s", "4 min 5 s", "3 h 12 min". */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

/** "1 mount", "2 mounts", "2 processes". */
export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A size in bytes: "59 MB" (decimal). */
export function sizeText(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** Counts by name: "READ 3, LOOKUP 1". */
export function countsText(counts: Record<string, number>): string {
  return Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`).join(
    ", ",
  );
}

/** Rows as a table with a head, columns as wide as their longest cell. Ends with a newline. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length))
  );
  return [head, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd() + "\n")
    .join("");
}

/**
 * Text in lines of at most so many columns, broken between words; a word that is longer has a line for itself. Lines after the first are
 * indented by two more.
 */
export function wrapped(text: string, columns: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    const isFirst = line.trim() === "";
    if (!isFirst && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = `${indent}  ${word}`;
    } else line += isFirst ? word : ` ${word}`;
  }
  return [...lines, line];
}
