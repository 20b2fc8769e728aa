import { assert, assertEquals, assertThrows } from "@std/assert";
import * as c from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import * as file from "../../ffi/sys/file.ts";
import { check, cstr, symbol } from "../../ffi/sys/libc.ts";
import { readMountinfo } from "../../ffi/sys/mountinfo.ts";
import { type FdInfo, type LockEntry, parseFdinfo } from "../../swap/procfs/fdinfo.ts";
import { temporaryDirectory } from "../ffi/support/temporary.ts";
import { assertRobust, bytes, hostileNames, memfd, procFile } from "./support/procfs.ts";

const libc = {
  epollCreate1: symbol("epoll_create1", { parameters: ["i32"], result: "i32" }),
  epollCtl: symbol("epoll_ctl", { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }),
  inotifyInit1: symbol("inotify_init1", { parameters: ["i32"], result: "i32" }),
  inotifyAddWatch: symbol("inotify_add_watch", { parameters: ["i32", "buffer", "u32"], result: "i32" }),
};

const F_SETLK = 6;
const F_SETOWN = 8;
const F_OFD_SETLK = 37;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_WRLCK = 1;
const LOCK_SH = 1;
const HEAD = "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t21\n";

const infoOf = (fd: number): FdInfo => parseFdinfo(procFile(`/proc/self/fdinfo/${fd}`));
const lock = (line: string) => parseFdinfo(bytes(`${HEAD}lock:\t${line}\n`)).locks;

function structFlock(type: number, start: bigint, length: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setInt16(0, type, true);
  view.setBigInt64(8, start, true);
  view.setBigInt64(16, length, true);
  return new Uint8Array(view.buffer);
}

Deno.test("fdinfo: the common lines are told, and nothing else is there", () => {
  assertEquals(
    parseFdinfo(bytes("pos:\t8192\nflags:\t02102001\nmnt_id:\t1234\nino:\t18446744073709551615\n")),
    {
      pos: 8192n,
      flags: 0o2102001,
      mountId: 1234,
      ino: 2n ** 64n - 1n,
      locks: [],
      epoll: [],
      inotify: [],
      fanotify: false,
      ioUring: false,
    },
  );
});

Deno.test("fdinfo: kernels that do not tell the inode, and positions of every size", () => {
  const info = parseFdinfo(bytes("pos:\t9223372036854775807\nflags:\t012000000\nmnt_id:\t0\n"));
  assertEquals([info.pos, info.flags, info.mountId, info.ino], [
    2n ** 63n - 1n,
    c.O_PATH | c.O_CLOEXEC,
    0,
    undefined,
  ]);
  assertEquals(parseFdinfo(bytes("pos:\t-4096\nflags:\t00\nmnt_id:\t3\nino:\t1\n")).pos, -4096n);
  // A cookie of a directory that no double holds.
  assertEquals(
    parseFdinfo(bytes("pos:\t7482764323187361613\nflags:\t00\nmnt_id:\t3\n")).pos,
    7482764323187361613n,
  );
});

Deno.test("fdinfo: locks of every kind", () => {
  const expected: [string, LockEntry][] = [
    ["1: POSIX  ADVISORY  WRITE 1234 08:01:123 0 EOF", {
      kind: "POSIX",
      type: "WRITE",
      pid: 1234,
      breaking: false,
      start: 0n,
      end: undefined,
    }],
    ["99: POSIX  MANDATORY READ 0 fe:00:9978034 5 9223372036854775806", {
      kind: "POSIX",
      type: "READ",
      pid: 0,
      breaking: false,
      start: 5n,
      end: 2n ** 63n - 2n,
    }],
    ["3: OFDLCK ADVISORY  READ -1 00:2b:7 4096 8191", {
      kind: "OFDLCK",
      type: "READ",
      pid: -1,
      breaking: false,
      start: 4096n,
      end: 8191n,
    }],
    ["1: FLOCK  ADVISORY  WRITE 4825 fe:00:9978034 0 EOF", {
      kind: "FLOCK",
      type: "WRITE",
      pid: 4825,
      breaking: false,
      start: 0n,
      end: undefined,
    }],
    ["1: LEASE  ACTIVE    READ 4825 fe:00:9978037 0 EOF", {
      kind: "LEASE",
      type: "READ",
      pid: 4825,
      breaking: false,
      start: 0n,
      end: undefined,
    }],
    ["1: LEASE  BREAKING  UNLCK 4825 fe:00:9978037 0 EOF", {
      kind: "LEASE",
      type: "UNLCK",
      pid: 4825,
      breaking: true,
      start: 0n,
      end: undefined,
    }],
    ["1: DELEG  BREAKING  READ 12 <none>:0 0 EOF", {
      kind: "DELEG",
      type: "READ",
      pid: 12,
      breaking: true,
      start: 0n,
      end: undefined,
    }],
  ];
  for (const [line, entry] of expected) assertEquals(lock(line), [entry], line);
  const all = parseFdinfo(bytes(HEAD + expected.map(([line]) => `lock:\t${line}\n`).join("")));
  assertEquals(all.locks, expected.map(([, entry]) => entry));
});

Deno.test("fdinfo: who waits for a lock has none", () => {
  assertEquals(lock("1: -> POSIX  ADVISORY  WRITE 77 08:01:123 0 EOF"), []);
  assertEquals(lock("1:  -> FLOCK  ADVISORY  WRITE 77 08:01:123 0 EOF"), []);
  assertEquals(lock("1: LEASE  BREAKER   WRITE 77 08:01:123 0 EOF"), []);
  const info = parseFdinfo(bytes(
    `${HEAD}lock:\t1: -> OFDLCK ADVISORY  WRITE -1 0:1:1 0 EOF\nlock:\t2: FLOCK  ADVISORY  READ 5 0:1:1 0 EOF\n`,
  ));
  assertEquals(info.locks.map(({ kind }) => kind), ["FLOCK"]);
});

Deno.test("fdinfo: an epoll's targets, in the kernel's own encoding of devices", () => {
  const info = parseFdinfo(bytes(
    "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t21\n" +
      "tfd:        8 events: 80000019 data: fedcba9876543210  pos:0 ino:1f75 sdev:f\n" +
      "tfd:       12 events:       19 data:                5  pos:-1 ino:ffffffffffffffff sdev:fe00003\n" +
      "tfd: 1048575 events: ffffffff data: ffffffffffffffff  pos:9223372036854775807 ino:0 sdev:fffabcde\n",
  ));
  assertEquals(info.epoll, [
    { fd: 8, events: 0x80000019, data: 0xfedcba9876543210n, pos: 0n, ino: 0x1f75n, major: 0, minor: 15 },
    { fd: 12, events: 0x19, data: 5n, pos: -1n, ino: 2n ** 64n - 1n, major: 254, minor: 3 },
    {
      fd: 1048575,
      events: 0xffffffff,
      data: 2n ** 64n - 1n,
      pos: 2n ** 63n - 1n,
      ino: 0n,
      major: 0xfff,
      minor: 0xabcde,
    },
  ]);
});

Deno.test("fdinfo: an inotify's watches, with a file handle and without", () => {
  const info = parseFdinfo(bytes(
    HEAD +
      "inotify wd:1f ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d\n" +
      "inotify wd:2 ino:1 sdev:1b mask:84000fff ignored_mask:0 fhandle-bytes:0 fhandle-type:81 f_handle:\n" +
      "inotify wd:1 ino:3c4a3 sdev:fe00000 mask:2 ignored_mask:0 \n",
  ));
  assertEquals(info.inotify, [
    {
      wd: 31,
      ino: 0x9e7en,
      major: 8,
      minor: 19,
      mask: 0x800afce,
      handleType: 1,
      handle: bytes("\x7e\x9e\0\0\x64\x0d\x1b\x6d"),
    },
    { wd: 2, ino: 1n, major: 0, minor: 27, mask: 0x84000fff, handleType: 0x81, handle: new Uint8Array() },
    { wd: 1, ino: 0x3c4a3n, major: 254, minor: 0, mask: 2, handleType: 0xff, handle: new Uint8Array() },
  ]);
});

Deno.test("fdinfo: fanotify and io_uring are recognized", () => {
  const fanotify = parseFdinfo(bytes(
    `${HEAD}fanotify flags:0 event-flags:8000\nfanotify ino:9840b1 sdev:fe00000 mflags:0 mask:2 ignored_mask:0\n`,
  ));
  assertEquals([fanotify.fanotify, fanotify.ioUring], [true, false]);
  for (const line of ["SqMask:\t0x3", "UserFiles:\t0", "SqThread:\t-1"]) {
    const ring = parseFdinfo(bytes(`${HEAD}${line}\nSqHead:\t0\nUserFiles:\t1\n    0: /a\\012lock:\n`));
    assertEquals([ring.ioUring, ring.fanotify, ring.locks.length], [true, false, 0], line);
  }
});

Deno.test("fdinfo: lines of other kinds of files are passed over, whatever they contain", () => {
  for (
    const line of [
      "eventfd-count:                0\neventfd-id: 2",
      "Pid:\t4825\nNSpid:\t4825",
      "scm_fds: 0",
      "clockid: 1\nticks: 0",
      "fuse_connection:\t43",
      "",
    ]
  ) assertEquals(parseFdinfo(bytes(`${HEAD}${line}\n`)), parseFdinfo(bytes(HEAD)), line);
  // The name of a dma-buf is what its owner says it is.
  const named = "size:\t4096\ncount:\t1\nexp_name:\tx\nname:\tx\n";
  const lies =
    "lock:\t1: FLOCK  ADVISORY  READ 5 0:1:1 0 EOF\ntfd: 1 events: 1 data: 1 pos:0 ino:1 sdev:1\nSqMask:\t0\n";
  assertEquals(parseFdinfo(bytes(HEAD + named + lies)), parseFdinfo(bytes(HEAD)));
});

Deno.test("fdinfo: what is no fdinfo is refused, and the message tells where", () => {
  const target = "tfd: 1 events: 1 data: 1  pos:0 ino:1 sdev:1";
  const watch = "inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0";
  for (
    const input of [
      "",
      "\n",
      "pos:\t0",
      "pos:\tx\nflags:\t02\nmnt_id:\t1\n",
      "pos:\t--1\nflags:\t02\nmnt_id:\t1\n",
      "pos:\t18446744073709551616\nflags:\t02\nmnt_id:\t1\n",
      "flags:\t02\npos:\t0\nmnt_id:\t1\n",
      "pos:\t0\nflags:\t08\nmnt_id:\t1\n",
      "pos:\t0\nflags:\t02\nmnt_id:\t1",
      "pos:\t0\nflags:\t02\nmnt_id:\t1x\n",
      "pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t2",
      "pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t-2\n",
      "pos:\t0\nflags:\t02\nmnt_id:\t9007199254740993\n",
      `${HEAD}lock:\t1: UNKNOWN UNKNOWN  READ 5 0:1:1 0 EOF\n`,
      `${HEAD}lock:\t1: POSIX  ADVISORY  RW 5 0:1:1 0 EOF\n`,
      `${HEAD}lock:\t1: POSIX  ADVISORY  READ 5 0:1:1 0\n`,
      `${HEAD}lock:\t1: POSIX  ADVISORY  READ 5 0:1:1 0 EOF 7\n`,
      `${HEAD}lock:\tx: POSIX  ADVISORY  READ 5 0:1:1 0 EOF\n`,
      `${HEAD}${target}`,
      `${HEAD}${target}x\n`,
      `${HEAD}${target.replace("events: 1", "events: 100000000")}\n`,
      `${HEAD}${target.replace("data: 1", "data: 10000000000000000")}\n`,
      `${HEAD}${watch.replace("wd:1", "wd:-1")}\n`,
      `${HEAD}${watch} fhandle-bytes:4 fhandle-type:1 f_handle:01\n`,
      `${HEAD}${watch} fhandle-bytes:1 fhandle-type:1 f_handle:0g\n`,
      `${HEAD}${watch} fhandle-bytes:ffffffff fhandle-type:1 f_handle:00\n`,
    ]
  ) assertThrows(() => parseFdinfo(bytes(input)), SyntaxError, "fdinfo: ", input);
  const error = assertThrows(() => parseFdinfo(bytes("pos:\t0\nflags:\t09\nmnt_id:\t1\n")), SyntaxError);
  assertEquals(error.message, 'fdinfo: no "\\nmnt_id:\\t" at column 9 of "flags:\\t09"');
});

Deno.test("fdinfo: the result does not change with the buffer that was read into", () => {
  const watch =
    "inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:2 fhandle-type:1 f_handle:0102\n";
  const buffer = bytes(HEAD + watch);
  const info = parseFdinfo(buffer);
  buffer.fill(0);
  assertEquals(info.inotify[0]?.handle, bytes("\x01\x02"));
});

Deno.test("fdinfo: of an open file, what fcntl and fstat say", () => {
  using fd = memfd("x");
  file.ftruncate(fd.raw, 10n ** 12n);
  file.lseek(fd.raw, 123_456_789_012n, c.SEEK_SET);
  file.fcntlSet(fd.raw, c.F_SETFL, c.O_APPEND | c.O_NONBLOCK);
  const info = infoOf(fd.raw);
  assertEquals(info.pos, 123_456_789_012n);
  assertEquals(info.flags, check(file.fcntlGet(fd.raw, c.F_GETFL), "fcntl") | c.O_CLOEXEC);
  assertEquals(info.flags & (c.O_ACCMODE | c.O_APPEND | c.O_NONBLOCK), c.O_RDWR | c.O_APPEND | c.O_NONBLOCK);
  if (info.ino !== undefined) assertEquals(info.ino, BigInt(Deno.statSync(`/proc/self/fd/${fd.raw}`).ino!));
  file.fcntlSet(fd.raw, c.F_SETFD, 0);
  assertEquals(infoOf(fd.raw).flags & c.O_CLOEXEC, 0);
});

Deno.test("fdinfo: of every kind of name, since there are no names in it", () => {
  using directory = temporaryDirectory();
  for (const name of hostileNames) {
    const flags = c.O_RDWR | c.O_CREAT | c.O_CLOEXEC;
    using fd = Fd.own(check(file.openat(directory.fd, cstr(bytes(name)), flags, 0o600), "openat"));
    file.pwriteAt(fd.raw, bytes("x"), 0n);
    file.lseek(fd.raw, 1n, c.SEEK_SET);
    const info = infoOf(fd.raw);
    assertEquals([info.pos, info.locks, info.epoll], [1n, [], []], name);
    assert(readMountinfo().some(({ id }) => id === info.mountId), name);
  }
});

Deno.test("fdinfo: of locks that were really taken", () => {
  using posix = memfd("posix");
  check(file.fcntlLock(posix.raw, F_SETLK, structFlock(F_WRLCK, 5n, 10n)), "F_SETLK");
  check(file.fcntlLock(posix.raw, F_SETLK, structFlock(F_RDLCK, 1n << 40n, 0n)), "F_SETLK");
  const common = { pid: Deno.pid, breaking: false };
  assertEquals(infoOf(posix.raw).locks, [
    { ...common, kind: "POSIX", type: "WRITE", start: 5n, end: 14n },
    { ...common, kind: "POSIX", type: "READ", start: 1n << 40n, end: undefined },
  ]);
  using open = memfd("description");
  check(file.fcntlLock(open.raw, F_OFD_SETLK, structFlock(F_WRLCK, 0n, 0n)), "F_OFD_SETLK");
  check(file.flock(open.raw, LOCK_SH), "flock");
  assertEquals(infoOf(open.raw).locks, [
    { ...common, kind: "FLOCK", type: "READ", start: 0n, end: undefined },
    { ...common, kind: "OFDLCK", type: "WRITE", pid: -1, start: 0n, end: undefined },
  ]);
});

Deno.test("fdinfo: of a lease, held and being broken", () => {
  using directory = temporaryDirectory();
  const flags = c.O_RDWR | c.O_CREAT | c.O_CLOEXEC;
  using lease = Fd.own(check(file.openat(directory.fd, cstr("f"), flags, 0o600), "openat"));
  check(file.fcntlSet(lease.raw, F_SETLEASE, F_WRLCK), "F_SETLEASE");
  const common = { kind: "LEASE", pid: Deno.pid, start: 0n, end: undefined } as const;
  assertEquals(infoOf(lease.raw).locks, [{ ...common, type: "WRITE", breaking: false }]);
  // The signal is SIGIO, which would end this process: none is sent without an owner.
  check(file.fcntlSet(lease.raw, F_SETOWN, 0), "F_SETOWN");
  assert(file.reopen(lease.raw, c.O_RDONLY | c.O_NONBLOCK | c.O_CLOEXEC) < 0);
  assertEquals(infoOf(lease.raw).locks, [{ ...common, type: "READ", breaking: true }]);
});

Deno.test("fdinfo: of an epoll that watches a pipe", () => {
  using epoll = Fd.own(check(libc.epollCreate1.call(c.O_CLOEXEC), "epoll_create1"));
  const ends = new Int32Array(2);
  check(file.pipe2(ends, c.O_CLOEXEC), "pipe2");
  using reader = Fd.own(ends[0]!);
  using writer = Fd.own(ends[1]!);
  // struct epoll_event is packed on x86_64 only.
  const dataAt = Deno.build.arch === "x86_64" ? 4 : 8;
  const add = (fd: number, events: number, data: bigint) => {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, events, true);
    view.setBigUint64(dataAt, data, true);
    const EPOLL_CTL_ADD = 1;
    check(libc.epollCtl.call(epoll.raw, EPOLL_CTL_ADD, fd, new Uint8Array(view.buffer)), "epoll_ctl");
  };
  const EPOLLET = 0x80000000;
  add(reader.raw, c.POLLIN + EPOLLET, 0xfedcba9876543210n);
  add(writer.raw, c.POLLOUT, 5n);
  const { epoll: targets } = infoOf(epoll.raw);
  const pipe = Deno.statSync(`/proc/self/fd/${reader.raw}`);
  assertEquals(new Set(targets.map(({ fd }) => fd)), new Set([reader.raw, writer.raw]));
  for (const target of targets) {
    // The kernel adds EPOLLERR and EPOLLHUP.
    const events = target.fd === reader.raw ? c.POLLIN + EPOLLET : c.POLLOUT;
    assertEquals(target.events, events + c.POLLERR + c.POLLHUP);
    assertEquals(target.data, target.fd === reader.raw ? 0xfedcba9876543210n : 5n);
    assertEquals([target.ino, target.major, target.minor], [BigInt(pipe.ino!), 0, pipe.dev]);
  }
});

Deno.test("fdinfo: of an inotify that watches a directory", () => {
  using directory = temporaryDirectory();
  using inotify = Fd.own(check(libc.inotifyInit1.call(c.O_CLOEXEC), "inotify_init1"));
  const IN_CREATE = 0x100;
  const IN_EXCL_UNLINK = 0x04000000;
  const wds = new Set<number>();
  for (let i = 0; i < 20; i++) {
    const path = `${directory.path}/${i}`;
    Deno.mkdirSync(path);
    wds.add(
      check(
        libc.inotifyAddWatch.call(inotify.raw, cstr(path), IN_CREATE | IN_EXCL_UNLINK),
        "inotify_add_watch",
      ),
    );
  }
  const watches = infoOf(inotify.raw).inotify;
  assertEquals(new Set(watches.map(({ wd }) => wd)), wds);
  const mountId = infoOf(directory.fd).mountId;
  const mount = readMountinfo().find(({ id }) => id === mountId);
  for (const watch of watches) {
    assertEquals([watch.major, watch.minor], [mount?.major, mount?.minor]);
    assertEquals(watch.mask, IN_CREATE | IN_EXCL_UNLINK);
  }
});

Deno.test("fdinfo: of every descriptor of this process", () => {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    let content: Uint8Array;
    try {
      content = Deno.readFileSync(`/proc/self/fdinfo/${name}`);
    } catch {
      // That of the listing itself, or of another thread.
      continue;
    }
    assert(parseFdinfo(content).flags >= 0);
  }
});

Deno.test("fdinfo: 10 000 targets and as many locks are read in one go", () => {
  const target = "tfd:        8 events:       19 data:                5  pos:0 ino:1f75 sdev:f\n";
  assertEquals(parseFdinfo(bytes(HEAD + target.repeat(10_000))).epoll.length, 10_000);
  const lines = "lock:\t1: POSIX  ADVISORY  WRITE 1234 08:01:123 0 EOF\n".repeat(10_000);
  assertEquals(parseFdinfo(bytes(HEAD + lines)).locks.length, 10_000);
});

Deno.test("fdinfo: input that is almost right is understood or refused", () => {
  assertRobust(parseFdinfo, [
    HEAD,
    `${HEAD}lock:\t1: POSIX  ADVISORY  WRITE 1234 08:01:123 0 EOF\nlock:\t2: LEASE  BREAKING  UNLCK 5 <none>:0 0 EOF\n`,
    `${HEAD}tfd:        8 events: 80000019 data: fedcba9876543210  pos:0 ino:1f75 sdev:f\n`,
    `${HEAD}inotify wd:3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d\n`,
    `${HEAD}SqMask:\t0x3\nSqHead:\t0\n`,
  ]);
});
