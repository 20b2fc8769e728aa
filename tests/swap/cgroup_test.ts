import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseCgroup } from "../../swap/procfs/cgroup.ts";
import { assertRobust, bytes, procFile, text } from "./support/procfs.ts";

const shown = (input: string) =>
  parseCgroup(bytes(input)).map(({ hierarchy, controllers, path }) => [hierarchy, controllers, text(path)]);

Deno.test("cgroup: both versions, named hierarchies, and several controllers of one", () => {
  assertEquals(shown("9:name=systemd:/user.slice\n8:cpu,cpuacct:/\n4:memory:/a/b\n0::/init.scope\n"), [
    [9, ["name=systemd"], "/user.slice"],
    [8, ["cpu", "cpuacct"], "/"],
    [4, ["memory"], "/a/b"],
    [0, [], "/init.scope"],
  ]);
  assertEquals(shown(""), []);
});

Deno.test("cgroup: paths are bytes, whatever they contain", () => {
  const path = "/a:b/0::/c d/\\x2d\\\\/\xff\x80/\t/(deleted) (deleted)";
  assertEquals(shown(`0::${path}\n1:pids:/../..${path}\n`), [[0, [], path], [1, ["pids"], `/../..${path}`]]);
  const long = "/n".repeat(2047);
  assertEquals(shown(`0::${long}\n`), [[0, [], long]]);
});

Deno.test("cgroup: what is no cgroup is refused", () => {
  for (const line of ["", "0", "0:", "0:/x", "x::/", ":cpu:/", "-1::/", "0::", "0::x", "0:cpu/"]) {
    assertThrows(() => parseCgroup(bytes(`0::/\n${line}\n0::/\n`)), SyntaxError, "cgroup: ", line);
  }
  assertThrows(() => parseCgroup(bytes("0:cpu\n0:/x\n")), SyntaxError, "no path");
  assertThrows(() => parseCgroup(bytes("0::/x")), SyntaxError, "cut off");
});

Deno.test("cgroup: a path does not change with the buffer that was read into", () => {
  const buffer = bytes("0::/x\n");
  const [entry] = parseCgroup(buffer);
  buffer.fill(0);
  assertEquals(text(entry!.path), "/x");
});

Deno.test("cgroup: of this process", () => {
  const hierarchies = parseCgroup(procFile("/proc/self/cgroup"));
  assertEquals(new Set(hierarchies.map(({ hierarchy }) => hierarchy)).size, hierarchies.length);
  assert(hierarchies.every(({ path }) => path[0] === 0x2f));
});

Deno.test("cgroup: input that is almost right is understood or refused", () => {
  assertRobust(parseCgroup, ["9:name=systemd:/a:b\n8:cpu,cpuacct:/\n0::/init.scope (deleted)\n"]);
});
