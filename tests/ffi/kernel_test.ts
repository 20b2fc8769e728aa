import { assertEquals } from "@std/assert";
import * as kernel from "../../ffi/fuse/kernel.ts";
import { fieldSize, type FieldType } from "../../ffi/layout.ts";
import { requires } from "../support/requirements.ts";
import { headerTrees } from "./support/header_trees.ts";
import { ask, lacksHeaders, type Question } from "./support/c_probe.ts";

/** The minor version of the protocol that brought an enumerator, struct or field to linux/fuse.h, if it is later than 7.30. */
const SINCE: Readonly<Record<string, number>> = {
  FUSE_SETUPMAPPING: 31,
  FUSE_REMOVEMAPPING: 31,
  FUSE_SYNCFS: 34,
  FUSE_TMPFILE: 37,
  FUSE_STATX: 39,
  FUSE_COPY_FILE_RANGE_64: 45,
  FUSE_NOTIFY_RESEND: 40,
  FUSE_NOTIFY_INC_EPOCH: 44,
  FUSE_NOTIFY_PRUNE: 45,
  "fuse_attr.flags": 32,
  "fuse_open_in.open_flags": 33,
  "fuse_create_in.open_flags": 33,
  "fuse_open_out.backing_id": 40,
  "fuse_in_header.total_extlen": 38,
  fuse_setxattr_in: 33,
  fuse_init_in: 36,
  "fuse_init_out.flags2": 36,
  "fuse_init_out.max_stack_depth": 40,
  "fuse_init_out.request_timeout": 43,
  "fuse_notify_inval_entry_out.flags": 38,
  fuse_syncfs_in: 34,
  fuse_ext_header: 38,
  fuse_statx_in: 39,
  fuse_statx_out: 39,
  fuse_statx: 39,
  fuse_backing_map: 40,
  fuse_copy_file_range_out: 45,
  fuse_notify_prune_out: 45,
};

/** INIT flags that the tables have as they stand in `flags2`, and the header 32 bits higher. */
const FLAGS2: ReadonlySet<string> = new Set([
  "FUSE_SECURITY_CTX",
  "FUSE_HAS_INODE_DAX",
  "FUSE_CREATE_SUPP_GROUP",
  "FUSE_HAS_EXPIRE_ONLY",
  "FUSE_DIRECT_IO_ALLOW_MMAP",
  "FUSE_PASSTHROUGH",
  "FUSE_NO_EXPORT_SUPPORT",
  "FUSE_HAS_RESEND",
  "FUSE_ALLOW_IDMAP",
  "FUSE_OVER_IO_URING",
  "FUSE_REQUEST_TIMEOUT",
]);

/** Further macros that are later than 7.30, and asked for only where they are defined. */
const NEWER: ReadonlySet<string> = new Set([
  ...FLAGS2,
  "FUSE_MAP_ALIGNMENT",
  "FUSE_SUBMOUNTS",
  "FUSE_HANDLE_KILLPRIV_V2",
  "FUSE_SETXATTR_EXT",
  "FUSE_INIT_EXT",
  "FUSE_INIT_RESERVED",
  "FUSE_OPEN_KILL_SUIDGID",
  "FUSE_WRITE_KILL_SUIDGID",
  "FUSE_SETXATTR_ACL_KILL_SGID",
  "FUSE_COMPAT_SETXATTR_IN_SIZE",
  "FUSE_ATTR_SUBMOUNT",
  "FUSE_ATTR_DAX",
  "FATTR_KILL_SUIDGID",
  "FOPEN_NOFLUSH",
  "FOPEN_PARALLEL_DIRECT_WRITES",
  "FOPEN_PASSTHROUGH",
  "FUSE_EXPIRE_ONLY",
  "FUSE_UNIQUE_RESEND",
  "FUSE_DEV_IOC_CLONE",
  "FUSE_DEV_IOC_BACKING_OPEN",
  "FUSE_DEV_IOC_BACKING_CLOSE",
]);

/** Structs that consist of one other struct: the fields of the tables are that one's. */
const WRAPPED: Readonly<Record<string, string>> = { fuse_statfs_out: "st.", fuse_lk_out: "lk." };

const includes = ["linux/fuse.h", "sys/ioctl.h"];
const constants = Object.entries(kernel).filter((entry): entry is [string, number | bigint] =>
  typeof entry[1] === "number" || typeof entry[1] === "bigint"
);

function since(...names: string[]): string {
  return `FUSE_KERNEL_MINOR_VERSION >= ${Math.max(0, ...names.map((name) => SINCE[name] ?? 0))}`;
}

for (const { name, flags } of await headerTrees()) {
  Deno.test({
    name: `kernel: opcodes, flags and ioctls are those of linux/fuse.h in ${name}`,
    ...await requires({ gcc: true, other: () => lacksHeaders(includes, flags) }),
    fn() {
      const questions = constants.map(([name]): Question => ({
        name,
        values: [FLAGS2.has(name) ? `(unsigned long long)${name} >> 32` : name],
        when: NEWER.has(name) ? `defined(${name})` : since(name),
      }));
      const answers = ask({ includes, flags }, questions);
      for (const [name, value] of constants) {
        const answer = answers.get(name);
        // A macro of type int may have its sign bit set.
        if (answer !== undefined) {
          assertEquals(BigInt.asUintN(typeof value === "bigint" ? 64 : 32, answer[0]!), BigInt(value), name);
        }
      }
      for (
        const name of ["FUSE_LOOKUP", "FUSE_LSEEK", "FUSE_PARALLEL_DIROPS", "FOPEN_KEEP_CACHE", "FATTR_CTIME"]
      ) {
        assertEquals(answers.has(name), true, name);
      }
    },
  });

  Deno.test({
    name: `kernel: sizes, offsets, widths and signs of fields are those of linux/fuse.h in ${name}`,
    ...await requires({ gcc: true, other: () => lacksHeaders(includes, flags) }),
    fn() {
      const questions: Question[] = [];
      const expected = new Map<string, bigint[]>();
      for (const [name, { size, fields }] of Object.entries(kernel.kernelLayouts)) {
        questions.push({ name, values: [`sizeof(struct ${name})`], when: since(name) });
        expected.set(name, [BigInt(size)]);
        for (const [field, [type, offset]] of Object.entries<readonly [FieldType, number]>(fields)) {
          const key = `${name}.${field}`;
          const member = `${WRAPPED[name] ?? ""}${field}`;
          const typed = `__typeof__(((struct ${name} *)0)->${member})`;
          questions.push({
            name: key,
            values: [`offsetof(struct ${name}, ${member})`, `sizeof(${typed})`, `(${typed})-1 < 1`],
            when: since(name, key),
          });
          expected.set(key, [BigInt(offset), BigInt(fieldSize(type)), type.startsWith("i") ? 1n : 0n]);
        }
      }
      const answers = ask({ includes, flags: ["-Wno-type-limits", ...flags] }, questions);
      for (const [name, answer] of answers) assertEquals(answer, expected.get(name), name);
      assertEquals(answers.has("fuse_in_header.unique"), true);
      assertEquals(answers.size > 200, true, `only ${answers.size} were asked`);
    },
  });
}

Deno.test("kernel: no two opcodes, INIT flags or notifications are the same", () => {
  for (const pattern of [/^FATTR_/, /^FOPEN_/, /^FUSE_NOTIFY_(?!REPLY)/, /^FUSE_IOCTL_/]) {
    const values = constants.filter(([name]) => pattern.test(name)).map(([, value]) => value);
    assertEquals(new Set(values).size, values.length, String(pattern));
  }
});

Deno.test("kernel: fields of a struct do not overlap", () => {
  for (const [name, { size, fields }] of Object.entries(kernel.kernelLayouts)) {
    const used = new Set<number>();
    for (const [type, offset] of Object.values<readonly [FieldType, number]>(fields)) {
      for (let at = offset; at < offset + fieldSize(type); at++) {
        assertEquals(used.has(at) || at >= size, false, name);
        used.add(at);
      }
    }
  }
});
