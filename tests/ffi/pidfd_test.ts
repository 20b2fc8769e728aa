import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  F_GETFD,
  FD_CLOEXEC,
  KCMP_FILE,
  KCMP_FILES,
  KCMP_VM,
  O_CLOEXEC,
  SEEK_CUR,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { dup, fcntlGet, lseek, openat, pipe2, read, write } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { kcmp, kcmpEpollTarget, pidfdGetfd, pidfdSendSignal } from "../../ffi/sys/pidfd.ts";
import { pidfdOpen } from "../../ffi/sys/process.ts";
import { epoll } from "./support/epoll.ts";

Deno.test("pidfd: a descriptor taken out of another process is its open file, close-on-exec", async () => {
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "piped" }).spawn();
  using pidfd = Fd.own(check(pidfdOpen(child.pid, 0), "pidfd_open"));
  using stdin = Fd.own(check(pidfdGetfd(pidfd.raw, 0), "pidfd_getfd"));
  assertEquals(fcntlGet(stdin.raw, F_GETFD), FD_CLOEXEC);
  assertEquals(kcmp(Deno.pid, child.pid, KCMP_FILE, stdin.raw, 0), 0);
  assert([1, 2].includes(kcmp(Deno.pid, child.pid, KCMP_FILE, stdin.raw, 1)));
  assertEquals(pidfdGetfd(pidfd.raw, 1_000_000), -Errno.EBADF);
  assertEquals(pidfdSendSignal(pidfd.raw, 0), 0);
  assertEquals(pidfdSendSignal(pidfd.raw, 9), 0);
  await child.stdin.close();
  await child.stdout.cancel();
  assertEquals((await child.status).signal, "SIGKILL");
  assertEquals(pidfdSendSignal(pidfd.raw, 0), -Errno.ESRCH);
  assertEquals(pidfdGetfd(pidfd.raw, 0), -Errno.ESRCH);
});

Deno.test("pidfd: kcmp orders open files, and knows dup from open", () => {
  const open = () => Fd.own(check(openat(-100, cstr("/proc/self/status"), O_CLOEXEC), "openat"));
  using one = open();
  using two = open();
  using again = Fd.own(dup(one.raw));
  const compare = (a: Fd, b: Fd) => kcmp(Deno.pid, Deno.pid, KCMP_FILE, a.raw, b.raw);
  assertEquals(compare(one, again), 0);
  assertEquals([compare(one, two), compare(two, one)].sort(), [1, 2]);
  assertEquals(compare(again, two), compare(one, two));
  assertEquals(lseek(again.raw, 0n, SEEK_CUR), 0n);
  assertEquals(kcmp(Deno.pid, Deno.pid, KCMP_FILE, one.raw, 1_000_000), -Errno.EBADF);
  assertEquals(kcmp(Deno.pid, 0x7fffffff, KCMP_FILE, one.raw, 0), -Errno.ESRCH);
  assertEquals(kcmp(Deno.pid, Deno.pid, 99), -Errno.EINVAL);
});

Deno.test("pidfd: kcmp compares descriptor tables and address spaces", async () => {
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  assertEquals(kcmp(Deno.pid, Deno.pid, KCMP_FILES), 0);
  assert([1, 2].includes(kcmp(Deno.pid, child.pid, KCMP_FILES)));
  assert([1, 2].includes(kcmp(Deno.pid, child.pid, KCMP_VM)));
  await child.stdin.close();
  await child.status;
});

Deno.test("pidfd: kcmp finds what an epoll instance watches, though the number is another file's now", () => {
  const ends = new Int32Array(2);
  check(pipe2(ends, O_CLOEXEC), "pipe2");
  using reader = Fd.own(ends[0]!);
  using writer = Fd.own(ends[1]!);
  using poll = epoll();
  poll.add(reader.raw);
  const slot = { epoll: poll.raw, target: reader.raw, offset: 0 };
  assertEquals(kcmpEpollTarget(Deno.pid, reader.raw, Deno.pid, slot), 0);
  assert([1, 2].includes(kcmpEpollTarget(Deno.pid, writer.raw, Deno.pid, slot)));
  assertEquals(kcmpEpollTarget(Deno.pid, reader.raw, Deno.pid, { ...slot, offset: 1 }), -Errno.ENOENT);
  using kept = reader.dup();
  const number = reader.raw;
  reader.close();
  using _taken = Fd.own(dup(writer.raw)); // the lowest free number, which is the reader's
  assertEquals(_taken.raw, number);
  assertEquals(kcmpEpollTarget(Deno.pid, kept.raw, Deno.pid, slot), 0);
  assertEquals(write(writer.raw, new Uint8Array(3)), 3);
  assertEquals(read(kept.raw, new Uint8Array(8)), 3);
});
