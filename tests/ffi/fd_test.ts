import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno, SysError } from "../../ffi/errno.ts";
import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_PATH,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { closeFd, fcntlGet, fcntlSet, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";

/** Far above what other threads of this process, which take the lowest number that is free, ever get to. */
const FAR = 900;

function open(): number {
  const low = check(openat(AT_FDCWD, cstr("/"), O_PATH | O_CLOEXEC), "openat", "/");
  const far = check(fcntlSet(low, F_DUPFD_CLOEXEC, FAR), "fcntl");
  closeFd(low);
  return far;
}
const isOpen = (raw: number) => fcntlGet(raw, F_GETFD) >= 0;

Deno.test("fd: the end of the scope closes it", () => {
  let raw;
  {
    using fd = Fd.own(open());
    raw = fd.raw;
    assert(isOpen(raw));
    assert(!fd.closed);
  }
  assert(!isOpen(raw));
});

Deno.test("fd: a second close is refused, and does not close what has the number now", () => {
  const fd = Fd.own(open());
  const { raw } = fd;
  fd.close();
  assert(fd.closed);
  const other = open();
  assertEquals(other, raw);
  assertEquals(assertThrows(() => fd.close(), SysError).code, "EBADF");
  fd[Symbol.dispose]();
  assert(isOpen(other));
  closeFd(other);
});

Deno.test("fd: what was closed or released has no number", () => {
  const closed = Fd.own(open());
  closed.close();
  const released = Fd.own(open());
  const raw = released.release();
  for (const fd of [closed, released]) {
    assertThrows(() => fd.raw, TypeError, "closed or released");
    assertThrows(() => fd.dup(), TypeError);
    assertThrows(() => fd.release(), TypeError);
    assertThrows(() => fd.close(), SysError, "EBADF");
    fd[Symbol.dispose]();
  }
  assert(isOpen(raw));
  assertEquals(closeFd(raw), 0);
});

Deno.test("fd: a duplicate is close-on-exec and lives on its own", () => {
  using copy = (() => {
    using fd = Fd.own(open());
    return fd.dup();
  })();
  assertEquals(fcntlGet(copy.raw, F_GETFD), FD_CLOEXEC);
});

Deno.test("fd: a descriptor that somebody else closed is told", () => {
  const fd = Fd.own(open());
  closeFd(fd.raw);
  assertEquals(assertThrows(() => fd.close(), SysError).errno, Errno.EBADF);
});

Deno.test("fd: a result that is an error is no descriptor", () => {
  assertThrows(() => Fd.own(-Errno.ENOENT), SysError, "EBADF");
});
