import { assertEquals, assertThrows } from "@std/assert";
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
} from "../../ffi/sys/constants.ts";
import { sortOptions } from "../../host/mount_options.ts";

Deno.test("mount options: attributes of the mount and parameters of the file system are told apart", () => {
  assertEquals(sortOptions(["nosuid", "nodev"], "vers=4.2,noatime,soft,addr=10.0.0.1"), {
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME,
    parameters: [["vers", "4.2"], ["soft", undefined], ["addr", "10.0.0.1"]],
    text: "nosuid,nodev,vers=4.2,noatime,soft,addr=10.0.0.1",
  });
});

Deno.test("mount options: read-only reaches the superblock as well", () => {
  const sorted = sortOptions(["ro"], undefined);
  assertEquals([sorted.attributes, sorted.parameters], [MOUNT_ATTR_RDONLY, [["ro", undefined]]]);
});

Deno.test("mount options: what comes later wins", () => {
  assertEquals(
    sortOptions(["ro", "nosuid", "noatime"], "rw,suid,strictatime").attributes,
    MOUNT_ATTR_STRICTATIME,
  );
  assertEquals(sortOptions(["noatime"], "relatime").attributes, 0);
});

Deno.test("mount options: a quoted value may hold commas, an equals sign belongs to the value", () => {
  assertEquals(sortOptions([], 'context="a:b:c0,c1",password=x=y,').parameters, [
    ["context", "a:b:c0,c1"],
    ["password", "x=y"],
  ]);
});

Deno.test("mount options: what only mount(8) and fstab(5) know is left out for the file system", () => {
  assertEquals(sortOptions([], "defaults,_netdev,nofail,x-systemd.automount,size=1m").parameters, [[
    "size",
    "1m",
  ]]);
});

Deno.test("mount options: an open quote, a nameless option and a NUL are refused", () => {
  assertThrows(() => sortOptions([], 'a="b'), RangeError, "quote");
  assertThrows(() => sortOptions([], "a,=b"), RangeError, "no name");
  assertThrows(() => sortOptions([], "a\0b"), RangeError, "NUL");
});
