/**
 * Lines on a terminal that are drawn anew in place. What is below the cursor is ours; what is above is left alone.
 *
 * @module
 */

/** Lines that are drawn again and again. Each drawing is one write, of what has changed, so that nothing flickers. */
export class LiveScreen {
  readonly #write: (text: string) => void;
  #shown: readonly string[] = [];

  /** Shows nothing yet; `write` writes to the terminal. */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Shows these lines in place of those that are shown. They must not be wider than the terminal. */
  draw(lines: readonly string[]): void {
    if (lines.length === this.#shown.length && lines.every((line, at) => line === this.#shown[at])) return;
    this.#write(this.#over(lines));
    this.#shown = [...lines];
  }

  /** Writes text, which ends with a newline, above the lines. */
  above(text: string): void {
    const shown = this.#shown;
    this.#write(this.#over([]) + text);
    this.#shown = [];
    this.draw(shown);
  }

  /** Takes the lines away. */
  clear(): void {
    this.draw([]);
  }

  /** Without wrapping, a line that is wider than we think (of wide characters) does not put all that follows out of place. */
  #over(lines: readonly string[]): string {
    const up = this.#shown.length === 0 ? "" : `\x1b[${this.#shown.length}A`;
    const body = lines.map((line) => `${line}\x1b[K\n`).join("");
    return `\x1b[?7l\r${up}${body}\x1b[J\x1b[?7h`;
  }
}
