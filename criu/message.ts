/**
 * One protobuf message of an image, field by field. Nothing is copied: bytes are views into the image, so what a length says costs
 * nothing before it has been compared with what is there.
 *
 * @module
 */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ImageError } from "./image_error.ts";
import { keyOf, PathError } from "./names.ts";

/** A message, or what else lies in an image in one piece. */
export interface Message {
  /** The image that it is in. */
  readonly file: string;
  /** Where in that it begins. */
  readonly offset: number;
  /** The message. */
  readonly bytes: Uint8Array;
}

/** The value of one field. Whoever visits it takes it once, by one of the methods, or leaves it. */
export interface FieldValue {
  /** A uint32, an int32 or an enum. @throws {ImageError} when the field is no integer */
  uint32(): number;
  /** A uint64. @throws {ImageError} when the field is no integer */
  uint64(): bigint;
  /** A sint32, which is zigzag-coded. @throws {ImageError} when the field is no integer */
  sint32(): number;
  /** Bytes, or a string: CRIU writes file names into strings, whatever bytes they are of. @throws {ImageError} when it is neither */
  bytes(): Uint8Array;
  /** Another message. @throws {ImageError} when the field has no length */
  message(): Message;
}

/** The most bytes of a file name in an image: PATH_MAX. */
const maxName = 4096;

/**
 * Visits every field of a message, in its order.
 *
 * @throws {ImageError} naming the offset of what is cut off or no protobuf
 */
export function eachField(message: Message, visit: (field: number, value: FieldValue) => void): void {
  const { file, offset, bytes } = message;
  const reader = new BinaryReader(bytes);
  let start = 0;
  let type: WireType = WireType.Varint;
  let taken = false;
  const fail = (what: string): never => {
    throw new ImageError(file, offset + start, what);
  };
  const take = (wanted: WireType) => {
    if (type !== wanted) fail(`a field has wire type ${type} instead of ${wanted}`);
    taken = true;
  };
  const value: FieldValue = {
    uint32() {
      take(WireType.Varint);
      return reader.uint32();
    },
    uint64() {
      take(WireType.Varint);
      return BigInt(reader.uint64());
    },
    sint32() {
      take(WireType.Varint);
      return reader.sint32();
    },
    bytes() {
      take(WireType.LengthDelimited);
      return reader.bytes();
    },
    message() {
      const part = this.bytes();
      return { file, offset: offset + reader.pos - part.length, bytes: part };
    },
  };
  try {
    while (reader.pos < reader.len) {
      start = reader.pos;
      taken = false;
      const [field, wireType] = reader.tag();
      type = wireType;
      // Groups nest; CRIU has none.
      if (type === WireType.StartGroup || type === WireType.EndGroup) fail("a field is a group");
      visit(field, value);
      if (!taken) reader.skip(type, field);
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    fail(`no protobuf: ${(error as Error).message}`);
  }
}

/** A field that CRIU always writes. @throws {ImageError} when it is not there */
export function required<T>(message: Message, name: string, value: T | undefined): T {
  if (value === undefined) throw new ImageError(message.file, message.offset, `an entry without ${name}`);
  return value;
}

/** The path of a file, without the NUL that some have. @throws {ImageError} for one that no file system can have */
export function pathOf(message: Message, value: FieldValue): Uint8Array {
  const name = textOf(message, value);
  try {
    keyOf(name);
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw new ImageError(message.file, message.offset, error.message, { cause: error });
  }
  return name;
}

/** Any text, without the NUL that some have. @throws {ImageError} when it is longer than a path may be, or has a NUL in the middle */
export function textOf(message: Message, value: FieldValue): Uint8Array {
  const bytes = value.bytes();
  const end = bytes.indexOf(0);
  const name = end < 0 ? bytes : bytes.subarray(0, end);
  if (name.length > maxName) {
    throw new ImageError(message.file, message.offset, `a name of ${name.length} bytes`);
  }
  if (end >= 0 && end < bytes.length - 1) {
    throw new ImageError(message.file, message.offset, "a name with a NUL in it");
  }
  return name;
}
