import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import * as c from "../../ffi/sys/constants.ts";
import * as dir from "../../ffi/sys/dir.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { lseek, openat, reopen, statx, StatxBuffer } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { temporaryDirectory, writeText } from "./support/temporary.ts";

const key = (bytes: Uint8Array) => String.fromCharCode(...bytes);

function list(fd: number, buffer: Uint8Array, visit: (reader: dir.DirentReader) => void): void {
  for (;;) {
    const length = check(dir.getdents64(fd, buffer), "getdents64");
    if (length === 0) return;
    const reader = new dir.DirentReader(buffer, length);
    while (reader.next()) visit(reader);
  }
}

Deno.test("dir: 5000 names of any bytes are listed once each, whatever the size of the buffer", () => {
  using directory = temporaryDirectory();
  const names = new Set<string>();
  for (let i = 0; i < 5000; i++) {
    const bytes = new TextEncoder().encode(`${i}_`.padEnd(1 + i % 250, "x"));
    bytes[bytes.length - 1] = [0x0a, 0xff, 0x20, 0x5c, 0x80, 0x01, 0x2e][i % 7]!; // newline, not UTF-8, space, backslash …
    if (bytes.length === 1 || names.has(key(bytes))) continue;
    names.add(key(bytes));
    using _fd = Fd.own(
      check(openat(directory.fd, cstr(bytes), c.O_CREAT | c.O_WRONLY | c.O_CLOEXEC, 0o600), "openat"),
    );
  }
  using fd = Fd.own(check(reopen(directory.fd, c.O_RDONLY | c.O_DIRECTORY | c.O_CLOEXEC), "reopen"));
  for (const size of [300, 4096, 1 << 17]) {
    assertEquals(lseek(fd.raw, 0n, c.SEEK_SET), 0n);
    const seen = new Set<string>();
    let dots = 0;
    list(fd.raw, new Uint8Array(size + 8).subarray(8), (reader) => {
      if (reader.isDot) return void dots++;
      const name = key(reader.name());
      assert(!seen.has(name));
      assert([c.DT_REG, c.DT_UNKNOWN].includes(reader.type));
      seen.add(name);
    });
    assertEquals([seen.size, dots], [names.size, 2]);
    assert([...names].every((name) => seen.has(name)));
  }
});

Deno.test("dir: the cookie of an entry leads to the one after it, all 64 bits", () => {
  using directory = temporaryDirectory();
  for (let i = 0; i < 100; i++) writeText(directory, `name${i}`, "");
  using fd = Fd.own(check(reopen(directory.fd, c.O_RDONLY | c.O_DIRECTORY | c.O_CLOEXEC), "reopen"));
  const entries: { name: string; off: bigint; ino: bigint }[] = [];
  list(fd.raw, new Uint8Array(4096), (reader) => {
    entries.push({ name: key(reader.name()), off: reader.off, ino: reader.ino });
  });
  assertEquals(entries.length, 102);
  const buffer = new Uint8Array(4096);
  const out = new StatxBuffer();
  entries.slice(0, -1).forEach((entry, index) => {
    assertEquals(lseek(fd.raw, entry.off, c.SEEK_SET), entry.off);
    const reader = new dir.DirentReader(buffer, check(dir.getdents64(fd.raw, buffer), "getdents64"));
    assert(reader.next());
    assertEquals(key(reader.name()), entries[index + 1]!.name);
  });
  for (const { name, ino } of entries.filter(({ name }) => name !== "..")) {
    assertEquals(statx(directory.fd, cstr(name), 0, c.STATX_INO, out), 0);
    assertEquals(out.ino, ino);
  }
});

Deno.test("dir: only the names . and .. are dots", () => {
  const record = (name: string) => {
    const length = (19 + name.length + 1 + 7) & ~7; // as filldir64 of fs/readdir.c has it
    const bytes = new Uint8Array(length).fill(0x2e); // behind the NUL there may be anything
    new DataView(bytes.buffer).setUint16(16, length, true);
    bytes.set(new TextEncoder().encode(`${name}\0`), 19);
    const reader = new dir.DirentReader(bytes, length);
    reader.next();
    assertEquals(reader.nameEnd - reader.nameStart, name.length);
    return reader.isDot;
  };
  assertEquals([".", "..", "...", ".a", "a.", "a", "..a"].map(record), [
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("dir: a buffer too small for one entry is EINVAL, an empty one as well", () => {
  using directory = temporaryDirectory();
  using fd = Fd.own(check(reopen(directory.fd, c.O_RDONLY | c.O_CLOEXEC), "reopen"));
  assertEquals(dir.getdents64(fd.raw, new Uint8Array(8)), -Errno.EINVAL);
  assertEquals(dir.getdents64(fd.raw, new Uint8Array(0)), -Errno.EINVAL);
});

Deno.test("dir: renameat2 exchanges, and refuses to replace", () => {
  using directory = temporaryDirectory();
  writeText(directory, "a", "A");
  writeText(directory, "b", "B");
  const { fd, path } = directory;
  assertEquals(dir.renameat2(fd, cstr("a"), fd, cstr("b"), c.RENAME_NOREPLACE), -Errno.EEXIST);
  assertEquals(dir.renameat2(fd, cstr("a"), fd, cstr("b"), c.RENAME_EXCHANGE), 0);
  assertEquals([Deno.readTextFileSync(`${path}/a`), Deno.readTextFileSync(`${path}/b`)], ["B", "A"]);
  assertEquals(dir.renameat2(fd, cstr("a"), fd, cstr("c"), c.RENAME_NOREPLACE), 0);
  assertEquals(dir.renameat2(fd, cstr("c"), fd, cstr("b"), 0), 0);
  assertEquals(Deno.readTextFileSync(`${path}/b`), "B");
  assertEquals(dir.renameat2(fd, cstr("gone"), fd, cstr("b"), 0), -Errno.ENOENT);
  assertEquals(
    dir.renameat2(fd, cstr("b"), fd, cstr("c"), c.RENAME_NOREPLACE | c.RENAME_EXCHANGE),
    -Errno.EINVAL,
  );
});

Deno.test("dir: names of every kind are made and removed", () => {
  using directory = temporaryDirectory();
  const { fd, path } = directory;
  assertEquals(dir.mkdirat(fd, cstr("d"), 0o700), 0);
  assertEquals(dir.symlinkat(cstr("some/where"), fd, cstr("l")), 0);
  assertEquals(dir.mknodat(fd, cstr("p"), c.S_IFIFO | 0o600, 0n), 0);
  assertEquals(dir.mknodat(fd, cstr("s"), c.S_IFSOCK | 0o600, 0n), 0);
  assertEquals(dir.mknodat(fd, cstr("f"), c.S_IFREG | 0o600, 0n), 0);
  assertEquals(dir.linkat(fd, cstr("f"), fd, cstr("g"), 0), 0);
  const out = new StatxBuffer();
  const type = (name: string) => {
    assertEquals(statx(fd, cstr(name), c.AT_SYMLINK_NOFOLLOW, c.STATX_BASIC_STATS, out), 0);
    return out.mode & c.S_IFMT;
  };
  assertEquals(["d", "l", "p", "s", "f"].map(type), [c.S_IFDIR, c.S_IFLNK, c.S_IFIFO, c.S_IFSOCK, c.S_IFREG]);
  assertEquals([type("g"), out.nlink], [c.S_IFREG, 2]);
  const text = new Uint8Array(64);
  assertEquals(dir.readlinkat(fd, cstr("l"), text), 10);
  assertEquals(new TextDecoder().decode(text.subarray(0, 10)), "some/where");
  assertEquals(dir.readlinkat(fd, cstr("l"), text.subarray(0, 4)), 4);
  assertEquals(dir.readlinkat(fd, cstr("f"), text), -Errno.EINVAL);
  assertEquals(dir.unlinkat(fd, cstr("d"), 0), -Errno.EISDIR);
  assertEquals(dir.unlinkat(fd, cstr("f"), c.AT_REMOVEDIR), -Errno.ENOTDIR);
  assertEquals(dir.unlinkat(fd, cstr("d"), c.AT_REMOVEDIR), 0);
  for (const name of ["l", "p", "s", "f", "g"]) assertEquals(dir.unlinkat(fd, cstr(name), 0), 0);
  assertEquals([...Deno.readDirSync(path)], []);
});

Deno.test("dir: device numbers are packed as the kernel packs them", () => {
  assertEquals(dir.makedev(1, 3), 0x103n);
  assertEquals(dir.makedev(254, 0x12345), 0x1230fe45n);
  assertEquals(dir.makedev(0xfff, 0xfffff), 0xffffffffn);
  assertEquals(dir.makedev(0, 0), 0n);
});

Deno.test("dir: statfs tells of the file system that the descriptor is on", () => {
  const out = new dir.StatfsBuffer();
  using proc = Fd.own(check(openat(c.AT_FDCWD, cstr("/proc"), c.O_PATH | c.O_CLOEXEC), "openat"));
  assertEquals(dir.statfs(proc.raw, out), 0);
  assertEquals([out.type, out.namelen, out.blocks], [0x9fa0n, 255, 0n]);
  using directory = temporaryDirectory();
  assertEquals(dir.statfs(directory.fd, out), 0);
  assert(out.bsize > 0 && out.frsize > 0 && out.blocks > 0n);
  assert(out.bfree <= out.blocks && out.bavail <= out.bfree && out.ffree <= out.files);
  assertEquals(dir.statfs(-1, out), -Errno.EBADF);
});

Deno.test("dir: umask returns the one before", () => {
  const before = Deno.umask();
  assertEquals(dir.umask(0o27), before);
  assertEquals(dir.umask(before), 0o27);
  assertEquals(Deno.umask(), before);
});
