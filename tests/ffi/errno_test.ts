import { assert, assertEquals } from "@std/assert";
import { Errno, errnoName, errnoText, isSysError, SysError } from "../../ffi/errno.ts";
import { requires } from "../support/requirements.ts";
import { ask } from "./support/c_probe.ts";

Deno.test("errno: a SysError says call, subject, code and meaning", () => {
  const error = new SysError("openat", Errno.ENOENT, { path: "/x" });
  assertEquals(error.message, "openat /x: ENOENT (no such file or directory)");
  assertEquals([error.syscall, error.errno, error.code, error.path, error.pid], [
    "openat",
    2,
    "ENOENT",
    "/x",
    undefined,
  ]);
  assertEquals(error.name, "SysError");
  assertEquals(new SysError("fsync", Errno.EIO).message, "fsync: EIO (input/output error)");
  assertEquals(
    new SysError("kill", -Errno.ESRCH, { pid: 7 }).message,
    "kill [pid 7]: ESRCH (no such process)",
  );
  assertEquals(new SysError("kill", -Errno.ESRCH, { pid: 7 }).errno, 3);
});

Deno.test("errno: an unknown number keeps its number", () => {
  assertEquals(errnoName(4095), "E?4095");
  assertEquals(errnoText(4095), "unknown error 4095");
  assertEquals(new SysError("ioctl", 524).message, "ioctl: E?524 (unknown error 524)");
});

Deno.test("errno: isSysError tells SysErrors, and codes, from the rest", () => {
  const error: unknown = new SysError("open", Errno.EACCES);
  assert(isSysError(error));
  assert(isSysError(error, "EPERM", "EACCES"));
  assert(!isSysError(error, "ENOENT"));
  assert(!isSysError(new Error("EACCES")));
});

Deno.test("errno: every number has one name and a text", () => {
  assertEquals(new Set(Object.values(Errno)).size, Object.keys(Errno).length);
  for (const [name, number] of Object.entries(Errno)) {
    assertEquals(errnoName(number), name);
    assert(/^[^A-Z.]\S.*[^.]$|^RFS/.test(errnoText(number)), errnoText(number));
  }
});

Deno.test({
  name: "errno: the numbers are those of the headers",
  ...await requires({ gcc: true }),
  fn() {
    const names = Object.keys(Errno);
    const answers = ask({ includes: ["errno.h"] }, names.map((name) => ({ name, values: [name] })));
    for (const [name, number] of Object.entries(Errno)) {
      assertEquals(answers.get(name), [BigInt(number)], name);
    }
  },
});
