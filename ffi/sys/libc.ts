/**
 * The C library of the process: loading it, binding its functions, and turning its answers into the kernel's convention.
 *
 * Every wrapper in `ffi/sys` answers as the kernel does: 0 or more on success, or a negated error number. Nothing throws for an error
 * number unless its documentation says so; `check` makes an exception of it where that is wanted. All calls are synchronous, run on the
 * calling thread and block as long as the system call does, except those that are documented to return a promise.
 *
 * @module
 */
import { Errno, SysError } from "../errno.ts";
import { arch } from "./arch.ts";

const errnoLocation = {
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const loaded = load();

/**
 * The name the C library was loaded by: glibc's soname, or one of musl's.
 */
export const libcName: string = loaded.name;

/**
 * The calling thread's `errno`, as the first element.
 *
 * Only to be read in the very expression that follows a failed call (`r < 0 ? -errno[0] : r`), with no function call in between and an
 * `i32` result: a garbage collection in between may run system calls of its own on this thread.
 */
export const errno: Int32Array & { readonly 0: number } = loaded.errno as Int32Array & { readonly 0: number };

function load(): { name: string; errno: Int32Array } {
  const musl = arch === "x86_64" ? "x86_64" : "aarch64";
  const names = ["libc.so.6", `libc.musl-${musl}.so.1`, `ld-musl-${musl}.so.1`];
  const reasons: string[] = [];
  for (const name of names) {
    try {
      const location = Deno.dlopen(name, errnoLocation).symbols.__errno_location();
      if (location === null) throw new Error("__errno_location() is NULL");
      return { name, errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4)) };
    } catch (error) {
      reasons.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new Error(`cannot load the C library:\n${reasons.join("\n")}`);
}

/** A function of the C library that is bound when it is first called. */
export interface LibcSymbol<F extends Deno.ForeignFunction> {
  /** Calls it. Binding costs about 0.2 ms the first time; a call 10 to 20 ns. */
  call: Deno.StaticForeignSymbol<F>;
}

/**
 * Declares a function of the C library with fixed parameter types. Binding one compiles a trampoline, so it waits for the first call: a
 * short-lived program or worker pays for what it uses.
 *
 * Types: `i32` for int, mode_t, uid_t and flags; `i64`, `u64`, `usize` take a bigint (a number costs 100 ns more); results that fit are
 * `i32`, which spares a bigint and keeps `errno` intact.
 *
 * Variadic functions (`openat`, `fcntl`, `ioctl`, `prctl`, `syscall`) may be declared so: on both architectures integer arguments after
 * the dots are passed as those before them.
 *
 * @param name the symbol, such as "openat", or "syscall" for what the C library lacks.
 * @throws {TypeError} at the first call, when the C library does not have it.
 */
export function symbol<const F extends Deno.ForeignFunction>(name: string, definition: F): LibcSymbol<F> {
  // deno-lint-ignore no-explicit-any
  type AnyFunction = (...args: any[]) => any;
  const bound = {
    call: ((...args: unknown[]) => {
      const library = Deno.dlopen(libcName, { [name]: definition });
      const target = (library.symbols as Record<string, unknown>)[name] as AnyFunction;
      (bound as { call: AnyFunction }).call = target;
      return target(...args);
    }) as AnyFunction,
  };
  return bound as unknown as LibcSymbol<F>;
}

/**
 * Bytes that C reads as a string: the first NUL ends them. `cstr` makes one; a view into a message whose string is known to be
 * NUL-terminated is one as well.
 */
export type CString = Uint8Array;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The NUL-terminated bytes of a path, name or option. A string is encoded as UTF-8. The bytes are the caller's own and stay where they
 * are, so their address may be handed to C.
 *
 * @throws {SysError} EINVAL when there is a NUL inside, EILSEQ when a string has a lone surrogate (it has no UTF-8 form).
 */
export function cstr(text: string | Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof text === "string") {
    const terminated = new Uint8Array(new ArrayBuffer(text.length + 1));
    if (putAscii(text, terminated)) return terminated;
    if (!text.isWellFormed()) throw new SysError("cstr", Errno.EILSEQ, { path: text });
  }
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  if (bytes.includes(0)) throw new SysError("cstr", Errno.EINVAL, { path: pathText(decoder.decode(bytes)) });
  const terminated = new Uint8Array(new ArrayBuffer(bytes.length + 1));
  terminated.set(bytes);
  return terminated;
}

/**
 * Writes the text and a NUL to the beginning of a buffer that has the room, if it is ASCII without a NUL.
 *
 * @returns whether it is; if not, the buffer may have changed
 */
export function putAscii(text: string, to: Uint8Array): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0 || code > 0x7f) return false;
    to[at] = code;
  }
  to[text.length] = 0;
  return true;
}

/**
 * A path for people to read: bytes are decoded as UTF-8 as far as they are that, a NUL ends them, and control characters become `\xNN`,
 * so that one path stays one line.
 */
export function pathText(path: string | CString): string {
  const text = typeof path === "string" ? path : decoder.decode(ended(path));
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function ended(path: CString): Uint8Array {
  const end = path.indexOf(0);
  return end < 0 ? path : path.subarray(0, end);
}

/**
 * Turns a negated error number into an exception, and hands any other result through.
 *
 * @param result what a wrapper of `ffi/sys` returned.
 * @param syscall the name for the message, as in its man page.
 * @param path what the call was about, if anything.
 * @throws {SysError} when the result is negative.
 */
export function check<T extends number | bigint>(result: T, syscall: string, path?: string | CString): T {
  if (result < 0) {
    throw new SysError(syscall, -Number(result), path === undefined ? {} : { path: pathText(path) });
  }
  return result;
}

/**
 * The address of the first byte. It stays valid as long as the caller keeps a reference to `bytes`: the bytes themselves do not move.
 */
export function addressOf(bytes: Uint8Array): bigint {
  // By way of the ArrayBuffer: V8 keeps small arrays inside its moving heap until someone asks for their buffer.
  const start = Deno.UnsafePointer.of(bytes.buffer as ArrayBuffer);
  return BigInt(Deno.UnsafePointer.value(start)) + BigInt(bytes.byteOffset);
}
