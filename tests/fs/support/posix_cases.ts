/**
 * What a file system promises its users, as cases that hold in every mode that serves: each gets an empty directory of its own.
 *
 * @module
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFIFO,
  S_IFSOCK,
  SEEK_DATA,
  SEEK_HOLE,
} from "../../../ffi/sys/constants.ts";
import { type Agent, data } from "../../support/fuse/agent.ts";

/** One promise: `at` makes a path in the case's own directory. */
export type PosixCase = (agent: Agent, at: (name: string) => string) => Promise<void>;

const S_IFCHR = 0o020000;
const POLLIN = 1;
const POLLOUT = 4;
const FS_IOC_GETFLAGS = 0x80086601;
const XATTR_CREATE = 1;

async function write(agent: Agent, path: string, text: string, flags = O_CREAT | O_TRUNC): Promise<void> {
  const fd = await agent.number("open", path, O_WRONLY | flags, 0o644);
  assertEquals(await agent.number("write", fd, data(text)), text.length);
  await agent.call("close", fd);
}

async function read(agent: Agent, path: string): Promise<string> {
  const fd = await agent.number("open", path, O_RDONLY);
  const text = await agent.text("read", fd, 65536);
  await agent.call("close", fd);
  return text;
}

/** Cases by what they promise. */
export const posixCases: Record<string, PosixCase> = {
  async "what is written is read, by another handle as well"(agent, at) {
    await write(agent, at("f"), "hello");
    assertEquals(await read(agent, at("f")), "hello");
    const fd = await agent.number("open", at("f"), O_RDWR);
    await agent.call("pwrite", fd, data("J"), 0);
    await agent.call("pwrite", fd, data("!"), 9);
    assertEquals(await read(agent, at("f")), "Jello\0\0\0\0!");
  },

  async "O_TRUNC empties a file once, O_EXCL refuses an existing one"(agent, at) {
    await write(agent, at("f"), "old and long");
    await write(agent, at("f"), "new");
    assertEquals(await read(agent, at("f")), "new");
    assertEquals(await agent.errno("open", at("f"), O_WRONLY | O_CREAT | O_EXCL, 0o600), "EEXIST");
    assertEquals(await agent.errno("open", at("none"), O_RDONLY), "ENOENT");
  },

  async "O_APPEND writes at the end, whoever else writes"(agent, at) {
    await write(agent, at("log"), "a");
    const one = await agent.number("open", at("log"), O_WRONLY | O_APPEND);
    const other = await agent.number("open", at("log"), O_WRONLY | O_APPEND);
    for (const [fd, text] of [[one, "b"], [other, "c"], [one, "d"]] as const) {
      await agent.call("write", fd, data(text));
    }
    assertEquals(await read(agent, at("log")), "abcd");
    await agent.call("setfl", one, 0);
    await agent.call("pwrite", one, data("A"), 0);
    const plain = await agent.number("open", at("log"), O_WRONLY);
    await agent.call("setfl", plain, O_APPEND);
    await agent.call("write", plain, data("e"));
    assertEquals(await read(agent, at("log")), "Abcde", "O_APPEND by fcntl");
  },

  async "a shared mapping is written where it maps, also when it was made by a handle that appends"(
    agent,
    at,
  ) {
    await write(agent, at("f"), "x".repeat(8192));
    const appender = await agent.number("open", at("f"), O_RDWR | O_APPEND);
    const address = await agent.number("mmap", 8192, 3, 1, appender, 0);
    await agent.call("poke", address, data("dirty"));
    await agent.call("msync", address, 8192, 4);
    assertEquals((await agent.stat("fstat", appender)).size, 8192);
    assertEquals((await read(agent, at("f"))).slice(0, 6), "dirtyx");
    await agent.call("write", appender, data("end"));
    assertEquals((await agent.stat("stat", at("f"))).size, 8195);
    await agent.call("poke", address + 4096, data("again"));
    await agent.call("munmap", address, 8192);
    await agent.call("close", appender);
    assertEquals((await agent.stat("stat", at("f"))).size, 8195);
    assertEquals((await read(agent, at("f"))).slice(4096, 4102), "againx");
  },

  async "hard links are one inode: same number, same count, same data"(agent, at) {
    await write(agent, at("a"), "one");
    await agent.call("link", at("a"), at("b"));
    const [a, b] = [await agent.stat("stat", at("a")), await agent.stat("stat", at("b"))];
    assertEquals([a.ino, a.nlink], [b.ino, 2]);
    await write(agent, at("b"), "two");
    assertEquals(await read(agent, at("a")), "two");
    await agent.call("unlink", at("a"));
    assertEquals((await agent.stat("stat", at("b"))).nlink, 1);
    assertEquals(await read(agent, at("b")), "two");
  },

  async "a symbolic link gives back its target, byte by byte, up to the longest"(agent, at) {
    const odd = Uint8Array.from([0xff, 0x20, 0x0a, 0x25, 0xc3, 0x28, 0x2f, 0x2e, 0x2e, 0x01]);
    const targets = [odd, "x", "/", `${"d/".repeat(2047)}f`];
    for (const [index, target] of targets.entries()) {
      await agent.call("symlink", target, at(`l${index}`));
      const expected = typeof target === "string" ? new TextEncoder().encode(target) : target;
      assertEquals(await agent.bytes("readlink", at(`l${index}`)), expected);
      assertEquals((await agent.stat("lstat", at(`l${index}`))).size, expected.length);
    }
    await write(agent, at("f"), "seen");
    await agent.call("symlink", "f", at("to-f"));
    assertEquals(await read(agent, at("to-f")), "seen");
    assertEquals(await agent.errno("symlink", "x", at("l1")), "EEXIST");
    await agent.call("link", at("to-f"), at("same"));
    assertEquals((await agent.stat("lstat", at("same"))).nlink, 2, "a link to the link, not to its target");
  },

  async "names are bytes, up to the longest"(agent, at) {
    const prefix = new TextEncoder().encode(at(""));
    const names = [Uint8Array.from([0xff, 0xfe, 0x0a]), new Uint8Array(255).fill(0x6e)];
    for (const name of names) {
      const path = Uint8Array.from([...prefix, ...name]);
      await agent.call("mkdir", path, 0o755);
      assertEquals((await agent.stat("stat", path)).mode, "40755");
    }
    assertEquals(await agent.errno("mkdir", at("n".repeat(256)), 0o755), "ENAMETOOLONG");
    const fd = await agent.number("open", at("."), O_RDONLY | O_DIRECTORY);
    assertEquals((await agent.list(fd)).sort(), ["%ff%fe%0a", "n".repeat(255)].sort());
  },

  async "a directory lists every name once, also in small pieces"(agent, at) {
    const names = Array.from({ length: 300 }, (_, index) => `file-${index}`);
    for (const name of names) await write(agent, at(name), "");
    const fd = await agent.number("open", at("."), O_RDONLY | O_DIRECTORY);
    const seen: string[] = [];
    for (let some; (some = await agent.call("getdents", fd, 200)) !== "";) {
      seen.push(...some.split(" ").map((entry) => entry.slice(0, entry.lastIndexOf("@"))));
    }
    assertEquals(seen.filter((name) => !name.startsWith(".")).sort(), names.sort());
  },

  async "a position in a directory can be gone back to"(agent, at) {
    for (let index = 0; index < 50; index++) await write(agent, at(`f${index}`), "");
    const fd = await agent.number("open", at("."), O_RDONLY | O_DIRECTORY);
    await agent.call("getdents", fd, 400);
    const here = await agent.number("lseek", fd, 0, 1);
    const rest = await agent.list(fd);
    await agent.call("lseek", fd, here, 0);
    assertEquals(await agent.list(fd), rest);
    await agent.call("lseek", fd, 0, 0);
    assertEquals((await agent.list(fd)).length, 50);
  },

  async "directories are made and removed, when empty"(agent, at) {
    await agent.call("mkdir", at("d"), 0o700);
    await agent.call("mkdir", at("d/e"), 0o755);
    assertEquals((await agent.stat("stat", at("d"))).nlink, 3);
    assertEquals(await agent.errno("rmdir", at("d")), "ENOTEMPTY");
    assertEquals(await agent.errno("unlink", at("d")), "EISDIR");
    await agent.call("rmdir", at("d/e"));
    await agent.call("rmdir", at("d"));
    assertEquals(await agent.errno("stat", at("d")), "ENOENT");
  },

  async "rename replaces, exchanges and refuses as asked"(agent, at) {
    await write(agent, at("a"), "a");
    await write(agent, at("b"), "b");
    await agent.call("rename", at("a"), at("b"), RENAME_EXCHANGE);
    assertEquals([await read(agent, at("a")), await read(agent, at("b"))], ["b", "a"]);
    assertEquals(await agent.errno("rename", at("a"), at("b"), RENAME_NOREPLACE), "EEXIST");
    await agent.call("rename", at("a"), at("c"), RENAME_NOREPLACE);
    await agent.call("rename", at("c"), at("b"), 0);
    assertEquals(await read(agent, at("b")), "b");
    assertEquals(await agent.errno("stat", at("a")), "ENOENT");
    assertEquals(await agent.errno("rename", at("a"), at("x"), 0), "ENOENT");
    await agent.call("mkdir", at("d"), 0o755);
    await agent.call("mkdir", at("e"), 0o755);
    await write(agent, at("d/in"), "in");
    await agent.call("rename", at("d"), at("e/d"), 0);
    assertEquals(await read(agent, at("e/d/in")), "in");
    assertEquals(await agent.errno("rename", at("e"), at("e/d/e"), 0), "EINVAL");
    await agent.call("rename", at("e"), at("b"), RENAME_EXCHANGE); // a directory for a file
    assertEquals([await read(agent, at("b/d/in")), await read(agent, at("e"))], ["in", "b"]);
  },

  async "an open file outlives its name, and what takes its name is another file"(agent, at) {
    await write(agent, at("f"), "old");
    const fd = await agent.number("open", at("f"), O_RDWR);
    await agent.call("unlink", at("f"));
    await write(agent, at("f"), "new");
    assertEquals(await agent.text("pread", fd, 10, 0), "old");
    await agent.call("pwrite", fd, data("ghost"), 0);
    assertEquals((await agent.stat("fstat", fd)).nlink, 0);
    assertEquals((await agent.stat("fstat", fd)).size, 5);
    assertEquals(await read(agent, at("f")), "new");
    assertNotEquals((await agent.stat("fstat", fd)).ino, (await agent.stat("stat", at("f"))).ino);
    const replaced = await agent.number("open", at("f"), O_RDONLY);
    await write(agent, at("g"), "g");
    await agent.call("rename", at("g"), at("f"), 0);
    assertEquals(await agent.text("pread", replaced, 10, 0), "new");
    assertEquals(await read(agent, at("f")), "g");
  },

  async "fallocate keeps the size, and punches holes"(agent, at) {
    const fd = await agent.number("open", at("f"), O_RDWR | O_CREAT, 0o644);
    await agent.call("fallocate", fd, FALLOC_FL_KEEP_SIZE, 0, 65536);
    const allocated = await agent.stat("fstat", fd);
    assertEquals(allocated.size, 0);
    assert(allocated.blocks >= 128, `${allocated.blocks} blocks`);
    await agent.call("fallocate", fd, 0, 0, 65536);
    assertEquals((await agent.stat("fstat", fd)).size, 65536);
    await agent.call("pwrite", fd, data("x".repeat(65536)), 0);
    await agent.call("fallocate", fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192);
    const punched = await agent.stat("fstat", fd);
    assertEquals(punched.size, 65536);
    assertEquals(await agent.text("pread", fd, 6, 4093), "xxx\0\0\0");
    assertEquals(await agent.text("pread", fd, 6, 12285), "\0\0\0xxx");
    assert(punched.blocks <= 128 - 16, `${punched.blocks} blocks`);
  },

  async "holes and data are told apart"(agent, at) {
    const fd = await agent.number("open", at("f"), O_RDWR | O_CREAT, 0o644);
    await agent.call("pwrite", fd, data("data"), 1 << 20);
    await agent.call("ftruncate", fd, 4 << 20);
    assertEquals(await agent.number("lseek", fd, 0, SEEK_HOLE), 0);
    assertEquals(await agent.number("lseek", fd, 0, SEEK_DATA), 1 << 20);
    assertEquals(await agent.number("lseek", fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4096);
    assertEquals(await agent.errno("lseek", fd, 2 << 20, SEEK_DATA), "ENXIO");
  },

  async "O_TMPFILE has no name, and can be given one"(agent, at) {
    const fd = await agent.number("open", at("."), O_RDWR | O_TMPFILE, 0o640);
    await agent.call("write", fd, data("secret"));
    assertEquals((await agent.stat("fstat", fd)).nlink, 0);
    const directory = await agent.number("open", at("."), O_RDONLY | O_DIRECTORY);
    assertEquals(await agent.list(directory), []);
    await agent.call("linkfd", fd, at("named"));
    assertEquals(await read(agent, at("named")), "secret");
    const [named, open] = [await agent.stat("stat", at("named")), await agent.stat("fstat", fd)];
    assertEquals([named.ino, named.nlink, named.mode], [open.ino, 1, "100640"]);
    await agent.call("write", fd, data(" more"));
    assertEquals(await read(agent, at("named")), "secret more");
    const exclusive = await agent.number("open", at("."), O_RDWR | O_TMPFILE | O_EXCL, 0o600);
    assertEquals(await agent.errno("linkfd", exclusive, at("never")), "ENOENT");
  },

  async "copy_file_range copies within the mount"(agent, at) {
    await write(agent, at("from"), "0123456789");
    const from = await agent.number("open", at("from"), O_RDONLY);
    const to = await agent.number("open", at("to"), O_RDWR | O_CREAT, 0o644);
    assertEquals(await agent.number("copy", from, 2, to, 1, 5), 5);
    assertEquals(await read(agent, at("to")), "\x0023456");
  },

  async "attributes are set: mode, owner, size, times to the nanosecond"(agent, at) {
    await write(agent, at("f"), "0123456789");
    await agent.call("chmod", at("f"), 0o4751);
    assertEquals((await agent.stat("stat", at("f"))).mode, "104751");
    await agent.call("chown", at("f"), 12345, 54321);
    const owned = await agent.stat("stat", at("f"));
    assertEquals(
      [owned.uid, owned.gid, owned.mode],
      [12345, 54321, "100751"],
      "a new owner clears set-user-ID",
    );
    await agent.call("truncate", at("f"), 4);
    assertEquals(await read(agent, at("f")), "0123");
    const fd = await agent.number("open", at("f"), O_RDWR);
    await agent.call("ftruncate", fd, 6);
    await agent.call("fchmod", fd, 0o600);
    await agent.call("utimens", at("f"), 1, 2, -1, 999_999_999);
    const set = await agent.stat("stat", at("f"));
    assertEquals([set.size, set.mode, set.atime, set.mtime], [6, "100600", "1.000000002", "-1.999999999"]);
    const UTIME_OMIT = 0x3ffffffe;
    await agent.call("utimens", at("f"), 5, 0, 0, UTIME_OMIT);
    assertEquals((await agent.stat("stat", at("f"))).mtime, "-1.999999999");
    await agent.call("symlink", "none", at("l"));
    await agent.call("utimens", at("l"), 3, 0, 4, 0);
    assertEquals((await agent.stat("lstat", at("l"))).mtime, "4.000000000");
  },

  async "the time of birth is told, as the backing has it"(agent, at) {
    await write(agent, at("f"), "");
    const { btime, mtime, size } = await agent.stat("birth", at("f"));
    assert(btime === "0.000000000" || btime.split(".")[0] === mtime.split(".")[0], btime);
    assertEquals(size, 0);
    assertEquals((await agent.stat("birth", at("."))).mode, "40755");
  },

  async "extended attributes: set, got, listed, removed"(agent, at) {
    await write(agent, at("f"), "");
    const value = Uint8Array.from([0, 255, 10, 1]);
    await agent.call("setxattr", at("f"), "user.one", data(value), XATTR_CREATE);
    assertEquals(await agent.errno("setxattr", at("f"), "user.one", data(value), XATTR_CREATE), "EEXIST");
    await agent.call("setxattr", at("f"), "user.two", "", 0);
    assertEquals(await agent.bytes("getxattr", at("f"), "user.one", 100), value);
    assertEquals(await agent.number("getxattr", at("f"), "user.one", 0), 4);
    assertEquals(await agent.errno("getxattr", at("f"), "user.one", 3), "ERANGE");
    assertEquals(await agent.errno("getxattr", at("f"), "user.none", 3), "ENODATA");
    const names = (await agent.text("listxattr", at("f"))).split("\0").filter((name) =>
      name.startsWith("user.")
    );
    assertEquals(names.sort(), ["user.one", "user.two"]);
    await agent.call("removexattr", at("f"), "user.one");
    assertEquals(await agent.errno("removexattr", at("f"), "user.one"), "ENODATA");
    const large = new Uint8Array(2000).map((_, index) => index);
    await agent.call("setxattr", at("f"), "user.large", data(large), 0);
    assertEquals(await agent.bytes("getxattr", at("f"), "user.large", 4000), large);
  },

  async "special files: FIFO, socket, device"(agent, at) {
    await agent.call("mknod", at("fifo"), S_IFIFO | 0o640, 0, 0);
    await agent.call("mknod", at("null"), S_IFCHR | 0o666, 1, 3);
    await agent.call("mknod", at("sock"), S_IFSOCK | 0o600, 0, 0);
    assertEquals((await agent.stat("stat", at("fifo"))).mode, "10640");
    assertEquals((await agent.stat("stat", at("sock"))).mode, "140600");
    assertEquals((await agent.stat("stat", at("null"))).rdev, "1:3");
    const fifo = await agent.number("open", at("fifo"), O_RDWR);
    await agent.call("write", fifo, data("through"));
    assertEquals(await agent.text("read", fifo, 100), "through");
    const device = await agent.number("open", at("null"), O_RDWR);
    assertEquals(await agent.number("write", device, data("gone")), 4);
    const listener = await agent.number("listen", at("server"));
    assert(listener >= 0);
    assert(await agent.number("connect", at("server")) >= 0);
  },

  async "statfs, poll, fsync and file flags are answered"(agent, at) {
    await write(agent, at("f"), "x");
    const fd = await agent.number("open", at("f"), O_RDWR);
    assertEquals(
      /bsize=[1-9]\d* blocks=[1-9]\d* namelen=255/.test(await agent.call("statfs", at("f"))),
      true,
    );
    assertEquals(await agent.number("poll", fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    await agent.call("fsync", fd);
    await agent.call("fdatasync", fd);
    const directory = await agent.number("open", at("."), O_RDONLY | O_DIRECTORY);
    await agent.call("fsync", directory);
    await agent.call("ioctl", fd, FS_IOC_GETFLAGS);
    assertEquals(await agent.errno("ioctl", fd, 0x5401), "ENOTTY");
  },

  async "locks of one file conflict between its handles"(agent, at) {
    const one = await agent.number("open", at("f"), O_RDWR | O_CREAT, 0o644);
    const other = await agent.number("open", at("f"), O_RDWR);
    const [LOCK_EX, LOCK_NB, LOCK_UN] = [2, 4, 8];
    await agent.call("flock", one, LOCK_EX | LOCK_NB);
    assertEquals(await agent.errno("flock", other, LOCK_EX | LOCK_NB), "EAGAIN");
    await agent.call("flock", one, LOCK_UN);
    await agent.call("flock", other, LOCK_EX | LOCK_NB);
  },

  async "a program is executed and mapped from the mount"(agent, at) {
    const from = await agent.number("open", "/bin/true", O_RDONLY);
    const size = (await agent.stat("fstat", from)).size;
    const to = await agent.number("open", at("true"), O_WRONLY | O_CREAT, 0o755);
    for (let done = 0; done < size;) {
      const some = await agent.call("pread", from, 32768, done);
      done += await agent.number("write", to, some);
    }
    await agent.call("close", to);
    assertEquals(await agent.number("spawn", at("true")), 0);
    await write(agent, at("script"), "#!/bin/sh\nexit 7\n");
    assertEquals(await agent.errno("spawn", at("script")), "EACCES");
    await agent.call("chmod", at("script"), 0o755);
    assertEquals(await agent.number("spawn", at("script")), 7 << 8);
  },

  async "a shared mapping and read agree"(agent, at) {
    await write(agent, at("f"), "x".repeat(4096));
    const fd = await agent.number("open", at("f"), O_RDWR);
    const address = await agent.number("mmap", 4096, 3, 1, fd, 0);
    await agent.call("poke", address, data("mapped"));
    assertEquals(await agent.text("pread", fd, 7, 0), "mappedx");
    await agent.call("pwrite", fd, data("WRITTEN"), 100);
    assertEquals(await agent.text("peek", address + 100, 7), "WRITTEN");
    await agent.call("msync", address, 4096, 4);
    assertEquals((await read(agent, at("f"))).slice(0, 6), "mapped");
  },

  async "large reads and writes go through whole"(agent, at) {
    const size = 3 << 20;
    const fd = await agent.number("open", at("f"), O_RDWR | O_CREAT, 0o644);
    const content = new Uint8Array(size).map((_, index) => (index >> 12) + index);
    assertEquals(await agent.number("write", fd, data(content)), size);
    assertEquals(await agent.bytes("pread", fd, size, 0), content);
    assertEquals(await agent.bytes("pread", fd, 5000, size - 3000), content.subarray(size - 3000));
  },
};
