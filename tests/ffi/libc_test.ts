import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno, SysError } from "../../ffi/errno.ts";
import { addressOf, check, cstr, libcName, pathText, symbol } from "../../ffi/sys/libc.ts";
import { closeFd, fstat, lseek, openat, pread, StatxBuffer } from "../../ffi/sys/file.ts";
import { mkdirat } from "../../ffi/sys/dir.ts";
import { AT_FDCWD, O_CLOEXEC, O_PATH, O_RDONLY, STATX_TYPE } from "../../ffi/sys/constants.ts";

Deno.test("libc: cstr ends strings and bytes with one NUL, in memory of their own", () => {
  assertEquals([...cstr("é")], [0xc3, 0xa9, 0]);
  const bytes = new Uint8Array([0xff, 0x0a]);
  const made = cstr(bytes);
  bytes[0] = 1;
  assertEquals([...made], [0xff, 0x0a, 0]);
  assertEquals([...cstr("")], [0]);
});

Deno.test("libc: what C would cut short is refused", () => {
  const error = assertThrows(() => cstr("a\0b"), SysError);
  assertEquals([error.code, error.path], ["EINVAL", "a\\x00b"]);
  assertThrows(() => cstr(new Uint8Array([0x61, 0])), SysError, "EINVAL");
  assertThrows(() => cstr("\ud800"), SysError, "EILSEQ");
});

Deno.test("libc: a path is shown in one line, up to its NUL", () => {
  assertEquals(pathText(new Uint8Array([0x61, 0x0a, 0xff, 0x1b, 0, 0x62])), "a\\x0a\ufffd\\x1b");
  assertEquals(pathText("a\tb"), "a\\x09b");
  assertEquals(pathText(cstr("\ufeffx")), "\ufeffx");
});

Deno.test("libc: check passes results through and throws error numbers", () => {
  assertEquals(check(3, "openat", "/x"), 3);
  assertEquals(check(1n << 60n, "lseek"), 1n << 60n);
  const error = assertThrows(() => check(-Errno.EACCES, "openat", cstr("/x")), SysError);
  assertEquals(error.message, "openat /x: EACCES (permission denied)");
  assertThrows(() => check(-6n, "lseek"), SysError, "ENXIO");
});

Deno.test("libc: an address is that of the first byte, of a view as well, and stays", () => {
  const strnlen = symbol("strnlen", { parameters: ["usize", "usize"], result: "i32" });
  const bytes = new Uint8Array([1, 2, 3, 0, 5]);
  const address = addressOf(bytes);
  for (let i = 0; i < 50_000; i++) new Array(100).fill(i); // work for the garbage collector
  assertEquals(addressOf(bytes), address);
  assertEquals(addressOf(bytes.subarray(2)), address + 2n);
  assertEquals(strnlen.call(address, 5n), 3);
  assertEquals(strnlen.call(address + 2n, 5n), 1);
});

Deno.test("libc: a function that the C library lacks is named", () => {
  const missing = symbol("no_such_function_anywhere", { parameters: [], result: "i32" });
  assertThrows(() => missing.call(), Error, "no_such_function_anywhere");
  assert(libcName.length > 0);
});

Deno.test("libc: the error number is that of the call, also amid garbage collections", () => {
  const directory = Deno.makeTempDirSync();
  const fd = check(openat(AT_FDCWD, cstr(directory), O_RDONLY | O_CLOEXEC), "openat", directory);
  const path = check(openat(AT_FDCWD, cstr(directory), O_PATH | O_CLOEXEC), "openat", directory);
  try {
    const missing = cstr(`${directory}/missing`);
    const present = cstr(directory);
    const out = new StatxBuffer();
    const buffer = new Uint8Array(16);
    const calls: [() => number | bigint, number][] = [
      [() => openat(AT_FDCWD, missing, O_RDONLY), Errno.ENOENT],
      [() => closeFd(-1), Errno.EBADF],
      [() => mkdirat(AT_FDCWD, present, 0o755), Errno.EEXIST],
      [() => pread(fd, buffer, 16, 0n), Errno.EISDIR],
      [() => lseek(fd, -5n, 0), Errno.EINVAL],
      [() => fstat(1 << 20, STATX_TYPE, out), Errno.EBADF],
      [() => lseek(path, 0n, 0), Errno.EBADF],
    ];
    let garbage: unknown[] = [];
    for (let i = 0; i < 200_000; i++) {
      const [call, errno] = calls[i % calls.length]!;
      garbage.push(new Uint8Array(i % 512), { i, big: BigInt(i) << 40n }, `${i}`);
      if (garbage.length > 3000) garbage = [];
      const result = Number(call());
      if (result !== -errno) assertEquals(result, -errno, `call ${i % calls.length} in round ${i}`);
    }
  } finally {
    closeFd(path);
    closeFd(fd);
    Deno.removeSync(directory);
  }
});

Deno.test("libc: each worker has an error number of its own", async () => {
  const source = `
    import { openat } from "${new URL("../../ffi/sys/file.ts", import.meta.url)}";
    import { cstr } from "${new URL("../../ffi/sys/libc.ts", import.meta.url)}";
    let wrong = 0;
    for (let i = 0; i < 20000; i++) if (openat(-100, cstr("/no/such/file"), 0) !== -2) wrong++;
    postMessage(wrong);
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "application/typescript" }));
  const worker = new Worker(url, { type: "module" });
  const answer = new Promise<number>((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) if (closeFd(-1) !== -Errno.EBADF) wrong++;
  assertEquals([wrong, await answer], [0, 0]);
  worker.terminate();
  URL.revokeObjectURL(url);
});
