import { countOpen } from "../support/descriptors.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  IN_ALL_EVENTS,
  IN_ATTRIB,
  IN_CLOEXEC,
  IN_CREATE,
  IN_DELETE,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_CREATE,
  IN_MODIFY,
  IN_NONBLOCK,
  IN_ONESHOT,
  IN_ONLYDIR,
  O_NONBLOCK,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { fcntlGet } from "../../ffi/sys/file.ts";
import { inotifyAddWatch, inotifyInit1, inotifyRemoveWatch } from "../../ffi/sys/inotify.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { carryNextWatch, maskToAdd, pendingBytes, rebuildInotify } from "../../swap/inotify.ts";
import { temporaryDirectory, writeText } from "../ffi/support/temporary.ts";
import { events, openPath, watches } from "./support/inotify.ts";

const IN_ISDIR = 0x40000000;

function instance(flags: number = IN_NONBLOCK): Fd {
  return Fd.own(check(inotifyInit1(flags | IN_CLOEXEC), "inotify_init1"));
}

/** Two directories with the same names: what is watched, and its counterpart. */
class Twins implements Disposable {
  readonly old = temporaryDirectory();
  readonly next = temporaryDirectory();

  constructor() {
    for (const side of [this.old, this.next]) {
      writeText(side, "file", "text");
      writeText(side, "other", "text");
      Deno.mkdirSync(`${side.path}/directory`);
      Deno.symlinkSync("file", `${side.path}/link`);
    }
  }

  add(fd: Fd, name: string, mask: number): number {
    return check(inotifyAddWatch(fd.raw, cstr(`${this.old.path}/${name}`), mask), "inotify_add_watch", name);
  }

  /** A descriptor of the counterpart of the file that is watched. */
  counterpart(ino: bigint): number {
    for (const name of ["file", "other", "directory", "link"]) {
      if (BigInt(Deno.lstatSync(`${this.old.path}/${name}`).ino!) === ino) {
        return openPath(`${this.next.path}/${name}`);
      }
    }
    return -Errno.ENOENT;
  }

  rebuild(fd: Fd): Fd {
    return rebuildInotify(watches(fd.raw), ({ ino }) => this.counterpart(ino), fcntlGet(fd.raw, F_GETFL));
  }

  [Symbol.dispose](): void {
    this.old[Symbol.dispose]();
    this.next[Symbol.dispose]();
  }
}

Deno.test("inotify: the new instance has the same watches, numbers and flags, and no event", () => {
  using twins = new Twins();
  using old = instance();
  twins.add(old, "other", IN_MODIFY);
  const file = twins.add(old, "file", IN_ALL_EVENTS);
  inotifyRemoveWatch(old.raw, 1);
  const directory = twins.add(old, "directory", IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK);
  const link = twins.add(old, "link", IN_ATTRIB | IN_DONT_FOLLOW);
  assertEquals([file, directory, link], [2, 3, 4]);
  using next = twins.rebuild(old);
  assertEquals(pendingBytes(next.raw), 0);
  const shown = (fd: Fd) => watches(fd.raw).map(({ wd, mask }) => [wd, mask]);
  assertEquals(shown(next), [[2, IN_ALL_EVENTS], [3, IN_CREATE | IN_DELETE | IN_EXCL_UNLINK], [
    4,
    IN_ATTRIB,
  ]]);
  assertEquals(shown(next), shown(old));
  assertEquals(fcntlGet(next.raw, F_GETFL), fcntlGet(old.raw, F_GETFL));
  assertEquals(fcntlGet(next.raw, F_GETFD), FD_CLOEXEC);
  const { ino } = Deno.lstatSync(`${twins.next.path}/link`);
  assertEquals(watches(next.raw)[2]!.ino, BigInt(ino!), "the link itself is watched");

  Deno.truncateSync(`${twins.next.path}/file`, 1);
  Deno.mkdirSync(`${twins.next.path}/directory/made`);
  assertEquals(events(next.raw).filter(({ mask }) => (mask & (IN_MODIFY | IN_CREATE)) !== 0), [
    { wd: 2, mask: IN_MODIFY, name: "" },
    { wd: 3, mask: IN_CREATE | IN_ISDIR, name: "made" },
  ]);
  Deno.truncateSync(`${twins.old.path}/file`, 1);
  assertEquals(events(next.raw), []);
});

Deno.test("inotify: a blocking instance stays one", () => {
  using twins = new Twins();
  using old = instance(0);
  twins.add(old, "file", IN_MODIFY);
  using next = twins.rebuild(old);
  assertEquals(fcntlGet(next.raw, F_GETFL) & O_NONBLOCK, 0);
});

Deno.test("inotify: a one-shot watch fires once on the new instance as well", () => {
  using twins = new Twins();
  using old = instance();
  const wd = twins.add(old, "file", IN_MODIFY | IN_ONESHOT);
  using next = twins.rebuild(old);
  for (const size of [1, 2]) Deno.truncateSync(`${twins.next.path}/file`, size);
  assertEquals(events(next.raw), [{ wd, mask: IN_MODIFY, name: "" }, { wd, mask: IN_IGNORED, name: "" }]);
});

Deno.test("inotify: what is unlinked but open is silent where that was asked for", () => {
  for (const exclude of [0, IN_EXCL_UNLINK]) {
    using twins = new Twins();
    using old = instance();
    twins.add(old, "directory", IN_MODIFY | exclude);
    using next = twins.rebuild(old);
    const path = `${twins.next.path}/directory/gone`;
    using file = Deno.openSync(path, { write: true, create: true });
    Deno.removeSync(path);
    file.writeSync(new Uint8Array(1));
    assertEquals(events(next.raw).length, exclude === 0 ? 1 : 0);
  }
});

Deno.test("inotify: bits that a call would take for something else are not handed on", () => {
  const inside = IN_ONLYDIR | IN_DONT_FOLLOW | IN_IGNORED | 0x08000000 | 0x2000 | 0x20000000;
  assertEquals(maskToAdd((inside | IN_MODIFY) >>> 0), (IN_MODIFY | IN_MASK_CREATE) >>> 0);
  assertEquals(maskToAdd(0x84000fff), 0x94000fff);
});

Deno.test("inotify: a watch for nothing stays one", () => {
  using twins = new Twins();
  using old = instance();
  const wd = twins.add(old, "directory", IN_ONLYDIR);
  assertEquals(watches(old.raw).map(({ mask }) => mask), [0]);
  using next = twins.rebuild(old);
  assertEquals(watches(next.raw).map(({ wd, mask }) => [wd, mask]), [[wd, 0]]);
});

Deno.test("inotify: two watches do not become one in silence", () => {
  using twins = new Twins();
  using old = instance();
  twins.add(old, "file", IN_MODIFY);
  twins.add(old, "other", IN_MODIFY);
  const open = () => openPath(`${twins.next.path}/file`);
  assertThrows(() => rebuildInotify(watches(old.raw), open, 0), Error, "inotify_add_watch watch 2: EEXIST");
});

Deno.test("inotify: a file that cannot be opened is told by its watch, and no descriptor is left", () => {
  using twins = new Twins();
  using old = instance();
  twins.add(old, "file", IN_MODIFY);
  twins.add(old, "other", IN_MODIFY);
  const ours = () => countOpen((link) => link === "anon_inode:inotify" || link.startsWith(twins.next.path));
  const before = ours();
  const open = ({ wd, ino }: { wd: number; ino: bigint }) =>
    wd === 2 ? -Errno.ESTALE : twins.counterpart(ino);
  assertThrows(() => rebuildInotify(watches(old.raw), open, 0), Error, "open watch 2: ESTALE");
  assertEquals(ours(), before);
});

Deno.test("inotify: events that wait are counted", () => {
  using twins = new Twins();
  using old = instance();
  twins.add(old, "file", IN_MODIFY);
  assertEquals(pendingBytes(old.raw), 0);
  Deno.truncateSync(`${twins.old.path}/file`, 1);
  assertEquals(pendingBytes(old.raw), 16);
});

Deno.test("inotify: a number that was used is not used again", () => {
  using twins = new Twins();
  using old = instance();
  twins.add(old, "file", IN_MODIFY);
  inotifyRemoveWatch(old.raw, twins.add(old, "other", IN_MODIFY)); // 2
  using next = twins.rebuild(old);
  carryNextWatch(old.raw, next.raw);
  assertEquals(inotifyAddWatch(next.raw, cstr(twins.next.path), IN_CREATE), 3);
  assertEquals(watches(next.raw).map(({ wd }) => wd), [1, 3]);
});

Deno.test("inotify: many watches with large numbers are carried over", () => {
  using twins = new Twins();
  using old = instance();
  for (let i = 0; i < 500; i++) inotifyRemoveWatch(old.raw, twins.add(old, "file", IN_MODIFY));
  const names = new Map<number, string>();
  for (let i = 0; i < 300; i++) {
    for (const side of [twins.old, twins.next]) writeText(side, `many${i}`, "x");
    names.set(twins.add(old, `many${i}`, IN_MODIFY), `many${i}`);
  }
  const open = ({ wd }: { wd: number }) => openPath(`${twins.next.path}/${names.get(wd)}`);
  using next = rebuildInotify(watches(old.raw), open, IN_NONBLOCK);
  assertEquals(watches(next.raw).map(({ wd }) => wd), [...names.keys()]);
  assert(Math.min(...names.keys()) > 500);
  for (const [wd, name] of names) {
    Deno.truncateSync(`${twins.next.path}/${name}`, 0);
    assertEquals(events(next.raw), [{ wd, mask: IN_MODIFY, name: "" }]);
  }
});
