import { countOpen } from "../support/descriptors.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  AF_UNIX,
  F_GETFD,
  FD_CLOEXEC,
  KCMP_FILE,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  O_CLOEXEC,
  O_PATH,
  RLIMIT_NOFILE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { closeFd, dup, fcntlGet, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { kcmp } from "../../ffi/sys/pidfd.ts";
import { prlimit64, type Rlimit } from "../../ffi/sys/process.ts";
import * as sockets from "../../ffi/sys/socket.ts";
import { SCM_MAX_FD } from "../../ffi/sys/socket.ts";

function pair(type: number): [Fd, Fd] {
  const ends = new Int32Array(2);
  check(sockets.socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  return [Fd.own(ends[0]!), Fd.own(ends[1]!)];
}

const same = (a: number, b: number) => kcmp(Deno.pid, Deno.pid, KCMP_FILE, a, b) === 0;

for (const [name, type] of Object.entries({ SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM })) {
  Deno.test(`socket: up to 253 descriptors travel in one message, in their order (${name})`, () => {
    const [left, right] = pair(type);
    using _left = left;
    using _right = right;
    using path = Fd.own(check(openat(-100, cstr("/"), O_PATH | O_CLOEXEC), "openat"));
    for (const count of [1, 2, SCM_MAX_FD]) {
      const sent = Array.from({ length: count }, (_, i) => i % 2 === 0 ? path.raw : left.raw);
      assertEquals(sockets.sendFds(left.raw, sent), 1);
      const received = sockets.recvFds(right.raw);
      assert(typeof received !== "number");
      assertEquals(received.length, count);
      for (const [i, fd] of received.entries()) {
        assert(same(fd, sent[i]!));
        assertEquals(fcntlGet(fd, F_GETFD), FD_CLOEXEC);
        assertEquals(closeFd(fd), 0);
      }
      assertEquals(sockets.recvFds(right.raw), -Errno.EAGAIN);
    }
  });
}

Deno.test("socket: no descriptor, too many and bad ones are refused", () => {
  const [left, right] = pair(SOCK_DGRAM);
  using _right = right;
  assertThrows(() => sockets.sendFds(left.raw, []), RangeError);
  assertThrows(() => sockets.sendFds(left.raw, new Array(SCM_MAX_FD + 1).fill(left.raw)), RangeError);
  assertEquals(sockets.sendFds(left.raw, [1_000_000]), -Errno.EBADF);
  left.close();
  assertEquals(sockets.sendFds(right.raw, [right.raw]), -Errno.ECONNREFUSED);
});

Deno.test("socket: a full queue makes sendFds answer instead of waiting", () => {
  const [left, right] = pair(SOCK_DGRAM);
  using _left = left;
  using _right = right;
  let result = 1;
  for (let i = 0; i < 10_000 && result === 1; i++) result = sockets.sendFds(left.raw, [left.raw]);
  assertEquals(result, -Errno.EAGAIN);
});

Deno.test("socket: descriptors that do not all fit are not left open", () => {
  const [left, right] = pair(SOCK_DGRAM);
  using _left = left;
  using _right = right;
  const before = prlimit64(0, RLIMIT_NOFILE) as Rlimit;
  assertEquals(sockets.sendFds(left.raw, [left.raw, left.raw, left.raw]), 1);
  const sent = Deno.readLinkSync(`/proc/self/fd/${left.raw}`);
  const ours = () => countOpen((link) => link === sent);
  const open = ours();
  const free = dup(left.raw); // the lowest free descriptor
  closeFd(free);
  prlimit64(0, RLIMIT_NOFILE, { soft: BigInt(free + 1), hard: before.hard });
  try {
    assertEquals(sockets.recvFds(right.raw), -Errno.EMFILE);
  } finally {
    prlimit64(0, RLIMIT_NOFILE, before);
  }
  assertEquals(ours(), open);
});

Deno.test("socket: data is sent, looked at and received", () => {
  const [left, right] = pair(SOCK_DGRAM);
  using _left = left;
  using _right = right;
  const buffer = new Uint8Array(4);
  assertEquals(sockets.recv(right.raw, buffer, MSG_DONTWAIT), -Errno.EAGAIN);
  assertEquals(sockets.send(left.raw, new Uint8Array([1, 2, 3, 4, 5, 6]), MSG_NOSIGNAL), 6);
  assertEquals(sockets.recv(right.raw, buffer, MSG_PEEK | MSG_TRUNC), 6);
  assertEquals(sockets.recv(right.raw, buffer, 0), 4);
  assertEquals([...buffer], [1, 2, 3, 4]);
});

Deno.test("socket: a listener is bound, named, connected to and asked for its options", () => {
  const name = new TextEncoder().encode(`\0spfs-test-${Deno.pid}`);
  const address = new Uint8Array(2 + name.length);
  address[0] = AF_UNIX;
  address.set(name, 2);
  using listener = Fd.own(check(sockets.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  using client = Fd.own(check(sockets.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  assertEquals(sockets.connect(client.raw, address), -Errno.ECONNREFUSED);
  assertEquals(sockets.bind(listener.raw, address), 0);
  assertEquals(sockets.bind(listener.raw, address), -Errno.EINVAL);
  assertEquals(sockets.listen(listener.raw, 3), 0);
  assertEquals(sockets.connect(client.raw, address), 0);
  using accepted = Fd.own(check(sockets.accept4(listener.raw, SOCK_CLOEXEC), "accept4"));
  const shown = new Uint8Array(128);
  assertEquals(sockets.getsockname(accepted.raw, shown), address.length);
  assertEquals(shown.subarray(0, address.length), address);
  const option = new Int32Array(1);
  const bytes = new Uint8Array(option.buffer);
  assertEquals(sockets.getsockopt(listener.raw, 1, 30, /* SO_ACCEPTCONN */ bytes), 4);
  assertEquals(option[0], 1);
  option[0] = 8192;
  assertEquals(sockets.setsockopt(client.raw, 1, 7, /* SO_SNDBUF */ bytes), 0);
  assertEquals(sockets.getsockopt(client.raw, 1, 7, bytes), 4);
  assertEquals(option[0], 16384); // the kernel doubles it
});
