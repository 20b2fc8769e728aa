import { assert, assertEquals } from "@std/assert";
import { classify, testFiles } from "../../tools/test_files.ts";

Deno.test("test files: what mounts is told by name and place from what runs anywhere", () => {
  const files = classify([
    "tests/host/log_test.ts",
    "tests/fs/posix_fuse_test.ts",
    "tests/e2e/waiting_test.ts",
    "tests/e2e/deep/ending_fuse_test.ts",
    "tests/e2e/support/proc.ts",
    "tests/ffi/abi_test.ts",
    "tests/ffi/test_data.bin",
    "tests/vm/deep/locks_test.ts",
    "tests/vm/machine/image.ts",
  ]);
  assertEquals(files, {
    anywhere: ["tests/ffi/abi_test.ts", "tests/host/log_test.ts"],
    mounts: ["tests/fs/posix_fuse_test.ts"],
    endToEnd: ["tests/e2e/deep/ending_fuse_test.ts", "tests/e2e/waiting_test.ts"],
    machine: ["tests/vm/deep/locks_test.ts"],
  });
});

Deno.test("test files: this one is found, and each file in one place only", async () => {
  const { anywhere, mounts, endToEnd, machine } = await testFiles(new URL("../../", import.meta.url));
  assert(anywhere.includes("tests/tools/test_files_test.ts"));
  const all = [...anywhere, ...mounts, ...endToEnd, ...machine];
  assertEquals(new Set(all).size, all.length);
});
