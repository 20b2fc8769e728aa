/**
 * What the tests of the /proc parsers share: bytes, this process's own files, and inputs that are almost right.
 *
 * @module
 */
import { assert } from "@std/assert";
import { readlinkat } from "../../../ffi/sys/dir.ts";
import { AT_FDCWD } from "../../../ffi/sys/constants.ts";
import { Fd } from "../../../ffi/sys/fd.ts";
import { check, cstr, symbol } from "../../../ffi/sys/libc.ts";
import { readProcFile } from "../../../ffi/sys/process.ts";

const libc = {
  memfdCreate: symbol("memfd_create", { parameters: ["buffer", "u32"], result: "i32" }),
};

/** One byte for each character. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** One character for each byte. */
export function text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** A file of /proc, which has to be there. */
export function procFile(path: string): Uint8Array {
  const content = readProcFile(path);
  assert(typeof content !== "number", `${path}: error ${content}`);
  return content;
}

/** What a link of this process's descriptor says. */
export function linkOf(fd: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(8192);
  return buffer.slice(0, check(readlinkat(AT_FDCWD, cstr(`/proc/self/fd/${fd}`), buffer), "readlink"));
}

/** memfd_create(2), close-on-exec; its device and inode are the same in stat(2) and in /proc on every system. */
export function memfd(name: string): Fd {
  const MFD_CLOEXEC = 1;
  return Fd.own(check(libc.memfdCreate.call(cstr(bytes(name)), MFD_CLOEXEC), "memfd_create"));
}

/** Names that were made to be misunderstood; each is a legal name of a file. */
export const hostileNames: readonly string[] = [
  "x (deleted)",
  "x (deleted) (deleted)",
  " (deleted)",
  "two\nlines",
  "\n",
  "ends with newline\n",
  "back\\slash\\012 \\n \\",
  "not \xff\xfe\x80 UTF-8",
  "tab\tand\rreturn\x1b[31m",
  "x\npos:\t1\nlock:\t1: POSIX  ADVISORY  WRITE 1 08:01:1 0 EOF\ntfd: 1 events: 1 data: 1",
  "[vdso]",
  "x [vdso]",
  "a) R 1 (b",
  "socket:[1]",
  "x\n00400000-00401000 r-xp 00000000 00:00 0                  [vdso]",
  "n".repeat(255),
  "\xff".repeat(255),
];

/** A small deterministic generator (mulberry32): whole numbers from 0 to below `limit`. */
function generator(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  };
}

const tokens = [
  "\n",
  " ",
  "\t",
  ":",
  "-",
  "0",
  "9",
  "f",
  "\0",
  "\xff",
  "(",
  ")",
  "/",
  "EOF",
  "->",
  "f".repeat(40),
  "9".repeat(40),
];

/**
 * Gives the parser the seeds cut off at every length, thousands of mutations, and inputs of a quarter of a megabyte. It has to answer or to
 * throw a SyntaxError of one line, and to be done with all of it soon.
 */
export function assertRobust(parse: (bytes: Uint8Array) => unknown, seeds: readonly string[]): void {
  const attempt = (input: Uint8Array) => {
    try {
      parse(input);
    } catch (error) {
      const fine = error instanceof SyntaxError && error.message.length < 1000 &&
        !error.message.includes("\n");
      assert(fine, `${JSON.stringify(text(input.subarray(0, 2000)))}: ${error}`);
    }
  };
  const began = performance.now();
  const random = generator(1);
  for (const seed of seeds) {
    const whole = bytes(seed);
    for (let length = 0; length < whole.length; length++) attempt(whole.subarray(0, length));
    for (let round = 0; round < 2000; round++) attempt(mutated(seed, random));
    attempt(bytes(seed.repeat(Math.ceil(2 ** 18 / seed.length))));
    for (const token of ["9", "f", " ", "\n", "(", ":"]) {
      attempt(bytes(seed.slice(0, random(seed.length)) + token.repeat(2 ** 18)));
    }
  }
  const took = performance.now() - began;
  assert(took < 10_000 * seeds.length, `${took} ms`);
}

/** A seed with a few places changed, dropped, doubled or replaced by a token. */
function mutated(seed: string, random: (limit: number) => number): Uint8Array {
  let result = seed;
  for (let changes = 1 + random(5); changes > 0; changes--) {
    const at = random(result.length + 1);
    const until = Math.min(result.length, at + random(8));
    const replacement = [
      "",
      result.slice(at, until).repeat(2),
      tokens[random(tokens.length)]!,
      String.fromCharCode(random(256)),
    ][random(4)]!;
    result = result.slice(0, at) + replacement + result.slice(until);
  }
  return bytes(result);
}
