import { assertEquals } from "@std/assert";
import { lockedMappings, locksMemory } from "../../host/locked_mappings.ts";

const mapping = (permissions: string, device: string, path: string, flags: string) =>
  `7f1200000000-7f1200003000 ${permissions} 00000000 ${device} 77 ${path}\nSize: 12 kB\nAnonymous: 4 kB\nVmFlags: ${flags}\n`;
const devices = new Set(["0:40"]);

Deno.test("locked mappings: a private locked mapping on a stub is found by its device", () => {
  const smaps = mapping("r--p", "00:28", "/mnt/text", "rd mr mw me lo sd ") +
    mapping("rw-p", "00:28", "/mnt/free", "rd wr mr mw me sd ") +
    mapping("rw-s", "00:28", "/mnt/shared", "rd wr sh mr mw me ms lo sd ") +
    mapping("rw-p", "fe:00", "/elsewhere", "rd wr mr mw me lo sd ") +
    mapping("rw-p", "00:28", "/mnt/with space\\012VmFlags: lo", "rd wr mr mw me lo sd ");
  assertEquals(lockedMappings(7, smaps, devices), [
    { pid: 7, device: "0:40", path: "/mnt/text" },
    { pid: 7, device: "0:40", path: "/mnt/with space\\012VmFlags: lo" },
  ]);
});

Deno.test("locked mappings: the flags of one mapping never count for the next", () => {
  const smaps = mapping("rw-p", "00:28", "/mnt/free", "rd wr") +
    mapping("rw-p", "fe:00", "/elsewhere", "rd wr lo");
  assertEquals(lockedMappings(7, smaps, devices), []);
});

Deno.test("locked mappings: a process is looked at when it has locked anything", () => {
  assertEquals(locksMemory("VmPeak:\t 100 kB\nVmLck:\t       4 kB\nVmPin:\t       0 kB\n"), true);
  assertEquals(locksMemory("VmPeak:\t 100 kB\nVmLck:\t       0 kB\nVmPin:\t       8 kB\n"), false);
});
