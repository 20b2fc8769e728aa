/**
 * Loading libfuse3: which soname, which version, which symbols.
 *
 * Only the low-level session API is bound, and only what does not differ between 3.10 and 3.18 or is chosen by version here: answers go
 * out as the kernel's own structs through `fuse_reply_buf`, so none of libfuse's structs with moving layouts is ever filled in.
 *
 * @module
 */

import { chooseAbi, type LibfuseAbi, libfuseSymbols } from "./abi.ts";

/** The bound functions, as in `fuse_lowlevel.h`; requests are passed as their address. */
export type FuseSymbols = Deno.StaticForeignLibraryInterface<typeof libfuseSymbols>;

/** A version of libfuse, as `fuse_pkgversion()` says it. */
export interface FuseVersion {
  /** 3. */
  readonly major: number;
  /** 10 and later. */
  readonly minor: number;
  /** The patch level. */
  readonly patch: number;
}

/** No usable libfuse3 was found. `tried` says what each candidate failed with. */
export class FuseLibraryError extends Error {
  /** One line for each name that was tried. */
  readonly tried: readonly string[];

  /** Names what was tried and how it failed. */
  constructor(tried: readonly string[]) {
    super(`no usable libfuse3 (3.10 or later): ${tried.join("; ")}`);
    this.name = "FuseLibraryError";
    this.tried = tried;
  }
}

/** libfuse3, opened. */
export interface FuseLibrary extends Disposable {
  /** The name or path it was opened by. */
  readonly name: string;
  /** Its version. */
  readonly version: FuseVersion;
  /** Its binary interface. */
  readonly abi: LibfuseAbi;
  /** Its functions. */
  readonly symbols: FuseSymbols;
  /** Closes the library; every session must have been disposed before. */
  close(): void;
}

/** The sonames that hold the API, newest first: `.so.4` from 3.17 on, `.so.3` before. */
export const FUSE_SONAMES = ["libfuse3.so.4", "libfuse3.so.3"] as const;

/**
 * Reads "3.14.0" and the like.
 *
 * @throws {RangeError} when the text is no version.
 */
export function parseFuseVersion(text: string): FuseVersion {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) throw new RangeError(`not a libfuse version: ${JSON.stringify(text)}`);
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

/**
 * Opens libfuse3 by the first of `names` that loads and is 3.10 or later. Synchronous; opens shared objects, touches no mount.
 *
 * @param names sonames or paths, in the order to try; the machine's own by default.
 * @throws {FuseLibraryError} when none does.
 */
export function loadFuse(names: readonly string[] = FUSE_SONAMES): FuseLibrary {
  const tried: string[] = [];
  for (const name of names) {
    let library: Deno.DynamicLibrary<typeof libfuseSymbols>;
    try {
      library = Deno.dlopen(name, libfuseSymbols);
    } catch (error) {
      tried.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    const text = new Deno.UnsafePointerView(library.symbols.fuse_pkgversion()!).getCString();
    let version: FuseVersion;
    let abi: LibfuseAbi;
    try {
      version = parseFuseVersion(text);
      abi = chooseAbi(version);
    } catch (error) {
      library.close();
      tried.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    const close = () => library.close();
    return { name, version, abi, symbols: library.symbols, close, [Symbol.dispose]: close };
  }
  throw new FuseLibraryError(tried);
}
