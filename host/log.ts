/**
 * The daemon's log: one line an entry, with level, time, mount, request and text. Never on stdout, which belongs to the protocol.
 *
 * Writing never blocks the thread and the memory is bounded: lines wait in a queue of a fixed size, and when a reader is so slow
 * that it overflows, new lines are dropped and counted, and the count is logged when there is room again.
 *
 * @module
 */

import { after } from "./timer.ts";

/** The levels, the most serious first. */
export const logLevels = ["error", "warn", "info", "debug"] as const;

/** How serious an entry is. */
export type LogLevel = (typeof logLevels)[number];

/** What an entry is about. */
export interface LogSubject {
  /** The mount's name. */
  readonly mount?: string;
  /** The request: a FUSE request's unique id, or a control request's method. */
  readonly request?: bigint | string;
}

/** Where lines go: all of the bytes, in order, or a rejection. */
export type LogSink = (bytes: Uint8Array) => Promise<void>;

/** Takes entries. */
export interface Log {
  /** Adds an entry; does not block and does not throw. */
  write(level: LogLevel, text: string, subject?: LogSubject): void;
  /** Waits until what was written so far is out, at most this many milliseconds. */
  flush(timeoutMs: number): Promise<void>;
}

const maxLine = 4096; // characters of text in a line
const maxQueued = 1000; // lines that wait

/** Formats an entry as a line without its newline; control characters in the text are escaped, an over-long text is cut. Pure. */
export function formatEntry(time: Date, level: LogLevel, text: string, subject: LogSubject = {}): string {
  // deno-lint-ignore no-control-regex
  const escaped = text.replace(/[\x00-\x1f\x7f]/g, (char) => {
    if (char === "\n") return "\\n";
    return "\\x" + char.charCodeAt(0).toString(16).padStart(2, "0");
  });
  const cut = escaped.length > maxLine
    ? `${escaped.slice(0, maxLine)}... (${escaped.length} characters)`
    : escaped;
  const mount = subject.mount === undefined ? "" : ` mount=${subject.mount}`;
  const request = subject.request === undefined ? "" : ` request=${subject.request}`;
  return `${time.toISOString()} ${level.padEnd(5)}${mount}${request} ${cut}`;
}

/** Makes a log that writes entries of at least this level to a sink. A sink that rejects (EPIPE, ENOSPC) loses those lines only. */
export function createLog(level: LogLevel, sink: LogSink): Log {
  const least = logLevels.indexOf(level);
  const encoder = new TextEncoder();
  const queue: string[] = [];
  let dropped = 0;
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const lines = queue.splice(0);
      if (dropped > 0) {
        lines.push(formatEntry(new Date(), "warn", `${dropped} log lines dropped: the reader is too slow`));
        dropped = 0;
      }
      try {
        await sink(encoder.encode(lines.join("\n") + "\n"));
      } catch {
        // Nobody is left to be told.
      }
    }
    draining = undefined;
  }

  return {
    write(entryLevel, text, subject) {
      if (logLevels.indexOf(entryLevel) > least) return;
      if (queue.length >= maxQueued) {
        dropped++;
        return;
      }
      queue.push(formatEntry(new Date(), entryLevel, text, subject));
      draining ??= drain();
    },
    async flush(timeoutMs) {
      if (draining === undefined) return;
      const timeout = Promise.withResolvers<void>();
      const timer = after(timeoutMs, timeout.resolve);
      await Promise.race([draining, timeout.promise]);
      timer.cancel();
    },
  };
}

/** A sink that writes to stderr. */
export const stderrSink: LogSink = (bytes) => writeAll(Deno.stderr, bytes);

/**
 * A sink that appends to a file, created 0600. Blocks as open(2) does.
 *
 * @throws {Error} when the file cannot be opened
 */
export function fileSink(path: string): LogSink {
  const file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  return (bytes) => writeAll(file, bytes);
}

async function writeAll(
  writer: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
}
