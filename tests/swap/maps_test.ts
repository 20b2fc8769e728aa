import { assert, assertEquals, assertThrows } from "@std/assert";
import * as c from "../../ffi/sys/constants.ts";
import { unlinkat } from "../../ffi/sys/dir.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { ftruncate, openat } from "../../ffi/sys/file.ts";
import { check, cstr, symbol } from "../../ffi/sys/libc.ts";
import { mapFilesName, parseMaps, parseSmaps, parseSmapsOf, type Vma } from "../../swap/procfs/maps.ts";
import { temporaryDirectory } from "../ffi/support/temporary.ts";
import { assertRobust, bytes, hostileNames, memfd, procFile } from "./support/procfs.ts";

const libc = {
  mmap: symbol("mmap", { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "usize" }),
  munmap: symbol("munmap", { parameters: ["usize", "usize"], result: "i32" }),
  madvise: symbol("madvise", { parameters: ["usize", "usize", "i32"], result: "i32" }),
  mlock: symbol("mlock", { parameters: ["usize", "usize"], result: "i32" }),
};
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const PAGE = 65536n;

/** A mapping of one page of any architecture, that goes with the scope. */
function mapped(
  fd: number,
  prot: number,
  flags: number,
  offset: bigint,
): { readonly start: number } & Disposable {
  const start = libc.mmap.call(0n, PAGE, prot, flags, fd, offset);
  assert(BigInt(start) !== 2n ** 64n - 1n, "mmap failed");
  return {
    start: Number(start),
    [Symbol.dispose]: () => void check(libc.munmap.call(start, PAGE), "munmap"),
  };
}

const lines = (...all: string[]) => bytes(all.map((line) => line + "\n").join(""));
const plain = (vma: Vma) => [vma.start, vma.end, vma.offset, vma.major, vma.minor, vma.ino];
const permissions = (line: string) => {
  const vma = parseMaps(lines(line))[0]!;
  return [vma.read, vma.write, vma.exec, vma.shared];
};
const VSYSCALL = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]";
const VDSO = "7ffd1c5f2000-7ffd1c5f4000 r-xp 00000000 00:00 0                          [vdso]";
const FILE =
  "7f0f770e5000-7f0f770e6000 rw-s 00003000 fe:1b 9978039                    /tmp/a\\012b\\ (deleted)";

Deno.test("maps: every field of a line is told", () => {
  assertEquals(parseMaps(lines(FILE)), [{
    start: 0x7f0f770e5000,
    end: 0x7f0f770e6000,
    read: true,
    write: true,
    exec: false,
    shared: true,
    offset: 0x3000,
    major: 254,
    minor: 27,
    ino: 9978039n,
  }]);
  assertEquals(permissions("00400000-00401000 ---p 00000000 00:00 0 "), [false, false, false, false]);
  assertEquals(permissions("00400000-00401000 r-xp 00000000 00:00 0 "), [true, false, true, false]);
  assertEquals(permissions("00400000-00401000 -w-s 00000000 00:00 0 "), [false, true, false, true]);
});

Deno.test("maps: numbers are exact, how large they may be", () => {
  // 57 bit addresses, an offset at the end of the largest file, an inode of 64 bits, a device of 12 and 20 bits.
  const [vma] = parseMaps(
    lines("fffffffffff000-100000000000000 r--p 7ffffffffffff000 fff:fffff 18446744073709551615 /x"),
  );
  assertEquals([BigInt(vma!.start), BigInt(vma!.end), BigInt(vma!.offset)], [
    0xfffffffffff000n,
    0x100000000000000n,
    0x7ffffffffffff000n,
  ]);
  assertEquals([vma!.major, vma!.minor, vma!.ino], [0xfff, 0xfffff, 2n ** 64n - 1n]);
  assertEquals(
    parseMaps(lines("00010000-00011000 r--p 00000000 08:01 9007199254740993 /x"))[0]!.ino,
    2n ** 53n + 1n,
  );
});

Deno.test("maps: the kernel's half of the addresses is left out", () => {
  assertEquals(parseMaps(lines(FILE, VSYSCALL)).length, 1);
  assertEquals(parseMaps(lines(VSYSCALL)), []);
  assertEquals(parseMaps(new Uint8Array()), []);
});

Deno.test("maps: only mappings of wanted devices are told, each asked for once in a row", () => {
  const asked: string[] = [];
  const text = lines(
    "00010000-00011000 r--p 00000000 08:01 1 /a",
    "00020000-00021000 r--p 00000000 08:01 2 /b",
    "00030000-00031000 r--p 00000000 08:012 3 /c",
    "00040000-00041000 rw-p 00000000 00:00 0 ",
    "00050000-00051000 r--p 00001000 00:2b 5 /e",
    "00060000-00061000 r--p 00001000 00:2b 6",
    "7ffffffff000-800000000000 r--p 100000000 00:2 7 /e",
    VSYSCALL,
  );
  const wanted = (major: number, minor: number) => {
    asked.push(`${major}:${minor}`);
    return major === 0 && minor === 0x2b;
  };
  assertEquals(parseMaps(text, wanted).map(plain), [
    [0x50000, 0x51000, 0x1000, 0, 0x2b, 5n],
    [0x60000, 0x61000, 0x1000, 0, 0x2b, 6n],
  ]);
  assertEquals(asked, ["8:1", "8:18", "0:0", "0:43", "0:2", "0:0"]);
  assertEquals(parseMaps(text, () => true), parseMaps(text));
  assertEquals(parseMaps(text, () => false), []);
});

Deno.test("maps: names do not pass for anything else", () => {
  const names = [
    "/x 00:2b 5 /y",
    "/[vdso]",
    "/x (deleted)",
    "/ 00400000-00401000 r-xp 00000000 00:2b 1 /z",
    "/\xff\xfe",
    "/" + "n".repeat(4094),
    "[anon:00:2b 5]",
    "",
  ];
  const text = lines(...names.map((name, i) => `${i + 1}0000-${i + 1}1000 r--p 00000000 08:01 ${i} ${name}`));
  assertEquals(
    parseMaps(text).map(({ start, ino }) => [start, ino]),
    names.map((_, i) => [(i + 1) << 16, BigInt(i)]),
  );
  assertEquals(parseMaps(text, (_, minor) => minor === 0x2b), []);
});

Deno.test("maps: what is no maps is refused, and the message tells where", () => {
  const good = "00400000-00401000 r-xp 00000000 08:01 7 /x";
  for (
    const line of [
      "",
      "x",
      good.replace("00400000", ""),
      good.replace("-", " "),
      good.replace("00401000", "00400000"),
      good.replace("r-xp", "r-x"),
      good.replace("r-xp", "rwxq"),
      good.replace("r-xp", "rwxps"),
      good.replace("08:01", "0801"),
      good.replace("08:01", "8,1"),
      good.replace(" 7 ", " "),
      good.replace(" 7 ", " 7a "),
      good.replace(" 7 ", " 18446744073709551616 "),
      good.replace("00400000", "1" + "0".repeat(16)),
      good.replace("00401000", "1" + "0".repeat(16)),
      good.toUpperCase(),
    ]
  ) assertThrows(() => parseMaps(lines(good, line)), SyntaxError, "maps: ", line);
  assertThrows(() => parseMaps(bytes(good)), SyntaxError, "cut off");
  assertThrows(() => parseMaps(bytes(good), () => false), SyntaxError, "cut off");
  assertThrows(() => parseMaps(bytes("0"), () => false), SyntaxError, "maps: ");
  const error = assertThrows(() => parseMaps(lines(good, "00400000-00401000 rxxp")), SyntaxError);
  assertEquals(error.message, 'maps: no "-" at column 20 of "00400000-00401000 rxxp"');
});

Deno.test("maps: a mapping of every kind of name, made for real, is found by device and inode", () => {
  for (const name of hostileNames.filter((name) => name.length <= 249)) {
    using fd = memfd(name);
    check(ftruncate(fd.raw, 10n * PAGE), "ftruncate");
    const { dev, ino } = Deno.statSync(`/proc/self/fd/${fd.raw}`);
    using map = mapped(fd.raw, PROT_READ | PROT_WRITE, MAP_SHARED, 3n * PAGE);
    using copy = mapped(fd.raw, PROT_READ, MAP_PRIVATE, 0n);
    const text = procFile("/proc/self/maps");
    const found = parseMaps(text, (major, minor) => major === 0 && minor === dev).filter((vma) =>
      vma.ino === BigInt(ino!)
    );
    assertEquals(new Set(found.map(({ start }) => start)), new Set([map.start, copy.start]), name);
    const shared = found.find(({ start }) => start === map.start)!;
    assertEquals(shared, {
      start: map.start,
      end: map.start + Number(PAGE),
      read: true,
      write: true,
      exec: false,
      shared: true,
      offset: 3 * Number(PAGE),
      major: 0,
      minor: dev,
      ino: BigInt(ino!),
    });
    const privately = found.find(({ start }) => start === copy.start)!;
    assertEquals([privately.shared, privately.write, privately.offset], [false, false, 0]);
  }
});

Deno.test("maps: names of files, removed ones too, make no lines", () => {
  using directory = temporaryDirectory();
  for (const name of hostileNames) {
    const flags = c.O_RDWR | c.O_CREAT | c.O_CLOEXEC;
    using fd = Fd.own(check(openat(directory.fd, cstr(bytes(name)), flags, 0o600), "openat"));
    check(ftruncate(fd.raw, PAGE), "ftruncate");
    using map = mapped(fd.raw, PROT_READ, MAP_SHARED, 0n);
    for (const removed of [false, true]) {
      if (removed) check(unlinkat(directory.fd, cstr(bytes(name)), 0), "unlinkat");
      const text = procFile("/proc/self/maps");
      const vmas = parseMaps(text);
      assertEquals(vmas.filter(({ start }) => start === map.start).length, 1, name);
      assert(vmas.every(({ end }, i) => i + 1 === vmas.length || end <= vmas[i + 1]!.start), name);
    }
  }
});

Deno.test("maps: map_files has the names that are made for it", () => {
  using fd = memfd("x");
  check(ftruncate(fd.raw, PAGE), "ftruncate");
  using map = mapped(fd.raw, PROT_READ, MAP_SHARED, 0n);
  const vma = parseMaps(procFile("/proc/self/maps")).find(({ start }) => start === map.start)!;
  assert([...Deno.readDirSync("/proc/self/map_files")].some(({ name }) => name === mapFilesName(vma)));
  assertEquals(mapFilesName({ start: 0x400000, end: 0x401000 }), "400000-401000");
});

const SMAPS = `${FILE}
Size:                  4 kB
KernelPageSize:        4 kB
Rss:                   4 kB
AnonHugePages:         0 kB
FilePmdMapped:         0 kB
Locked:               12 kB
THPeligible:           0
ProtectionKey:         3
VmFlags: rd wr sh mr mw me ms lo dc 
7f0f77100000-7f0f77101000 rw-p 00000000 00:00 0 
Size:                  4 kB
Locked:                0 kB
VmFlags: 
`;

/** Hands out the first of the bytes, then more and more of them, and counts how often. */
function gradually(all: Uint8Array, step: number): { more: () => Uint8Array | undefined; times: number } {
  const reader = {
    times: 0,
    more: () => {
      const from = reader.times++ * step;
      return from >= all.length ? undefined : all.subarray(0, Math.min(from + step, all.length));
    },
  };
  return reader;
}

Deno.test("smaps: only the entries that are asked for, and only where they are all of a line", () => {
  const all = parseSmaps(bytes(SMAPS));
  const those = (text: string, areas: Parameters<typeof parseSmapsOf>[1], step = 1000) =>
    parseSmapsOf(gradually(bytes(text), step).more, areas);
  for (const step of [1, 7, 64, 1000]) {
    assertEquals(those(SMAPS, all, step), all);
    assertEquals(those(SMAPS, [all[1]!], step), [all[1]!]);
  }
  assertEquals(those(SMAPS, [{ start: 0x1000, end: 0x2000 }, all[1]!]), [all[1]!]);
  assertEquals(those(SMAPS, [{ start: all[1]!.start, end: all[1]!.end + 4096 }]), []);
  assertEquals(those(SMAPS, [{ start: 0x1000, end: 0x2000 }]), []);
  const named = SMAPS.replace("\n", " 7f0f77100000-7f0f77101000 rw-p VmFlags: dc\n");
  assertEquals(those(named, [all[1]!]), [all[1]!]);
  const without = SMAPS.replace(/VmFlags: rd.*\n/, "");
  assertThrows(() => those(without, [all[0]!]), SyntaxError);
  assertThrows(() => those(SMAPS.slice(0, -1), [all[1]!]), SyntaxError);
  const own = procFile("/proc/self/smaps");
  const areas = parseSmaps(own);
  assertEquals(parseSmapsOf(gradually(own, 4000).more, areas), areas);
});

Deno.test("smaps: nothing is read behind the last entry that is asked for", () => {
  const [first] = parseSmaps(bytes(SMAPS));
  const reader = gradually(bytes(SMAPS), 64);
  assertEquals(parseSmapsOf(reader.more, [first!]), [first!]);
  assertEquals(reader.times, Math.ceil((SMAPS.indexOf("dc \n") + 4) / 64));
});

Deno.test("smaps: what a mapping's lines tell", () => {
  assertEquals(parseSmaps(bytes(SMAPS)), [
    {
      start: 0x7f0f770e5000,
      end: 0x7f0f770e6000,
      vmFlags: new Set(["rd", "wr", "sh", "mr", "mw", "me", "ms", "lo", "dc"]),
      lockedKb: 12,
      protectionKey: 3,
    },
    { start: 0x7f0f77100000, end: 0x7f0f77101000, vmFlags: new Set<string>(), lockedKb: 0, protectionKey: 0 },
  ]);
  assertEquals(parseSmaps(bytes(SMAPS + `${VSYSCALL}\nSize: 4 kB\nVmFlags: ex \n`)).length, 2);
  assertEquals(parseSmaps(new Uint8Array()), []);
});

Deno.test("smaps: names do not pass for the lines of a mapping", () => {
  const name = "/VmFlags: sl\\012VmFlags: sl um VmFlags: sl";
  const text = `00400000-00401000 r-xp 00000000 08:01 7 ${name}\nLocked: 0 kB\nVmFlags: rd mr \n`;
  assertEquals([...parseSmaps(bytes(text))[0]!.vmFlags], ["rd", "mr"]);
});

Deno.test("smaps: flags of neighbours that differ in a letter are told apart", () => {
  const flags = ["rd mr", "rd mw", "rd mr", "rd mr lo", "rd mr", ""];
  const text = flags.map((codes, i) =>
    `${i + 1}0000-${i + 1}1000 r--p 00000000 00:00 0 \nVmFlags: ${codes} \n`
  ).join("");
  assertEquals(parseSmaps(bytes(text)).map(({ vmFlags }) => [...vmFlags].join(" ")), flags);
});

Deno.test("smaps: what is no smaps is refused", () => {
  for (
    const input of [
      "\n",
      "Size: 4 kB\n",
      FILE,
      `${FILE}\n`,
      `${FILE}\nSize: 4 kB\n`,
      `${FILE}\nSize: 4 kB\n${SMAPS}`,
      `${FILE}\nVmFlags: rd`,
      `${FILE}\nLocked: x kB\nVmFlags: rd\n`,
      SMAPS.slice(0, -1),
    ]
  ) assertThrows(() => parseSmaps(bytes(input)), SyntaxError, "smaps: ", input);
});

Deno.test("smaps: of this process, with what was asked of a mapping", () => {
  using fd = memfd("x\nVmFlags: sl");
  check(ftruncate(fd.raw, 2n * PAGE), "ftruncate");
  using map = mapped(fd.raw, PROT_READ | PROT_WRITE, MAP_SHARED, 0n);
  using other = mapped(fd.raw, PROT_READ, MAP_PRIVATE, PAGE);
  const MADV_DONTFORK = 10;
  const MADV_RANDOM = 1;
  check(libc.madvise.call(BigInt(map.start), PAGE, MADV_DONTFORK), "madvise");
  check(libc.madvise.call(BigInt(map.start), PAGE, MADV_RANDOM), "madvise");
  check(libc.mlock.call(BigInt(map.start), PAGE), "mlock");
  const entries = parseSmaps(procFile("/proc/self/smaps"));
  const entry = entries.find(({ start }) => start === map.start)!;
  for (const code of ["rd", "wr", "sh", "dc", "rr", "lo"]) assert(entry.vmFlags.has(code), code);
  assertEquals([entry.end, entry.lockedKb], [map.start + Number(PAGE), Number(PAGE) / 1024]);
  const rest = entries.find(({ start }) => start === other.start)!;
  for (const code of ["wr", "sh", "dc", "rr", "lo", "sl"]) assert(!rest.vmFlags.has(code), code);
  assertEquals(rest.lockedKb, 0);
});

Deno.test("maps: 60 000 mappings are read in one go", () => {
  const all = Array.from({ length: 60_000 }, (_, i) => {
    const address = (start: number) => start.toString(16).padStart(8, "0");
    return `${address((i + 1) << 13)}-${address(((i + 1) << 13) + 4096)} r--p 00000000 00:${
      i % 2 ? "2b" : "2c"
    } ${i} /${i}`;
  });
  const vmas = parseMaps(lines(...all), (_, minor) => minor === 0x2b);
  assertEquals([vmas.length, vmas[29_999]!.ino], [30_000, 59_999n]);
});

Deno.test("maps: input that is almost right is understood or refused", () => {
  const text = [FILE, "00800000-00801000 rw-p 00000000 00:00 0 ", VDSO, VSYSCALL, ""].join("\n");
  assertRobust(parseMaps, [text]);
  assertRobust((input) => parseMaps(input, (_, minor) => minor === 0), [text]);
  assertRobust(parseSmaps, [SMAPS]);
});
