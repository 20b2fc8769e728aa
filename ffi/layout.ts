/**
 * C structs as tables: where each field is and how wide, with typed access through a DataView. Little-endian only, which both x86_64 and
 * aarch64 are.
 *
 * @module
 */

/** The width and signedness of a field. */
export type FieldType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "u64" | "i64";

/** A field: its type and its offset in bytes from the start of the struct. */
export type Field = readonly [type: FieldType, offset: number];

/** The fields of a struct by their C names. */
export type Fields = Readonly<Record<string, Field>>;

/** What a field of that type is in TypeScript: bigint when it has 64 bits, else number. */
export type FieldValue<T extends FieldType> = T extends "u64" | "i64" ? bigint : number;

/** Reads one field of the struct that starts `at` bytes into the view. */
export type Getter<T extends FieldType> = (view: DataView, at?: number) => FieldValue<T>;

/** Writes one field of the struct that starts `at` bytes into the view; a value that is too wide is cut off, as in C. */
export type Setter<T extends FieldType> = (view: DataView, value: FieldValue<T>, at?: number) => void;

/** A struct's layout. Arrays, padding and flexible members have no entry in `fields`. */
export interface Struct<F extends Fields> {
  /** `sizeof` in bytes. */
  readonly size: number;
  /** The table it was made from. */
  readonly fields: F;
  /** `offsetof` by field, in bytes. */
  readonly offset: { readonly [K in keyof F]: number };
  /** One reader for each field. */
  readonly get: { readonly [K in keyof F]: Getter<F[K][0]> };
  /** One writer for each field. */
  readonly set: { readonly [K in keyof F]: Setter<F[K][0]> };
  /**
   * One reader for each u64 that gives a number, rounded from 2^53 on: for ids that we give ourselves. As a key of a Map, a number costs a
   * fifth of a bigint.
   */
  readonly getNumber: { readonly [K in U64<F>]: (view: DataView, at?: number) => number };
  /** One writer for each u64 that takes an integer below 2^53. */
  readonly setNumber: { readonly [K in U64<F>]: (view: DataView, value: number, at?: number) => void };
}

/** The names of the fields that are u64. */
export type U64<F extends Fields> = { [K in keyof F]: F[K][0] extends "u64" ? K : never }[keyof F];

/** The bytes a field of that type takes. */
export function fieldSize(type: FieldType): number {
  return widths[type];
}

const widths: Readonly<Record<FieldType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
};

/**
 * Makes the accessors of a struct from the table of its fields.
 *
 * @throws {RangeError} when a field does not fit into `size` or is not aligned to its own width.
 */
export function struct<const F extends Fields>(fields: F, size: number): Struct<F> {
  const offset: Record<string, number> = {};
  const get: Record<string, unknown> = {};
  const set: Record<string, unknown> = {};
  const getNumber: Record<string, unknown> = {};
  const setNumber: Record<string, unknown> = {};
  for (const name in fields) {
    const [type, at] = fields[name]!;
    const width = fieldSize(type);
    if (at < 0 || at % width !== 0 || at + width > size) {
      throw new RangeError(`field ${name}: no ${type} at ${at} in ${size} bytes`);
    }
    offset[name] = at;
    get[name] = getter(type, at);
    set[name] = setter(type, at);
    if (type !== "u64") continue;
    getNumber[name] = (view: DataView, start = 0) => readNumber(view, start + at);
    setNumber[name] = (view: DataView, value: number, start = 0) => writeNumber(view, value, start + at);
  }
  return { size, fields, offset, get, set, getNumber, setNumber } as unknown as Struct<F>;
}

/** Reads a u64 as a number, rounded from 2^53 on. */
export function readNumber(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function writeNumber(view: DataView, value: number, at: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value / 2 ** 32, true);
}

// Each accessor names its DataView method: a closure over the method's name would cost a property lookup a call.
function getter(type: FieldType, offset: number): (view: DataView, at?: number) => number | bigint {
  switch (type) {
    case "u8":
      return (view, at = 0) => view.getUint8(at + offset);
    case "i8":
      return (view, at = 0) => view.getInt8(at + offset);
    case "u16":
      return (view, at = 0) => view.getUint16(at + offset, true);
    case "i16":
      return (view, at = 0) => view.getInt16(at + offset, true);
    case "u32":
      return (view, at = 0) => view.getUint32(at + offset, true);
    case "i32":
      return (view, at = 0) => view.getInt32(at + offset, true);
    case "u64":
      return (view, at = 0) => view.getBigUint64(at + offset, true);
    case "i64":
      return (view, at = 0) => view.getBigInt64(at + offset, true);
  }
}

function setter(type: FieldType, offset: number): unknown {
  switch (type) {
    case "u8":
      return (view: DataView, value: number, at = 0) => view.setUint8(at + offset, value);
    case "i8":
      return (view: DataView, value: number, at = 0) => view.setInt8(at + offset, value);
    case "u16":
      return (view: DataView, value: number, at = 0) => view.setUint16(at + offset, value, true);
    case "i16":
      return (view: DataView, value: number, at = 0) => view.setInt16(at + offset, value, true);
    case "u32":
      return (view: DataView, value: number, at = 0) => view.setUint32(at + offset, value, true);
    case "i32":
      return (view: DataView, value: number, at = 0) => view.setInt32(at + offset, value, true);
    case "u64":
      return (view: DataView, value: bigint, at = 0) => view.setBigUint64(at + offset, value, true);
    case "i64":
      return (view: DataView, value: bigint, at = 0) => view.setBigInt64(at + offset, value, true);
  }
}
