/**
 * The value types of the protocol as zod codecs: the wire's form on the input side, what the program computes with (bytes,
 * bigint, numbers) on the output side. `z.decode` goes inwards, `z.encode` outwards.
 *
 * @module
 */

import * as z from "zod/mini";
import {
  decodeBytes,
  decodeMode,
  decodePath,
  encodeBytes,
  encodeMode,
  encodePath,
  modePattern,
} from "./values.ts";

// A program that ends with its restore decodes each kind of message a few times: compiling a function for each first costs a restore 20 ms.
z.config({ jitless: true });

type Issues = { issues: z.core.$ZodRawIssue[] };

/** Runs a decoder and turns its TypeError into an issue of the value. */
function attempt<T>(decode: () => T, input: unknown, context: Issues): T | typeof z.NEVER {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    context.issues.push({ code: "custom", message: error.message, input });
    return z.NEVER;
  }
}

const wireBytes = z.strictObject({ b64: z.string() });
const octets = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** Bytes: `{"b64": ...}` outside, Uint8Array inside. */
export const bytes = z.codec(wireBytes, octets, {
  decode: (wire, context) => attempt(() => decodeBytes(wire), wire, context),
  encode: encodeBytes,
});

const wirePath = z.union([z.string(), wireBytes], { error: 'expected a string or {"b64": ...}' });

function pathCodec(fault: (bytes: Uint8Array) => string | undefined) {
  return z.codec(wirePath, octets, {
    decode: (wire, context) =>
      attempt(
        () => {
          const name = decodePath(wire);
          const message = name.includes(0) ? "has a NUL byte" : fault(name);
          if (message !== undefined) throw new TypeError(message);
          return name;
        },
        wire,
        context,
      ),
    encode: encodePath,
  });
}

const slash = 0x2f;
const dot = 0x2e;
const pathMax = 4095;
const nameMax = 255;

function relativePathFault(path: Uint8Array): string | undefined {
  if (path.length === 0) return "is empty";
  if (path.length > pathMax) return `is longer than ${pathMax} bytes`;
  let start = 0;
  for (let at = 0; at <= path.length; at++) {
    if (at < path.length && path[at] !== slash) continue;
    const length = at - start;
    if (length === 0) return "must be relative, without empty components";
    if (path[start] === dot && (length === 1 || (length === 2 && path[start + 1] === dot))) {
      return 'must not have the components "." and ".."';
    }
    if (length > nameMax) return `has a component longer than ${nameMax} bytes`;
    start = at + 1;
  }
  return undefined;
}

/** Any bytes without NUL, not empty: a mount source or the text of a symlink. */
export const text = pathCodec((path) =>
  path.length === 0 ? "is empty" : path.length > pathMax ? `is longer than ${pathMax} bytes` : undefined
);

/** A path that begins with a slash, PATH_MAX at most. */
export const absolutePath = pathCodec((path) =>
  path[0] !== slash
    ? "must begin with /"
    : path.length > pathMax
    ? `is longer than ${pathMax} bytes`
    : undefined
);

/** A path below a mount's root: no leading, trailing or doubled slash, no "." or ".." component, NAME_MAX and PATH_MAX kept. */
export const relativePath = pathCodec(relativePathFault);

/** A path as the program reports it, without rules: results must never fail for what a name looks like. */
export const reportedPath = z.codec(wirePath, octets, {
  decode: (wire, context) => attempt(() => decodePath(wire), wire, context),
  encode: encodePath,
});

function integerCodec(low: bigint, high: bigint) {
  const error = `expected a decimal integer in a string, ${low} to ${high}`;
  return z.codec(z.string({ error }).check(z.regex(/^(?:0|-?[1-9][0-9]{0,19})$/, { error })), z.bigint(), {
    decode: (wire, context) =>
      attempt(
        () => {
          const value = BigInt(wire);
          if (value < low || value > high) throw new TypeError(error);
          return value;
        },
        wire,
        context,
      ),
    encode: String,
  });
}

/** A signed 64-bit integer: decimal string outside, bigint inside. */
export const int64 = integerCodec(-(1n << 63n), (1n << 63n) - 1n);

/** A file size or another off_t that is not negative. */
export const size = integerCodec(0n, (1n << 63n) - 1n);

/** An unsigned 64-bit integer: request and mount ids. */
export const uint64 = integerCodec(0n, (1n << 64n) - 1n);

const modeError = 'expected permission bits as an octal string such as "0644"';

/** Permission, set-id and sticky bits: octal string outside, number inside. */
export const mode = z.codec(
  z.string({ error: modeError }).check(z.regex(modePattern, { error: modeError })),
  z.number(),
  { decode: decodeMode, encode: encodeMode },
);

/** A uid or gid; 2^32-1 means "no id" to the kernel and is refused. */
export const id32 = z.int().check(z.minimum(0), z.maximum(0xffff_fffe));

/** A count, or a time in whole or fractional milliseconds. */
export const count = z.int().check(z.minimum(0));

/** Milliseconds, zero or more. */
export const milliseconds = z.number().check(z.minimum(0));

/** An errno by name. The names' numbers are the host's business: it refuses a name that the kernel does not have. */
export const errnoName = z.string({ error: 'expected the name of an errno such as "EIO"' })
  .check(z.regex(/^E[A-Z0-9]{1,20}$/, { error: 'expected the name of an errno such as "EIO"' }));

const mountIdError = 'expected a mount id: 1 to 64 of the characters A-Z a-z 0-9 . _ : -, and not "all"';

/** The name a client gives a mount. */
export const mountId = z.string({ error: mountIdError })
  .check(z.regex(/^(?!all$)[A-Za-z0-9._:-]{1,64}$/, { error: mountIdError }));

/** A mount id, or "all". */
export const mountSelector = z.string({ error: mountIdError }).check(
  z.regex(/^[A-Za-z0-9._:-]{1,64}$/, { error: 'expected a mount id or "all"' }),
);
