/**
 * A position in the bytes of a /proc file, for parsers that read it from front to back.
 *
 * @module
 */

const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const MINUS = 0x2d;
const MAX_U64 = 2n ** 64n - 1n;
/** How much of a bad line an error quotes. */
const QUOTED = 120;

/**
 * Reads bytes as the kernel's printf wrote them. Nothing it returns refers to the bytes, so a caller may read the next file into the same
 * buffer. What does not fit is a SyntaxError that names the file, what was expected, and the line.
 */
export class Cursor {
  /** The index of the next byte. */
  at = 0;

  /**
   * Begins at the first byte.
   *
   * @param bytes all of the file; not changed.
   * @param file what it is, for messages: "fdinfo".
   */
  constructor(readonly bytes: Uint8Array, readonly file: string) {}

  /** Whether everything was read. */
  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The next byte, -1 at the end. */
  peek(): number {
    return this.at < this.bytes.length ? this.bytes[this.at]! : -1;
  }

  /** Whether this ASCII text is next. */
  looksAt(text: string): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < text.length; i++) {
      if (bytes[at + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Goes past this ASCII text if it is next, and tells whether it was. */
  take(text: string): boolean {
    if (!this.looksAt(text)) return false;
    this.at += text.length;
    return true;
  }

  /**
   * Goes past this ASCII text.
   *
   * @throws {SyntaxError} if it is not next.
   */
  expect(text: string): void {
    if (!this.take(text)) this.fail(`no ${JSON.stringify(text)}`);
  }

  /** Goes past spaces and tabs, if there are any. */
  blanks(): void {
    const { bytes } = this;
    while (bytes[this.at] === SPACE || bytes[this.at] === TAB) this.at++;
  }

  /**
   * A number without a sign, below 2^53 if `base` is 8 or 10. In base 16 it may be an address or an offset of a mapping: up to 2^64, exact
   * as long as it is below 2^53 or a multiple of 4096.
   *
   * @throws {SyntaxError} if there is none, or it is larger.
   */
  number(base: 8 | 10 | 16): number {
    const start = this.at;
    const value = this.digits(base);
    const exact = value <= Number.MAX_SAFE_INTEGER || base === 16 && value < 2 ** 64;
    return exact ? value : this.fail("too large a number", start);
  }

  /**
   * A number without a sign below 2^64.
   *
   * @throws {SyntaxError} if there is none, or it is larger.
   */
  bigint(base: 10 | 16): bigint {
    const start = this.at;
    const value = this.digits(base);
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    if (value > 2 ** 64) this.fail("too large a number", start);
    let exact = 0n;
    for (let i = start; i < this.at; i++) exact = exact * BigInt(base) + BigInt(digitOf(this.bytes[i]!));
    return exact <= MAX_U64 ? exact : this.fail("too large a number", start);
  }

  /**
   * A decimal number that may have a minus, of up to 64 bits.
   *
   * @throws {SyntaxError} if there is none, or it is larger.
   */
  signed(): bigint {
    if (this.peek() !== MINUS) return this.bigint(10);
    this.at++;
    return -this.bigint(10);
  }

  /** Goes past digits; their value is rounded above 2^53. */
  private digits(base: number): number {
    const { bytes, at: start } = this;
    const end = bytes.length;
    let at = start;
    let value = 0;
    for (; at < end; at++) {
      const digit = digitOf(bytes[at]!);
      if (digit >= base) break;
      value = value * base + digit;
    }
    if (at === start) this.fail(`no number in base ${base}`);
    this.at = at;
    return value;
  }

  /** What comes before the next blank, the end of the line or of the file, as text of one character a byte; may be empty. */
  word(): string {
    const start = this.at;
    this.skipWord();
    let word = "";
    for (let i = start; i < this.at; i++) word += String.fromCharCode(this.bytes[i]!);
    return word;
  }

  /** Goes past what comes before the next blank, the end of the line or of the file. */
  skipWord(): void {
    const { bytes } = this;
    let at = this.at;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === SPACE || byte === TAB || byte === NEWLINE) break;
    }
    this.at = at;
  }

  /**
   * The index of the newline that ends this line.
   *
   * @throws {SyntaxError} if the file ends before: every file of /proc ends with a newline, so it was not read to its end.
   */
  lineEnd(): number {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    if (end < 0) this.fail("cut off");
    return end;
  }

  /**
   * Goes past the rest of the line, whatever it is.
   *
   * @throws {SyntaxError} if the file ends before.
   */
  skipLine(): void {
    this.at = this.lineEnd() + 1;
  }

  /**
   * Goes to the next line when only blanks are left of this one.
   *
   * @throws {SyntaxError} if something else is left, or the file ends before.
   */
  endLine(): void {
    this.blanks();
    if (this.bytes[this.at] !== NEWLINE) this.fail(this.done ? "cut off" : "more than expected");
    this.at++;
  }

  /**
   * Says that the file is not what it should be.
   *
   * @param what what is wrong.
   * @param at where; the next byte unless told.
   */
  fail(what: string, at: number = this.at): never {
    const start = at === 0 ? 0 : this.bytes.lastIndexOf(NEWLINE, at - 1) + 1;
    const newline = this.bytes.indexOf(NEWLINE, start);
    const end = Math.min(newline < 0 ? this.bytes.length : newline, start + QUOTED);
    const line = String.fromCharCode(...this.bytes.subarray(start, end));
    throw new SyntaxError(`${this.file}: ${what} at column ${at - start + 1} of ${JSON.stringify(line)}`);
  }
}

/** The value of a digit, lower case as the kernel writes them; more than any base allows when it is none. */
function digitOf(byte: number): number {
  if (byte <= 0x39) return byte >= 0x30 ? byte - 0x30 : 99;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : 99;
}
