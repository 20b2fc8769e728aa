/**
 * What a command sees of the process: tests put their own in its place.
 *
 * @module
 */

/** Input, output and environment of a command. */
export interface Terminal {
  /** Writes text to stdout. */
  out(text: string): void;
  /** Writes text to stderr. */
  err(text: string): void;
  /** Reads stdin to its end. */
  input(): Promise<string>;
  /** An environment variable. */
  env(name: string): string | undefined;
  /** How large it is, in characters; absent when stdout is no terminal. */
  size?: () => { columns: number; rows: number };
}

/** The process's own. */
export function processTerminal(): Terminal {
  const encoder = new TextEncoder();
  const writer = (stream: { writeSync(bytes: Uint8Array): number }) => (text: string) => {
    const bytes = encoder.encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
    } catch (error) {
      // A reader that left early, as `head` does, is no failure.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  };
  return {
    out: writer(Deno.stdout),
    err: writer(Deno.stderr),
    input: () => new Response(Deno.stdin.readable).text(),
    env: (name) => Deno.env.get(name),
    ...(Deno.stdout.isTerminal() && { size: () => Deno.consoleSize() }),
  };
}
