import { assert, assertEquals } from "@std/assert";
import * as c from "../../ffi/sys/constants.ts";
import { mkdirat, unlinkat } from "../../ffi/sys/dir.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat, pipe2 } from "../../ffi/sys/file.ts";
import { check, cstr, symbol } from "../../ffi/sys/libc.ts";
import { classifyLink, deletedSuffix, type Link, relativeTo, splitDeleted } from "../../swap/procfs/names.ts";
import { temporaryDirectory } from "../ffi/support/temporary.ts";
import { assertRobust, bytes, hostileNames, linkOf, memfd, text } from "./support/procfs.ts";

const libc = {
  epollCreate1: symbol("epoll_create1", { parameters: ["i32"], result: "i32" }),
  inotifyInit1: symbol("inotify_init1", { parameters: ["i32"], result: "i32" }),
  socket: symbol("socket", { parameters: ["i32", "i32", "i32"], result: "i32" }),
};

const relative = (mountpoint: string, path: string) => {
  const result = relativeTo(bytes(mountpoint), bytes(path));
  return result === undefined ? undefined : text(result);
};
const split = (path: string) => {
  const shown = splitDeleted(bytes(path));
  return [text(shown.path), shown.deleted];
};
const classify = (target: string) => classifyLink(bytes(target));
const create = (directory: number, name: string) =>
  Fd.own(
    check(
      openat(directory, cstr(bytes(name)), c.O_RDWR | c.O_CREAT | c.O_EXCL | c.O_CLOEXEC, 0o600),
      "openat",
    ),
  );

Deno.test("names: the suffix is taken off once, and only at the end", () => {
  assertEquals(text(deletedSuffix), " (deleted)");
  const cases: [string, string, boolean][] = [
    ["/a", "/a", false],
    ["/a (deleted)", "/a", true],
    ["/a (deleted) (deleted)", "/a (deleted)", true],
    [" (deleted)", "", true],
    ["(deleted)", "(deleted)", false],
    ["/a (deleted)/b", "/a (deleted)/b", false],
    ["/a (deleted) ", "/a (deleted) ", false],
    ["/a (deleted)\n", "/a (deleted)\n", false],
    ["/a\n (deleted)", "/a\n", true],
    ["/\xff (deleted)", "/\xff", true],
    ["", "", false],
  ];
  for (const [shown, path, deleted] of cases) assertEquals(split(shown), [path, deleted], shown);
});

Deno.test("names: paths below a mountpoint are told relative to it", () => {
  const cases: [string, string, string | undefined][] = [
    ["/mnt", "/mnt/a/b", "a/b"],
    ["/mnt", "/mnt", ""],
    ["/mnt", "/mnt2/a", undefined],
    ["/mnt", "/mn", undefined],
    ["/mnt", "/", undefined],
    ["/mnt", "/x/mnt/a", undefined],
    ["/mnt", "/mnt (deleted)", undefined],
    ["/mnt/a", "/mnt/a/b (deleted)", "b (deleted)"],
    ["/", "/a/b", "a/b"],
    ["/", "/", ""],
    ["/", "a", undefined],
    ["/", "", undefined],
    ["/mnt", "", undefined],
    ["/m\n\\\xff", "/m\n\\\xff/\xff\n", "\xff\n"],
    ["/m\xff", "/m\xfe/a", undefined],
  ];
  for (const [mountpoint, path, expected] of cases) {
    assertEquals(relative(mountpoint, path), expected, `${mountpoint} ${path}`);
  }
});

Deno.test("names: what is told does not change with the buffer that was read into", () => {
  const [mountpoint, path] = [bytes("/mnt"), bytes("/mnt/a (deleted)")];
  const [relative, whole] = [relativeTo(mountpoint, path)!, splitDeleted(path).path];
  path.fill(0);
  assertEquals([text(relative), text(whole)], ["a (deleted)", "/mnt/a"]);
});

Deno.test("names: links are told apart by their targets", () => {
  const cases: [string, Link][] = [
    ["/", { kind: "path" }],
    ["/a/b (deleted)", { kind: "path" }],
    ["/pipe:[1]", { kind: "path" }],
    ["/memfd:x", { kind: "path" }],
    ["/a/memfd:x (deleted)", { kind: "path" }],
    ["/memfd: (deleted)", { kind: "memfd", name: new Uint8Array() }],
    ["/memfd:x (deleted) (deleted)", { kind: "memfd", name: bytes("x (deleted)") }],
    ["pipe:[8053]", { kind: "pipe", ino: 8053n }],
    ["socket:[18446744073709551615]", { kind: "socket", ino: 2n ** 64n - 1n }],
    ["net:[4026531833]", { kind: "namespace", name: "net", ino: 4026531833n }],
    ["anon_inode:inotify", { kind: "anon", name: "inotify" }],
    ["anon_inode:[eventpoll]", { kind: "anon", name: "[eventpoll]" }],
    ["anon_inode:bpf-map", { kind: "anon", name: "bpf-map" }],
    ["", { kind: "other" }],
    ["a/b", { kind: "other" }],
    ["pipe:[]", { kind: "other" }],
    ["pipe:[x]", { kind: "other" }],
    ["pipe:[1", { kind: "other" }],
    ["pipe:[1]\n", { kind: "other" }],
    ["pipe:[1] (deleted)", { kind: "other" }],
    ["\xff:[1]", { kind: "other" }],
    ["x".repeat(4095), { kind: "other" }],
  ];
  for (const [target, link] of cases) assertEquals(classify(target), link, target);
});

Deno.test("names: of every kind of name, made for real, present and removed", () => {
  using directory = temporaryDirectory();
  const mountpoint = linkOf(directory.fd);
  for (const name of hostileNames) {
    using fd = create(directory.fd, name);
    const present = linkOf(fd.raw);
    assertEquals(classifyLink(present), { kind: "path" }, name);
    assertEquals(text(relativeTo(mountpoint, present)!), name);
    check(unlinkat(directory.fd, cstr(bytes(name)), 0), "unlinkat");
    const shown = splitDeleted(linkOf(fd.raw));
    assertEquals([text(relativeTo(mountpoint, shown.path)!), shown.deleted], [name, true]);
  }
});

Deno.test("names: a file whose name ends like a removed one's looks like one, which is the caller's to decide", () => {
  using directory = temporaryDirectory();
  using liar = create(directory.fd, "x (deleted)");
  using other = create(directory.fd, "x");
  check(unlinkat(directory.fd, cstr("x"), 0), "unlinkat");
  assertEquals(linkOf(liar.raw), linkOf(other.raw));
  assertEquals([
    Deno.statSync(`/proc/self/fd/${liar.raw}`).nlink,
    Deno.statSync(`/proc/self/fd/${other.raw}`).nlink,
  ], [
    1,
    0,
  ]);
});

Deno.test("names: a path of 4095 bytes, the longest", () => {
  using directory = temporaryDirectory();
  const prefix = linkOf(directory.fd);
  const names: string[] = [];
  for (let left = 4095 - prefix.length; left > 0;) {
    // Never 1 at the end, which would be a slash without a name.
    const length = left > 256 ? Math.min(255, left - 3) : left - 1;
    names.push("\xff".repeat(length));
    left -= length + 1;
  }
  let parent = Fd.own(
    check(openat(directory.fd, cstr("."), c.O_PATH | c.O_DIRECTORY | c.O_CLOEXEC), "openat"),
  );
  for (const name of names.slice(0, -1)) {
    check(mkdirat(parent.raw, cstr(bytes(name)), 0o700), "mkdirat");
    const child = Fd.own(
      check(openat(parent.raw, cstr(bytes(name)), c.O_PATH | c.O_DIRECTORY | c.O_CLOEXEC), "openat"),
    );
    parent.close();
    parent = child;
  }
  using fd = create(parent.raw, names.at(-1)!);
  parent.close();
  const shown = linkOf(fd.raw);
  assertEquals(shown.length, 4095);
  assertEquals(text(relativeTo(prefix, shown)!), names.join("/"));
  assertEquals(splitDeleted(shown).deleted, false);
});

Deno.test("names: of files that have none, made for real", () => {
  const ends = new Int32Array(2);
  check(pipe2(ends, c.O_CLOEXEC), "pipe2");
  using reader = Fd.own(ends[0]!);
  using writer = Fd.own(ends[1]!);
  const ino = BigInt(Deno.statSync(`/proc/self/fd/${reader.raw}`).ino!);
  assertEquals([classifyLink(linkOf(reader.raw)), classifyLink(linkOf(writer.raw))], [
    { kind: "pipe", ino },
    { kind: "pipe", ino },
  ]);
  const [AF_UNIX, SOCK_STREAM] = [1, 1];
  using socket = Fd.own(check(libc.socket.call(AF_UNIX, SOCK_STREAM | c.O_CLOEXEC, 0), "socket"));
  const socketIno = BigInt(Deno.statSync(`/proc/self/fd/${socket.raw}`).ino!);
  assertEquals(classifyLink(linkOf(socket.raw)), { kind: "socket", ino: socketIno });
  using epoll = Fd.own(check(libc.epollCreate1.call(c.O_CLOEXEC), "epoll_create1"));
  assertEquals(classifyLink(linkOf(epoll.raw)), { kind: "anon", name: "[eventpoll]" });
  using inotify = Fd.own(check(libc.inotifyInit1.call(c.O_CLOEXEC), "inotify_init1"));
  assertEquals(classifyLink(linkOf(inotify.raw)), { kind: "anon", name: "inotify" });
  using namespace = Fd.own(check(openat(c.AT_FDCWD, cstr("/proc/self/ns/mnt"), c.O_CLOEXEC), "openat"));
  const link = classifyLink(linkOf(namespace.raw));
  assert(link.kind === "namespace" && link.name === "mnt" && link.ino > 0n);
});

Deno.test("names: of memfds with every kind of name", () => {
  for (const name of hostileNames.filter((name) => name.length <= 249)) {
    using fd = memfd(name);
    assertEquals(classifyLink(linkOf(fd.raw)), { kind: "memfd", name: bytes(name) }, name);
  }
});

Deno.test("names: input of any bytes is answered soon", () => {
  const seeds = ["/mnt/a (deleted)", "/memfd:x (deleted)", "pipe:[123]", "anon_inode:[eventpoll]"];
  assertRobust(classifyLink, seeds);
  assertRobust(splitDeleted, seeds);
  assertRobust((path) => relativeTo(bytes("/mnt"), path), seeds);
});
