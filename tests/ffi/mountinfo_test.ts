import { assert, assertEquals, assertThrows } from "@std/assert";
import { SysError } from "../../ffi/errno.ts";
import { type MountinfoEntry, parseMountinfo, readMountinfo } from "../../ffi/sys/mountinfo.ts";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (field: Uint8Array) => String.fromCharCode(...field);

function one(line: string): MountinfoEntry {
  const entries = parseMountinfo(bytes(line + "\n"));
  assertEquals(entries.length, 1);
  return entries[0]!;
}

Deno.test("mountinfo: every field of a line is told", () => {
  const entry = one(
    "36 35 98:65536 /mnt1 /mnt2 rw,noatime,nosuid shared:1 master:2 - ext3 /dev/root rw,errors=continue",
  );
  assertEquals([entry.id, entry.parent, entry.major, entry.minor], [36, 35, 98, 65536]);
  assertEquals([text(entry.root), text(entry.mountpoint), text(entry.source)], [
    "/mnt1",
    "/mnt2",
    "/dev/root",
  ]);
  assertEquals(entry.options, ["rw", "noatime", "nosuid"]);
  assertEquals(entry.tags, ["shared:1", "master:2"]);
  assertEquals([entry.fstype, entry.superOptions], ["ext3", "rw,errors=continue"]);
});

Deno.test("mountinfo: any number of optional fields, none and unknown ones too", () => {
  assertEquals(one("1 2 0:3 / / rw - proc proc rw").tags, []);
  assertEquals(one("1 2 0:3 / / rw unbindable - proc proc rw").tags, ["unbindable"]);
  assertEquals(one("1 2 0:3 / / rw a:1 b propagate_from:7 x-y - proc proc rw").tags, [
    "a:1",
    "b",
    "propagate_from:7",
    "x-y",
  ]);
});

Deno.test("mountinfo: escapes are bytes again, what is none stays", () => {
  const entry = one(
    String.raw`1 2 0:3 /a\040b\011c\012d\134e\0434 /\134040x\9\08\777\04 rw - fuse.a\040b spfs:\040\134 rw`,
  );
  assertEquals(text(entry.root), "/a b\tc\nd\\e#4");
  assertEquals(text(entry.mountpoint), String.raw`/\040x\9\08\777\04`);
  assertEquals([entry.fstype, text(entry.source)], ["fuse.a b", "spfs: \\"]);
});

Deno.test("mountinfo: names that look like something else stay names", () => {
  const entry = one("1 2 0:3 //deleted /mnt\\040(deleted) rw - - - rw");
  assertEquals([text(entry.root), text(entry.mountpoint), entry.fstype, text(entry.source)], [
    "//deleted",
    "/mnt (deleted)",
    "-",
    "-",
  ]);
  const dashes = one("1 2 0:3 - /- -,rw - -- - -");
  assertEquals([text(dashes.root), text(dashes.mountpoint), dashes.options, dashes.tags], ["-", "/-", [
    "-",
    "rw",
  ], []]);
  assertEquals([dashes.fstype, text(dashes.source), dashes.superOptions], ["--", "-", "-"]);
});

Deno.test("mountinfo: bytes that are not UTF-8 come through", () => {
  const entry = one("1 2 0:3 /\xff\xfe /\x80 rw - tmpfs \xc3 rw");
  assertEquals([...entry.root], [0x2f, 0xff, 0xfe]);
  assertEquals([...entry.mountpoint], [0x2f, 0x80]);
  assertEquals([...entry.source], [0xc3]);
});

Deno.test("mountinfo: an empty source is empty, as are no mounts", () => {
  assertEquals(text(one("1 2 0:3 / /x rw - tmpfs  rw,size=1k").source), "");
  assertEquals(one("1 2 0:3 / /x rw - tmpfs  rw,size=1k").superOptions, "rw,size=1k");
  assertEquals(parseMountinfo(new Uint8Array()), []);
  assertEquals(parseMountinfo(bytes("1 2 0:3 / / rw - a b c")).length, 1);
});

Deno.test("mountinfo: what is no mountinfo is refused", () => {
  for (
    const line of [
      "",
      "1 2 0:3 / / rw",
      "1 2 0:3 / / rw - ext4 x",
      "1 2 3 / / rw - a b c",
      "1 2 3:4:5 / / rw - a b c",
      "x 2 0:3 / / rw - a b c",
      "1 -2 0:3 / / rw - a b c",
      "1  0:3 / / rw - a b c",
    ]
  ) assertThrows(() => parseMountinfo(bytes(line + "\n")), SyntaxError, "mountinfo");
});

Deno.test("mountinfo: 20 000 lines are read in one go", () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, i) => `${i} 1 0:${i} / /m${i}\\040x rw shared:${i} - tmpfs t rw`,
  );
  const entries = parseMountinfo(bytes(lines.join("\n") + "\n"));
  assertEquals([entries.length, entries[19_999]!.minor, text(entries[19_999]!.mountpoint)], [
    20_000,
    19_999,
    "/m19999 x",
  ]);
});

Deno.test("mountinfo: the mounts of this and of another process are read", () => {
  const own = readMountinfo();
  const proc = own.find((entry) => text(entry.mountpoint) === "/proc");
  assertEquals(proc?.fstype, "proc");
  // Others may mount something between the two readings.
  assertEquals(readMountinfo(Deno.pid).find(({ id }) => id === proc?.id), proc);
  const error = assertThrows(() => readMountinfo(0x7fffffff), SysError);
  assertEquals([error.code, error.path], ["ENOENT", "/proc/2147483647/mountinfo"]);
  assert(own.every((entry) => entry.id > 0 && entry.options.length > 0));
});
