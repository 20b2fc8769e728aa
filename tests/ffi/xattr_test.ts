import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import * as c from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat, procFdPath } from "../../ffi/sys/file.ts";
import { check, cstr, type CString } from "../../ffi/sys/libc.ts";
import * as xattr from "../../ffi/sys/xattr.ts";
import { requires } from "../support/requirements.ts";
import { temporaryDirectory, writeText } from "./support/temporary.ts";

interface Form {
  set(name: CString, value: Uint8Array, flags: number): number;
  get(name: CString, value: Uint8Array): number;
  list(names: Uint8Array): number;
  remove(name: CString): number;
}

function exercise(form: Form): void {
  const name = cstr("user.spfs");
  const value = new Uint8Array([0, 1, 255, 10]);
  assertEquals(form.get(name, value.slice()), -Errno.ENODATA);
  assertEquals(form.set(name, value, c.XATTR_REPLACE), -Errno.ENODATA);
  assertEquals(form.set(name, value, c.XATTR_CREATE), 0);
  assertEquals(form.set(name, value, c.XATTR_CREATE), -Errno.EEXIST);
  assertEquals(form.set(cstr("user.empty"), new Uint8Array(0), 0), 0);
  assertEquals(form.get(cstr("user.empty"), new Uint8Array(4)), 0);
  assertEquals(form.get(name, new Uint8Array(0)), 4);
  assertEquals(form.get(name, new Uint8Array(3)), -Errno.ERANGE);
  const out = new Uint8Array(8);
  assertEquals(form.get(name, out), 4);
  assertEquals([...out], [0, 1, 255, 10, 0, 0, 0, 0]);
  const length = form.list(new Uint8Array(0));
  const names = new Uint8Array(length);
  assertEquals(form.list(names), length);
  const listed = new TextDecoder().decode(names).split("\0").filter((listed) => listed.startsWith("user."));
  assertEquals(listed.sort(), ["user.empty", "user.spfs"]);
  assertEquals([form.remove(name), form.remove(cstr("user.empty"))], [0, 0]);
  assertEquals(form.remove(name), -Errno.ENODATA);
}

/** Attributes of users need a file system that has them: tmpfs only has since Linux 6.6. */
function lacksAttributes(): string | undefined {
  using directory = temporaryDirectory();
  const path = cstr(writeText(directory, "probe", ""));
  const result = xattr.setxattr(path, cstr("user.spfs"), new Uint8Array(1), 0);
  return result === 0 ? undefined : "temporary files have no extended attributes";
}

const skip = await requires({ other: lacksAttributes });

Deno.test({
  name: "xattr: by path",
  ...skip,
  fn() {
    using directory = temporaryDirectory();
    const path = cstr(writeText(directory, "f", ""));
    exercise({
      set: (name, value, flags) => xattr.setxattr(path, name, value, flags),
      get: (name, value) => xattr.getxattr(path, name, value),
      list: (names) => xattr.listxattr(path, names),
      remove: (name) => xattr.removexattr(path, name),
    });
    exercise({
      set: (name, value, flags) => xattr.lsetxattr(path, name, value, flags),
      get: (name, value) => xattr.lgetxattr(path, name, value),
      list: (names) => xattr.llistxattr(path, names),
      remove: (name) => xattr.lremovexattr(path, name),
    });
  },
});

Deno.test({
  name: "xattr: by descriptor, and by the path of an O_PATH one",
  ...skip,
  fn() {
    using directory = temporaryDirectory();
    writeText(directory, "f", "");
    using fd = Fd.own(check(openat(directory.fd, cstr("f"), c.O_RDWR | c.O_CLOEXEC), "openat"));
    exercise({
      set: (name, value, flags) => xattr.fsetxattr(fd.raw, name, value, flags),
      get: (name, value) => xattr.fgetxattr(fd.raw, name, value),
      list: (names) => xattr.flistxattr(fd.raw, names),
      remove: (name) => xattr.fremovexattr(fd.raw, name),
    });
    using place = Fd.own(check(openat(directory.fd, cstr("f"), c.O_PATH | c.O_CLOEXEC), "openat"));
    assertEquals(xattr.fgetxattr(place.raw, cstr("user.spfs"), new Uint8Array(1)), -Errno.EBADF);
    exercise({
      set: (name, value, flags) => xattr.setxattr(procFdPath(place.raw), name, value, flags),
      get: (name, value) => xattr.getxattr(procFdPath(place.raw), name, value),
      list: (names) => xattr.listxattr(procFdPath(place.raw), names),
      remove: (name) => xattr.removexattr(procFdPath(place.raw), name),
    });
  },
});

Deno.test("xattr: the forms with l do not follow a symbolic link", () => {
  using directory = temporaryDirectory();
  Deno.symlinkSync("nowhere", `${directory.path}/l`);
  const path = cstr(`${directory.path}/l`);
  const name = cstr("user.a");
  const buffer = new Uint8Array(1);
  const { setxattr, getxattr, listxattr, removexattr } = xattr;
  assertEquals(
    [
      setxattr(path, name, buffer, 0),
      getxattr(path, name, buffer),
      listxattr(path, buffer),
      removexattr(path, name),
    ],
    [-Errno.ENOENT, -Errno.ENOENT, -Errno.ENOENT, -Errno.ENOENT],
  );
  const { lsetxattr, lgetxattr, llistxattr, lremovexattr } = xattr;
  // A link itself has no attributes of users.
  assertEquals([lsetxattr(path, name, buffer, 0), lremovexattr(path, name)], [-Errno.EPERM, -Errno.EPERM]);
  assertEquals(lgetxattr(path, name, buffer), -Errno.ENODATA);
  assert(llistxattr(path, new Uint8Array(0)) >= 0);
});
