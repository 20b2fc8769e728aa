import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  chooseAbi,
  fuse_buf,
  libfuse317Layouts,
  libfuseLayouts,
  libfusePrototypes,
  libfuseSymbols,
  LOWLEVEL_OP_NAMES,
  lowlevelOps,
  OP_SIZE,
  opsIndex,
} from "../../ffi/fuse/abi.ts";
import * as kernel from "../../ffi/fuse/kernel.ts";
import { fieldSize, type FieldType } from "../../ffi/layout.ts";
import { libfusePaths } from "../../tools/libfuse.ts";
import { requires } from "../support/requirements.ts";
import { ask, type ProbeOptions, type Question } from "./support/c_probe.ts";

/** What a C type is passed as. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  "void": ["void"],
  "int": ["i32"],
  "size_t": ["usize"],
  "fuse_ino_t": ["u64"],
  "off_t": ["i64"],
  "fuse_req_t": ["usize"],
};

function options(flags: readonly string[]): ProbeOptions {
  return {
    defines: ["FUSE_USE_VERSION 312", "_FILE_OFFSET_BITS 64"],
    includes: ["fuse3/fuse_lowlevel.h"],
    flags: ["-Wno-type-limits", ...flags],
  };
}

/** Compares every table with the headers that a compiler finds with these flags. */
function compareWithHeaders(soname: string, flags: readonly string[]): void {
  const version = ask(options(flags), [{
    name: "version",
    values: ["FUSE_MAJOR_VERSION", "FUSE_MINOR_VERSION"],
  }]);
  const [major, minor] = version.get("version")!.map(Number) as [number, number];
  const abi = chooseAbi({ major, minor });
  assertEquals(abi.soname, soname);
  const expected = new Map<string, bigint[]>();
  const questions: Question[] = [];
  const expect = (name: string, value: string, number: number) => {
    questions.push({ name, values: [value] });
    expected.set(name, [BigInt(number)]);
  };

  expect("op_size", "sizeof(struct fuse_lowlevel_ops)", abi.opSize);
  for (const name of LOWLEVEL_OP_NAMES.slice(0, abi.opSize / 8)) {
    expect(name, `offsetof(struct fuse_lowlevel_ops, ${name})`, opsIndex(name) * 8);
  }
  const layouts: Record<string, { size: number; fields: Record<string, readonly [FieldType, number]> }> = {};
  for (const [name, layout] of Object.entries(libfuseLayouts)) layouts[name] = { ...layout };
  if (minor >= 17) {
    for (const [name, { size, fields }] of Object.entries(libfuse317Layouts)) {
      layouts[name] = { size, fields: { ...layouts[name]?.fields, ...fields } };
    }
  }
  for (const [name, { size, fields }] of Object.entries(layouts)) {
    expect(name, `sizeof(struct ${name})`, size);
    for (const [field, [type, offset]] of Object.entries(fields)) {
      const typed = `__typeof__(((struct ${name} *)0)->${field})`;
      questions.push({
        name: `${name}.${field}`,
        values: [`offsetof(struct ${name}, ${field})`, `sizeof(${typed})`],
      });
      expected.set(`${name}.${field}`, [BigInt(offset), BigInt(fieldSize(type))]);
    }
  }
  assertEquals(ask(options(flags), questions), expected);

  const declarations = Object.entries(libfuseSymbols).flatMap(([key, symbol]) => {
    const { since, prototype } = libfusePrototypes[key as keyof typeof libfusePrototypes];
    const name = "name" in symbol ? symbol.name : key;
    const known = Number(since.split(".")[1]) <= minor;
    // From 3.17 on the header makes fuse_session_new an inline function of its own.
    if (!known || (name === "fuse_session_new" && abi.sessionNew !== name)) return [];
    return [`_Static_assert(__builtin_types_compatible_p(__typeof__(${name}), ${prototype}), "${name}");`];
  });
  assert(declarations.length >= 10);
  ask({ ...options(flags), declarations: declarations.join("\n") }, [{ name: "compiles", values: ["1"] }]);
}

const found = await libfusePaths();

for (const soname of ["libfuse3.so.3", "libfuse3.so.4"] as const) {
  const files = found[soname];
  const flags = files?.include === undefined ? [] : ["-I", files.include];
  Deno.test({
    name: `abi: operations, structs and prototypes are those of the headers of ${soname}`,
    ...await requires({ gcc: true, libfuse: soname }),
    fn: () => compareWithHeaders(soname, flags),
  });

  Deno.test({
    name: `abi: ${soname} has the functions that its version is said to have`,
    ...await requires({ programs: ["nm"], other: () => files ? undefined : `no ${soname}` }),
    fn() {
      const { stdout } = new Deno.Command("nm", { args: ["-D", "--defined-only", files!.library] })
        .outputSync();
      const symbols = new Set(
        new TextDecoder().decode(stdout).split("\n").map((line) => line.split(/[ @]/)[2]),
      );
      const { sessionNew } = chooseAbi({ major: 3, minor: soname === "libfuse3.so.3" ? 10 : 17 });
      assert(symbols.has(sessionNew), sessionNew);
      for (const [key, symbol] of Object.entries(libfuseSymbols)) {
        if (!("optional" in symbol)) assert(symbols.has("name" in symbol ? symbol.name : key), key);
      }
    },
  });
}

Deno.test("abi: the FFI types of each function are those of its C prototype", () => {
  for (const [key, symbol] of Object.entries(libfuseSymbols)) {
    const { prototype } = libfusePrototypes[key as keyof typeof libfusePrototypes];
    const [, result, list] = /^(.*?)\s*\((.*)\)$/.exec(prototype)!;
    const parameters = list === "void" ? [] : list!.split(", ");
    const allowed = (type: string) => TYPES[type] ?? (type.endsWith("*") ? ["pointer", "buffer"] : []);
    assert(allowed(result!).includes(symbol.result), key);
    assertEquals(symbol.parameters.length, parameters.length, key);
    symbol.parameters.forEach((type, index) =>
      assert(allowed(parameters[index]!).includes(type), `${key} ${index}`)
    );
  }
});

Deno.test("abi: every opcode that libfuse hands on has its function, within the size that all versions take", () => {
  const names = (opcode: number) =>
    lowlevelOps(OP_SIZE).filter(([code]) => code === opcode).map(([, index]) => LOWLEVEL_OP_NAMES[index]);
  assertEquals(names(kernel.FUSE_LOOKUP), ["lookup"]);
  assertEquals(names(kernel.FUSE_RENAME2), ["rename"]);
  assertEquals(names(kernel.FUSE_SETLKW), ["setlk", "flock"]);
  assertEquals(names(kernel.FUSE_BATCH_FORGET), ["forget_multi"]);
  assertEquals(names(kernel.FUSE_STATX), []);
  for (const [, index] of lowlevelOps(OP_SIZE)) {
    assert((index + 1) * 8 <= OP_SIZE);
    // These two are not called with a request, and these two want buffers of libfuse's own.
    assert(!["init", "destroy", "write_buf", "retrieve_reply"].includes(LOWLEVEL_OP_NAMES[index]!));
  }
  const all = lowlevelOps(chooseAbi({ major: 3, minor: 18 }).opSize).map(([, index]) =>
    LOWLEVEL_OP_NAMES[index]!
  );
  assertEquals(new Set(all).size, LOWLEVEL_OP_NAMES.length - 4);
});

Deno.test("abi: the soname and the way to make a session follow the version", () => {
  const of = (minor: number) => {
    const { soname, sessionNew, opSize, bufSize } = chooseAbi({ major: 3, minor });
    return [soname, sessionNew, opSize, bufSize];
  };
  assertEquals(of(10), ["libfuse3.so.3", "fuse_session_new", 352, 40]);
  assertEquals(of(16), ["libfuse3.so.3", "fuse_session_new", 352, 40]);
  assertEquals(of(17), ["libfuse3.so.4", "fuse_session_new_versioned", 360, 48]);
  assertEquals(of(18), ["libfuse3.so.4", "fuse_session_new_versioned", 368, 48]);
  assert(fuse_buf.size >= chooseAbi({ major: 3, minor: 18 }).bufSize);
  assertThrows(() => chooseAbi({ major: 3, minor: 9 }), RangeError, "3.9");
  assertThrows(() => chooseAbi({ major: 2, minor: 9 }), RangeError);
});
