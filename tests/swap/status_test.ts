import { assert, assertEquals, assertThrows } from "@std/assert";
import * as c from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { openat, write } from "../../ffi/sys/file.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { poll } from "../../ffi/sys/poll.ts";
import { pidfdOpen, readProcFile } from "../../ffi/sys/process.ts";
import { parseStatus } from "../../swap/procfs/status.ts";
import { assertRobust, bytes, procFile, text } from "./support/procfs.ts";

const STATUS = `Name:\tsleeper
Umask:\t0022
State:\tt (tracing stop)
Tgid:\t4825
Ngid:\t0
Pid:\t4830
PPid:\t4824
TracerPid:\t99
Uid:\t1000\t1001\t1002\t1003
Gid:\t2000\t2001\t2002\t4294967294
FDSize:\t256
Groups:\t0 27 4294967294 
NStgid:\t4825\t7\t1
NSpid:\t4830\t12\t3
NSpgid:\t4824\t1\t1
NSsid:\t2938\t0\t0
Kthread:\t0
VmPeak:\t   18752 kB
VmLck:\t     132 kB
VmPin:\t       0 kB
Threads:\t3
SigQ:\t1/96551
SigPnd:\t0000000000000001
ShdPnd:\t0000000000004002
SigBlk:\t8000000000000000
SigIgn:\t0000000001001000
SigCgt:\tffffffffffffffff
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t0000000000200000
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t1
Cpus_allowed:\t3
`;

const without = (key: string) => STATUS.replace(new RegExp(`^${key}:.*\\n`, "m"), "");

Deno.test("status: every field is told", () => {
  assertEquals(parseStatus(bytes(STATUS)), {
    name: bytes("sleeper"),
    state: "t",
    tgid: 4825,
    pid: 4830,
    ppid: 4824,
    tracerPid: 99,
    uid: [1000, 1001, 1002, 1003],
    gid: [2000, 2001, 2002, 4294967294],
    groups: [0, 27, 4294967294],
    nspid: [4830, 12, 3],
    vmLckKb: 132,
    sigPnd: 1n,
    shdPnd: 0x4002n,
    sigBlk: 1n << 63n,
    sigIgn: 0x1001000n,
    sigCgt: 2n ** 64n - 1n,
    capEff: 0x200000n,
    capPrm: 0x1fffeffffffn,
    seccomp: 2,
    noNewPrivs: true,
  });
});

Deno.test("status: what has no memory, no groups, or a kernel without seccomp", () => {
  const status = parseStatus(bytes(
    without("VmLck").replace(/^VmP.*\n/gm, "").replace(/^Groups:.*$/m, "Groups:\t ").replace(
      /^Seccomp.*\n/gm,
      "",
    ),
  ));
  assertEquals([status.vmLckKb, status.groups, status.seccomp, status.noNewPrivs], [0, [], 0, true]);
});

Deno.test("status: the order of the lines does not matter, except that the name is first", () => {
  const [name, ...rest] = STATUS.trimEnd().split("\n");
  assertEquals(parseStatus(bytes([name, ...rest.reverse(), ""].join("\n"))), parseStatus(bytes(STATUS)));
});

Deno.test("status: a name cannot pass for other lines, and is unescaped", () => {
  const cases: [string, string][] = [
    ["", ""],
    ["a\\nState:\\tZ", "a\nState:\\tZ"],
    ["a\\\\nb", "a\\nb"],
    ["\\\\\\n", "\\\n"],
    ["\\n\\n", "\n\n"],
    ["x\\", "x\\"],
    ["\t\r\x1b\xff\x80", "\t\r\x1b\xff\x80"],
    ["Name:\tState:\tZ", "Name:\tState:\tZ"],
    [" a b ", " a b "],
  ];
  for (const [shown, name] of cases) {
    const status = parseStatus(bytes(STATUS.replace("sleeper", () => shown)));
    assertEquals([text(status.name), status.state, status.pid], [name, "t", 4830], shown);
  }
});

Deno.test("status: keys that begin or end like another are told apart", () => {
  const status = parseStatus(
    bytes(without("Seccomp").replace("NoNewPrivs:\t1", "NoNewPrivs:\t0\nXPid:\t5\nPidX:\t6")),
  );
  assertEquals([status.seccomp, status.noNewPrivs, status.pid, status.tracerPid], [0, false, 4830, 99]);
});

Deno.test("status: what is no status is refused, and the message tells what is missing", () => {
  const needed = [
    ..."State Tgid Pid PPid TracerPid Uid Gid Groups NSpid SigPnd ShdPnd SigBlk SigIgn SigCgt CapPrm CapEff NoNewPrivs"
      .split(" "),
  ];
  for (const key of needed) {
    assertThrows(() => parseStatus(bytes(without(key))), SyntaxError, `status: no ${key}`, key);
  }
  for (
    const input of [
      "",
      "Name:\tx",
      "Name:\tx\n",
      without("Name"),
      STATUS.slice(0, -1),
      STATUS.replace("t (tracing stop)", ""),
      STATUS.replace("t (tracing stop)", "tt"),
      STATUS.replace("Tgid:\t4825", "Tgid:\t-1"),
      STATUS.replace("Tgid:\t4825", "Tgid:\t4825 7"),
      STATUS.replace("Uid:\t1000\t", "Uid:\t"),
      STATUS.replace("Uid:\t1000\t", "Uid:\t1000\t1000\t"),
      STATUS.replace("0 27 ", "0 x "),
      STATUS.replace("8000000000000000", "18000000000000000"),
      STATUS.replace("     132 kB", "     132 MB"),
    ]
  ) {
    assertThrows(
      () => parseStatus(bytes(input)),
      SyntaxError,
      "status: ",
      JSON.stringify(input.slice(0, 300)),
    );
  }
});

Deno.test("status: of this process", () => {
  const status = parseStatus(procFile("/proc/self/status"));
  assertEquals([status.tgid, status.pid, status.ppid, status.tracerPid], [Deno.pid, Deno.pid, Deno.ppid, 0]);
  assertEquals([status.uid[1], status.gid[1], status.nspid[0]], [Deno.uid(), Deno.gid(), Deno.pid]);
  assert("RSD".includes(status.state), status.state);
  // Deno ignores SIGPIPE.
  assertEquals(status.sigIgn >> 12n & 1n, 1n);
});

Deno.test("status: of every process that there is, zombies and the kernel's threads too", async () => {
  // The shell becomes a program that knows nothing of the shell's child, and so never waits for it.
  const parent = new Deno.Command("sh", {
    args: ["-c", "sleep 1000 & echo $!; exec cat"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const [writer, reader] = [parent.stdin.getWriter(), parent.stdout.getReader()];
  const line = async () => text((await reader.read()).value ?? new Uint8Array());
  const child = Number(await line());
  await writer.write(bytes("here\n"));
  assertEquals(await line(), "here\n");
  // Until it has become the other program.
  while (Deno.readTextFileSync(`/proc/${child}/comm`) !== "sleep\n") {
    await new Promise((run) => setTimeout(run, 1));
  }
  {
    using ended = Fd.own(check(pidfdOpen(child, 0), "pidfd_open"));
    Deno.kill(child, "SIGKILL");
    const pollfd = new Int32Array([ended.raw, c.POLLIN]);
    assertEquals(poll(new Uint8Array(pollfd.buffer), 1, -1), 1);
  }
  let zombies = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    const content = /^\d+$/.test(name) ? readProcFile(`/proc/${name}/status`) : -1;
    // Some end meanwhile.
    if (typeof content === "number") continue;
    const status = parseStatus(content);
    assertEquals([status.pid, status.tgid], [Number(name), Number(name)]);
    if (status.pid !== child) continue;
    assertEquals([status.state, status.vmLckKb, status.ppid, text(status.name)], [
      "Z",
      0,
      parent.pid,
      "sleep",
    ]);
    zombies++;
  }
  assertEquals(zombies, 1);
  await writer.close();
  await reader.cancel();
  await parent.status;
});

/** This thread under another name, which it gives back. */
function renamed<T>(name: string, run: () => T): T {
  const set = (name: Uint8Array) => {
    using comm = Fd.own(
      check(openat(c.AT_FDCWD, cstr("/proc/thread-self/comm"), c.O_WRONLY | c.O_CLOEXEC), "openat"),
    );
    check(write(comm.raw, name), "write");
  };
  const before = procFile("/proc/thread-self/comm").slice(0, -1);
  set(bytes(name));
  try {
    return run();
  } finally {
    set(before);
  }
}

Deno.test("status: of a thread with every kind of name", () => {
  for (
    const name of [
      "x (deleted)",
      "a\nState:\tZ\nb",
      "a\\nb\\\\",
      "\xff\xfe\x80",
      ") R 1 (",
      "\t\r\n",
      "\\",
      "Name:\tx",
    ]
  ) {
    const status = renamed(name, () => parseStatus(procFile("/proc/thread-self/status")));
    assertEquals([text(status.name), status.state, status.tgid], [name, "R", Deno.pid], name);
  }
});

Deno.test("status: 65 536 groups are read in one go", () => {
  const groups = Array.from({ length: 65_536 }, (_, i) => 4294901760 + i);
  assertEquals(
    parseStatus(bytes(STATUS.replace(/^Groups:.*$/m, `Groups:\t${groups.join(" ")} `))).groups,
    groups,
  );
});

Deno.test("status: input that is almost right is understood or refused", () => {
  assertRobust(parseStatus, [STATUS]);
});
