/** File handles. Opening by one needs root. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH, O_RDONLY } from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat, read } from "../../ffi/sys/file.ts";
import { nameToHandleAt, openByHandleAt } from "../../ffi/sys/handles.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { requires } from "../support/requirements.ts";
import { temporaryDirectory, writeText } from "./support/temporary.ts";

Deno.test({
  name: "handles: a file is the same by path and by descriptor, and is opened by its handle under any name",
  ...await requires({ root: true }),
  fn() {
    using directory = temporaryDirectory();
    const path = writeText(directory, "file", "text");
    using mount = Fd.own(check(openat(AT_FDCWD, cstr(directory.path), O_RDONLY | O_CLOEXEC), "openat"));
    using file = Fd.own(check(openat(AT_FDCWD, cstr(path), O_PATH | O_CLOEXEC), "openat"));
    const handle = nameToHandleAt(directory.fd, cstr("file"), 0);
    assert(typeof handle !== "number");
    assertEquals(nameToHandleAt(file.raw, null, AT_EMPTY_PATH), handle);
    Deno.renameSync(path, `${path}.renamed`);
    using found = Fd.own(check(openByHandleAt(mount.raw, handle, O_RDONLY | O_CLOEXEC), "open_by_handle_at"));
    const buffer = new Uint8Array(9);
    assertEquals(read(found.raw, buffer), 4);
    assertEquals(openByHandleAt(file.raw, handle, O_RDONLY), -Errno.EBADF); // O_PATH
    found.close();
    file.close();
    Deno.removeSync(`${path}.renamed`);
    assertEquals(openByHandleAt(mount.raw, handle, O_RDONLY), -Errno.ESTALE);
    assertEquals(nameToHandleAt(directory.fd, cstr("file"), 0), -Errno.ENOENT);
    assertEquals(nameToHandleAt(AT_FDCWD, cstr("/proc/self/stat"), 0), -Errno.EOPNOTSUPP);
    for (const bytes of [new Uint8Array(), new Uint8Array(129)]) {
      assertThrows(() => openByHandleAt(mount.raw, { type: 1, bytes }, O_RDONLY), RangeError);
    }
  },
});
