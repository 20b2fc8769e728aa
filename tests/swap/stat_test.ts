import { assert, assertEquals, assertThrows } from "@std/assert";
import * as c from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat, write } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { parseMaps } from "../../swap/procfs/maps.ts";
import { parseStat } from "../../swap/procfs/stat.ts";
import { assertRobust, bytes, procFile, text } from "./support/procfs.ts";

/** Field 3 is the state; the numbers are their fields', so that a wrong field is seen. */
const REST = Array.from({ length: 49 }, (_, i) => `${1000 + i + 4}`);
const stat = (comm: string, rest = REST) => bytes(`4825 (${comm}) S ${rest.join(" ")}\n`);

Deno.test("stat: every field is told", () => {
  assertEquals(parseStat(stat("python3")), {
    pid: 4825,
    comm: bytes("python3"),
    state: "S",
    ppid: 1004,
    startTime: 1022n,
    threads: 1020,
    memory: {
      startCode: 1026n,
      endCode: 1027n,
      startStack: 1028n,
      startData: 1045n,
      endData: 1046n,
      startBrk: 1047n,
      argStart: 1048n,
      argEnd: 1049n,
      envStart: 1050n,
      envEnd: 1051n,
    },
  });
});

Deno.test("stat: negative fields, fields to come, and addresses of 64 bits", () => {
  const rest = [...REST];
  // tpgid, priority, nice, and the limit of resident memory, which is no address.
  for (const field of [8, 18, 19]) rest[field - 4] = "-1";
  rest[25 - 4] = "18446744073709551615";
  rest[28 - 4] = "18446744073709551615";
  rest.push("53", "-54");
  const { memory, threads } = parseStat(stat("x", rest));
  assertEquals([threads, memory.startStack, memory.endCode], [1020, 2n ** 64n - 1n, 1027n]);
});

Deno.test("stat: a name is what is between the outermost parentheses", () => {
  for (
    const comm of [
      "",
      ")",
      "(",
      "))",
      "a) R 1 2 (b",
      ") Z 0",
      "a b  c",
      "a\nb",
      "4825 (x) S 1\n",
      "\\n",
      "\xff\x80",
      "\0",
    ]
  ) {
    const parsed = parseStat(stat(comm));
    assertEquals([text(parsed.comm), parsed.pid, parsed.state, parsed.ppid], [comm, 4825, "S", 1004], comm);
  }
});

Deno.test("stat: what is no stat is refused", () => {
  for (
    const input of [
      "",
      "\n",
      "4825",
      "4825 x S 1\n",
      "4825 (x",
      "4825 x) S 1 (\n",
      "(x) S 1\n",
      "4825 (x) \n",
      "4825 (x) SS 1\n",
      text(stat("x")).slice(0, -1),
      text(stat("x", REST.slice(0, 47))),
      text(stat("x")).replace(" 1022 ", " -1022 "),
      text(stat("x")).replace(" 1022 ", " 1022x "),
      text(stat("x")).replace(" 1022 ", " 18446744073709551616 "),
      text(stat("x")).replace(" 1004 ", "  1004 "),
    ]
  ) assertThrows(() => parseStat(bytes(input)), SyntaxError, "stat: ", input);
});

Deno.test("stat: of this process, its memory as maps and cmdline tell it", () => {
  const { pid, ppid, startTime, threads, memory } = parseStat(procFile("/proc/self/stat"));
  assertEquals([pid, ppid], [Deno.pid, Deno.ppid]);
  assert(startTime > 0n && threads >= 1);
  const within = (address: bigint) =>
    parseMaps(procFile("/proc/self/maps")).find(({ start, end }) => start <= address && address < end);
  assert(memory.startCode < memory.endCode && within(memory.endCode - 1n)?.exec, "code");
  assert(memory.startData < memory.endData && within(memory.startData)?.read, "data");
  assert(within(memory.startStack)?.write, "stack");
  assertEquals(memory.argEnd - memory.argStart, BigInt(procFile("/proc/self/cmdline").length));
  assertEquals(memory.envEnd - memory.envStart, BigInt(procFile("/proc/self/environ").length));
  assert(memory.startBrk >= memory.endData && memory.startStack < memory.argStart);
});

Deno.test("stat: a process that is younger started later", () => {
  const start = (pid: number) => parseStat(procFile(`/proc/${pid}/stat`)).startTime;
  assert(start(Deno.pid) >= start(Deno.ppid));
});

Deno.test("stat: of a thread with every kind of name", () => {
  const set = (name: Uint8Array) => {
    using comm = Fd.own(
      check(openat(c.AT_FDCWD, cstr("/proc/thread-self/comm"), c.O_WRONLY | c.O_CLOEXEC), "openat"),
    );
    check(write(comm.raw, name), "write");
  };
  const before = procFile("/proc/thread-self/comm").slice(0, -1);
  try {
    for (
      const name of [
        "x (deleted)",
        "a) R 1 (b",
        "a\n1 (b) Z 2",
        ")))(((",
        "a\\nb\\\\",
        "\xff\xfe\x80",
        "\t\r\n",
        ") S ",
      ]
    ) {
      set(bytes(name));
      const parsed = parseStat(procFile("/proc/thread-self/stat"));
      assertEquals([text(parsed.comm), parsed.state, parsed.ppid], [name, "R", Deno.ppid], name);
    }
  } finally {
    set(before);
  }
});

Deno.test("stat: input that is almost right is understood or refused", () => {
  assertRobust(parseStat, [text(stat("a) R (b\n"))]);
});
