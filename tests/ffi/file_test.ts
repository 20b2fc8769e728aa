import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import * as c from "../../ffi/sys/constants.ts";
import { linkat } from "../../ffi/sys/dir.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import * as file from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { temporaryDirectory, writeText } from "./support/temporary.ts";

function open(dirfd: number, name: string, flags: number, mode = 0): Fd {
  return Fd.own(check(file.openat(dirfd, cstr(name), flags | c.O_CLOEXEC, mode), "openat", name));
}

Deno.test("file: bytes are read and written where they are asked for, through views too", () => {
  using directory = temporaryDirectory();
  using fd = open(directory.fd, "f", c.O_RDWR | c.O_CREAT, 0o600);
  const bytes = new TextEncoder().encode("0123456789");
  assertEquals(file.pwriteAt(fd.raw, bytes.subarray(2, 5), 4n), 3);
  assertEquals(file.pwrite(fd.raw, bytes, 2, 0n), 2);
  assertEquals(Deno.readTextFileSync(`${directory.path}/f`), "01\0\x00234");
  const out = new Uint8Array(20).fill(0x2e);
  assertEquals(file.pread(fd.raw, out.subarray(5, 10), 5, 3n), 4);
  assertEquals(new TextDecoder().decode(out), ".....\x00234...........");
  assertEquals(file.read(fd.raw, out, 3), 3);
  assertEquals(file.lseek(fd.raw, 0n, c.SEEK_CUR), 3n);
  assertEquals(file.write(fd.raw, bytes), 10);
  assertEquals(file.ftruncate(fd.raw, 5n), 0);
  assertEquals(Deno.statSync(`${directory.path}/f`).size, 5);
  assertEquals([file.fsync(fd.raw), file.fdatasync(fd.raw), file.syncfs(fd.raw)], [0, 0, 0]);
});

Deno.test("file: what is written to the end is, wherever the offset was, and without O_APPEND", () => {
  using directory = temporaryDirectory();
  using fd = open(directory.fd, "f", c.O_RDWR | c.O_CREAT, 0o600);
  const bytes = new TextEncoder().encode("0123456789");
  assertEquals(file.write(fd.raw, bytes), 10);
  assertEquals(file.writeToEnd(fd.raw, bytes.subarray(3, 5)), 2);
  assertEquals(Deno.readTextFileSync(`${directory.path}/f`), "012345678934");
  assertEquals(file.lseek(fd.raw, 0n, c.SEEK_CUR), 10n);
  assertEquals(file.writeToEnd(-1, bytes), -9);
});

Deno.test("file: no call goes past the end of a buffer", () => {
  const buffer = new Uint8Array(8);
  for (const count of [9, -1, 1 << 30]) {
    assertThrows(() => file.read(0, buffer, count), RangeError);
    assertThrows(() => file.write(1, buffer, count), RangeError);
    assertThrows(() => file.pread(0, buffer, count, 0n), RangeError);
    assertThrows(() => file.pwrite(1, buffer, count, 0n), RangeError);
  }
  assertThrows(() => file.utimensat(c.AT_FDCWD, cstr("x"), buffer, 0), RangeError);
  assertThrows(() => file.fcntlLock(0, c.F_GETLK, buffer), RangeError);
  assertThrows(() => file.pipe2(new Int32Array(1), 0), RangeError);
});

Deno.test("file: openat2 with RESOLVE_BENEATH stays below, by whatever way out", () => {
  using directory = temporaryDirectory();
  Deno.mkdirSync(`${directory.path}/in`);
  writeText(directory, "out", "x");
  writeText(directory, "in/f", "x");
  Deno.symlinkSync("../out", `${directory.path}/in/up`);
  Deno.symlinkSync(`${directory.path}/out`, `${directory.path}/in/absolute`);
  Deno.symlinkSync("f", `${directory.path}/in/inside`);
  using inside = open(directory.fd, "in", c.O_PATH | c.O_DIRECTORY);
  const tried = (path: string) => {
    const how = { flags: c.O_RDONLY | c.O_CLOEXEC, resolve: c.RESOLVE_BENEATH };
    const result = file.openat2(inside.raw, cstr(path), how);
    if (result >= 0) file.closeFd(result);
    return Math.min(result, 0);
  };
  for (const path of ["..", "../out", "/etc/passwd", "up", "absolute", "f/../../out"]) {
    assert([-Errno.EXDEV, -Errno.ENOTDIR].includes(tried(path)), `${path}: ${tried(path)}`);
  }
  assertEquals(tried("../out"), -Errno.EXDEV);
  assertEquals(tried("up"), -Errno.EXDEV);
  assertEquals([tried("f"), tried("inside"), tried(".")], [0, 0, 0]);
  const links = { flags: c.O_RDONLY, resolve: c.RESOLVE_NO_SYMLINKS };
  assertEquals(file.openat2(inside.raw, cstr("inside"), links), -Errno.ELOOP);
  assertEquals(file.openat2(inside.raw, cstr("f"), { flags: c.O_RDONLY, mode: 0o600 }), -Errno.EINVAL);
});

Deno.test("file: openat2 makes files with the mode it is given", () => {
  using directory = temporaryDirectory();
  const how = { flags: c.O_WRONLY | c.O_CREAT | c.O_EXCL | c.O_CLOEXEC, mode: 0o640 };
  using _fd = Fd.own(check(file.openat2(directory.fd, cstr("f"), how), "openat2"));
  assertEquals(Deno.statSync(`${directory.path}/f`).mode! & 0o777, 0o640 & ~Deno.umask());
});

Deno.test("file: statx tells what lstat tells", () => {
  using directory = temporaryDirectory();
  writeText(directory, "f", "hello");
  Deno.linkSync(`${directory.path}/f`, `${directory.path}/g`);
  Deno.utimeSync(`${directory.path}/f`, new Date(1_000_000_123_000), new Date(1_234_567_890_500));
  Deno.symlinkSync("f", `${directory.path}/l`);
  const out = new file.StatxBuffer();
  for (const name of ["f", "l", "."]) {
    const info = Deno.lstatSync(`${directory.path}/${name}`);
    assertEquals(
      file.statx(directory.fd, cstr(name), c.AT_SYMLINK_NOFOLLOW, c.STATX_BASIC_STATS | c.STATX_MNT_ID, out),
      0,
    );
    assertEquals(
      [out.mode, out.nlink, out.uid, out.gid, out.blksize],
      [info.mode, info.nlink, info.uid, info.gid, info.blksize],
    );
    assertEquals([out.ino, out.size, out.blocks], [
      BigInt(info.ino!),
      BigInt(info.size),
      BigInt(info.blocks!),
    ]);
    assertEquals(
      BigInt(info.mtime!.getTime()),
      out.mtimeSec * 1000n + BigInt(Math.trunc(out.mtimeNsec / 1e6)),
    );
    assertEquals(
      BigInt(info.atime!.getTime()),
      out.atimeSec * 1000n + BigInt(Math.trunc(out.atimeNsec / 1e6)),
    );
    assertEquals(BigInt(Math.trunc(info.ctime!.getTime() / 1000)), out.ctimeSec); // Deno has whole seconds of it
    assertEquals(out.mask & c.STATX_BASIC_STATS, c.STATX_BASIC_STATS);
    assert(out.mntId > 0n);
    // Deno has st_dev as glibc packs it: ((major & ~0xfff) << 32) | (major << 8) | ((minor & ~0xff) << 12) | (minor & 0xff)
    assertEquals(info.dev, (out.devMajor << 8) | ((out.devMinor & ~0xff) << 12) | (out.devMinor & 0xff));
  }
  assertEquals(file.statx(c.AT_FDCWD, cstr("/dev/null"), 0, c.STATX_BASIC_STATS, out), 0);
  assertEquals([out.mode & c.S_IFMT, out.rdevMajor, out.rdevMinor], [c.S_IFCHR, 1, 3]);
});

Deno.test("file: an O_PATH descriptor can be asked, opened, changed and linked", () => {
  using directory = temporaryDirectory();
  writeText(directory, "f", "text");
  using fd = open(directory.fd, "f", c.O_PATH);
  Deno.removeSync(`${directory.path}/f`);
  const out = new file.StatxBuffer();
  assertEquals(file.fstat(fd.raw, c.STATX_BASIC_STATS, out), 0);
  assertEquals([out.size, out.nlink], [4n, 0]);
  assertEquals(file.fchmod(fd.raw, 0o600), -Errno.EBADF);
  assertEquals(file.fchmodFd(fd.raw, 0o604), 0);
  assertEquals(file.fchownat(fd.raw, cstr(""), 0xffffffff, 0xffffffff, c.AT_EMPTY_PATH), 0);
  assertEquals(file.utimensat(c.AT_FDCWD, file.procFdPath(fd.raw), times(5n, 6n, 7n, 8n), 0), 0);
  using again = Fd.own(check(file.reopen(fd.raw, c.O_RDWR | c.O_CLOEXEC), "reopen"));
  assertEquals(file.fstat(again.raw, c.STATX_BASIC_STATS, out), 0);
  assertEquals([out.mode & 0o7777, out.atimeSec, out.atimeNsec, out.mtimeSec, out.mtimeNsec], [
    0o604,
    5n,
    6,
    7n,
    8,
  ]);
  assertEquals(file.pread(again.raw, new Uint8Array(9), 9, 0n), 4);
  assertEquals(
    linkat(c.AT_FDCWD, file.procFdPath(fd.raw), directory.fd, cstr("g"), c.AT_SYMLINK_FOLLOW),
    -Errno.ENOENT,
  );
});

Deno.test("file: the path of a descriptor has all its digits, after a longer one too", () => {
  const text = (fd: number) => {
    const path = file.procFdPath(fd);
    return new TextDecoder().decode(path.subarray(0, path.indexOf(0)));
  };
  for (const fd of [0, 9, 10, 2147483647, 99, 100, 7, 1048576]) assertEquals(text(fd), `/proc/self/fd/${fd}`);
});

function times(atime: bigint, atimeNs: bigint, mtime: bigint, mtimeNs: bigint): Uint8Array {
  return new Uint8Array(new BigInt64Array([atime, atimeNs, mtime, mtimeNs]).buffer);
}

Deno.test("file: utimensat sets, leaves and takes the present, before 1970 and after 2106", () => {
  using directory = temporaryDirectory();
  writeText(directory, "f", "");
  const path = cstr("f");
  const out = new file.StatxBuffer();
  const stat = () => {
    assertEquals(file.statx(directory.fd, path, 0, c.STATX_BASIC_STATS, out), 0);
    return [out.atimeSec, out.atimeNsec, out.mtimeSec, out.mtimeNsec];
  };
  assertEquals(file.utimensat(directory.fd, path, times(-5n, 1n, 5_000_000_000n, 2n), 0), 0);
  assertEquals(stat(), [-5n, 1, 5_000_000_000n, 2]);
  assertEquals(file.utimensat(directory.fd, path, times(0n, BigInt(c.UTIME_OMIT), 9n, 9n), 0), 0);
  assertEquals(stat(), [-5n, 1, 9n, 9]);
  const before = BigInt(Math.trunc(Date.now() / 1000)) - 1n;
  assertEquals(
    file.utimensat(directory.fd, path, times(0n, BigInt(c.UTIME_NOW), 0n, BigInt(c.UTIME_OMIT)), 0),
    0,
  );
  const [atime, , mtime] = stat();
  assert((atime as bigint) >= before);
  assertEquals(mtime, 9n);
  using fd = open(directory.fd, "f", c.O_RDWR);
  assertEquals(file.utimensat(fd.raw, null, times(1n, 0n, 2n, 0n), 0), 0);
  assertEquals(stat(), [1n, 0, 2n, 0]);
  assertEquals(file.utimensat(fd.raw, null, null, 0), 0);
  assert((stat()[2] as bigint) >= before);
});

Deno.test("file: offsets past 2^53 are exact, holes and data are found", () => {
  using directory = temporaryDirectory();
  using fd = open(directory.fd, "f", c.O_RDWR | c.O_CREAT, 0o600);
  // No local file system is that large, but a file's offset may be: /proc/self/mem takes any that is not negative.
  using mem = open(c.AT_FDCWD, "/proc/self/mem", c.O_RDONLY);
  const far = (1n << 62n) + 9_007_199_254_740_993n;
  assertEquals(file.lseek(mem.raw, far, c.SEEK_SET), far);
  assertEquals(file.lseek(mem.raw, 2n, c.SEEK_CUR), far + 2n);
  assertEquals(file.pwriteAt(fd.raw, new Uint8Array([1]), 1n << 33n), 1);
  assertEquals(file.lseek(fd.raw, 0n, c.SEEK_END), (1n << 33n) + 1n);
  const data = file.lseek(fd.raw, 0n, c.SEEK_DATA);
  assert(data === 0n || data === 1n << 33n, String(data)); // 0 where holes are not known
  assertEquals(file.lseek(fd.raw, (1n << 33n) + 1n, c.SEEK_DATA), BigInt(-Errno.ENXIO));
  assertEquals(file.lseek(fd.raw, -1n, c.SEEK_SET), BigInt(-Errno.EINVAL));
  assertEquals(file.fallocate(fd.raw, 0, 0n, 4096n), 0);
  assertEquals(file.fallocate(fd.raw, c.FALLOC_FL_PUNCH_HOLE, 0n, 1n), -Errno.EOPNOTSUPP);
});

Deno.test("file: ranges are copied between files, at their offsets", () => {
  using directory = temporaryDirectory();
  writeText(directory, "a", "0123456789");
  using from = open(directory.fd, "a", c.O_RDONLY);
  using to = open(directory.fd, "b", c.O_RDWR | c.O_CREAT, 0o600);
  assertEquals(file.copyFileRange(from.raw, 2n, to.raw, 1n, 4n), 4);
  assertEquals(file.copyFileRange(from.raw, 8n, to.raw, 5n, 1n << 62n), 2);
  assertEquals(file.copyFileRange(from.raw, 10n, to.raw, 7n, 100n), 0);
  assertEquals(Deno.readTextFileSync(`${directory.path}/b`), "\x00234589");
  assertEquals(file.lseek(from.raw, 0n, c.SEEK_CUR), 0n);
});

Deno.test("file: locks are taken and told", () => {
  using directory = temporaryDirectory();
  using first = open(directory.fd, "f", c.O_RDWR | c.O_CREAT, 0o600);
  using second = open(directory.fd, "f", c.O_RDWR);
  assertEquals(file.flock(first.raw, c.LOCK_EX | c.LOCK_NB), 0);
  assertEquals(file.flock(second.raw, c.LOCK_SH | c.LOCK_NB), -Errno.EAGAIN);
  assertEquals(file.flock(first.raw, c.LOCK_UN), 0);
  const lock = new DataView(new ArrayBuffer(32));
  lock.setInt16(0, c.F_WRLCK, true);
  lock.setBigInt64(8, 10n, true);
  lock.setBigInt64(16, 5n, true);
  const bytes = new Uint8Array(lock.buffer);
  assertEquals(file.fcntlLock(first.raw, c.F_OFD_SETLK, bytes), 0);
  assertEquals(file.fcntlLock(second.raw, c.F_OFD_SETLK, bytes), -Errno.EAGAIN);
  assertEquals(file.fcntlLock(second.raw, c.F_OFD_GETLK, bytes), 0);
  assertEquals([lock.getInt16(0, true), lock.getBigInt64(8, true), lock.getInt32(24, true)], [
    c.F_WRLCK,
    10n,
    -1,
  ]);
});

Deno.test("file: descriptors are duplicated, piped and asked for their flags", () => {
  const ends = new Int32Array(2);
  assertEquals(file.pipe2(ends, c.O_CLOEXEC | c.O_NONBLOCK), 0);
  using out = Fd.own(ends[0]!);
  using into = Fd.own(ends[1]!);
  const buffer = new Uint8Array(8);
  assertEquals(file.read(out.raw, buffer), -Errno.EAGAIN);
  assertEquals(file.write(into.raw, new Uint8Array([7, 8])), 2);
  const waiting = new Uint8Array(4);
  assertEquals(file.ioctl(out.raw, 0x541bn, waiting), 0); // FIONREAD
  assertEquals(waiting[0], 2);
  assertEquals(file.ioctl(out.raw, 0x5451n, 0n), 0); // FIOCLEX
  assertEquals(file.fcntlGet(out.raw, c.F_GETFL) & (c.O_NONBLOCK | c.O_ACCMODE), c.O_NONBLOCK);
  assertEquals(file.fcntlSet(out.raw, c.F_SETFL, 0), 0);
  assertEquals(file.fcntlGet(out.raw, c.F_GETFL) & c.O_NONBLOCK, 0);
  using copy = out.dup();
  assertEquals(file.dup3(into.raw, copy.raw, c.O_CLOEXEC), copy.raw);
  assertEquals(file.write(copy.raw, new Uint8Array([9])), 1);
  assertEquals(file.read(out.raw, buffer), 3);
  assertEquals([...buffer.subarray(0, 3)], [7, 8, 9]);
  assertEquals(file.dup3(into.raw, into.raw, 0), -Errno.EINVAL);
});
