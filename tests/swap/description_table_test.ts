import { assertEquals } from "@std/assert";
import { O_CLOEXEC, O_PATH } from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { dup, openat } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { DescriptionTable } from "../../swap/description_table.ts";
import type { Holder, Place } from "../../swap/inventory.ts";
import type { FdInfo } from "../../swap/procfs/fdinfo.ts";

const path = new TextEncoder().encode("dir/file");

function holder(fd: Fd): Holder {
  return {
    table: { task: { tid: Deno.pid } },
    fd: fd.raw,
    closeOnExec: true,
    locks: [],
  } as unknown as Holder;
}

function shown(ino: bigint): FdInfo {
  return { flags: O_PATH, mountId: 17, pos: 0n, ino, inotify: [] } as unknown as FdInfo;
}

Deno.test("descriptions: what descriptors share is found, although a stub tells another inode number meanwhile", () => {
  const open = () => Fd.own(check(openat(-100, cstr("/"), O_PATH | O_CLOEXEC), "open"));
  using one = open();
  using same = Fd.own(check(dup(one.raw), "dup"));
  using other = open();
  const table = new DescriptionTable();
  const place = { path } as unknown as Place;
  const first = table.add(holder(one), shown(55n), place);
  assertEquals(table.add(holder(same), shown(8n), place) === first, true);
  assertEquals(table.add(holder(other), shown(55n), place) === first, false);
  assertEquals(table.all.map(({ holders }) => holders.length), [2, 1]);
});
