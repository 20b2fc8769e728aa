import { assertEquals } from "@std/assert";
import * as kernel from "../../ffi/fuse/kernel.ts";
import { decodeDevice, encodeDevice } from "../../fs/answers.ts";
import { parseCapabilities, parseGroups } from "../../fs/caller.ts";
import { reopenFlags } from "../../fs/handles.ts";
import { refusal, verdict } from "../../fs/modes.ts";
import { isOfBacking } from "../../fs/node.ts";
import { endsWait, parseSignalSets } from "../../fs/signals.ts";
import { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_TMPFILE, O_TRUNC } from "../../ffi/sys/constants.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("modes: in stub everything waits but what must never wait", () => {
  const answers = new Map<string, number[]>();
  for (let opcode = 1; opcode <= kernel.FUSE_STATX; opcode++) {
    const answer = verdict("stub", opcode, 5n, false);
    answers.set(answer, [...answers.get(answer) ?? [], opcode]);
  }
  assertEquals(answers.get("serve"), [
    kernel.FUSE_FORGET,
    kernel.FUSE_RELEASE,
    kernel.FUSE_RELEASEDIR,
    kernel.FUSE_BATCH_FORGET,
  ]);
  assertEquals(answers.get("acknowledge"), [kernel.FUSE_FLUSH]);
  assertEquals(verdict("stub", kernel.FUSE_GETATTR, kernel.FUSE_ROOT_ID, false), "root-attributes");
  for (const opcode of [kernel.FUSE_STATX, kernel.FUSE_GETXATTR, kernel.FUSE_LISTXATTR]) {
    assertEquals(verdict("stub", opcode, kernel.FUSE_ROOT_ID, false), "root-attributes");
    assertEquals(verdict("stub", opcode, 5n, false), "park");
  }
  assertEquals(verdict("stub", kernel.FUSE_FSYNCDIR, 5n, false), "park");
  assertEquals(verdict("stub", kernel.FUSE_POLL, 5n, false), "park");
});

Deno.test("modes: restore and proxy serve everything; laundering is served in stub", () => {
  for (const mode of ["restore", "proxy"] as const) {
    for (let opcode = 1; opcode <= kernel.FUSE_STATX; opcode++) {
      assertEquals(verdict(mode, opcode, 5n, false), "serve");
    }
  }
  assertEquals(verdict("stub", kernel.FUSE_WRITE, 5n, true), "serve");
});

Deno.test("modes: no proxy without a real file system, no restore once it was adopted", () => {
  assertEquals(typeof refusal("proxy", "placeholder"), "string");
  assertEquals(typeof refusal("restore", "real"), "string");
  assertEquals(refusal("proxy", "real"), undefined);
  assertEquals(refusal("stub", "real"), undefined);
  assertEquals(refusal("restore", "placeholder"), undefined);
});

const status = (sets: Partial<Record<"SigPnd" | "ShdPnd" | "SigBlk" | "SigIgn" | "SigCgt", number[]>>) => {
  const line = (name: keyof typeof sets) => {
    const mask = (sets[name] ?? []).reduce((set, signal) => set | 1n << BigInt(signal - 1), 0n);
    return `${name}:\t${mask.toString(16).padStart(16, "0")}\n`;
  };
  return bytes(
    `Name:\tevil\\nSigPnd:\nState:\tD\n${line("SigPnd")}${line("ShdPnd")}${line("SigBlk")}${line("SigIgn")}${
      line("SigCgt")
    }`,
  );
};
const ends = (sets: Parameters<typeof status>[0], policy: "any" | "fatal" = "any") =>
  endsWait(parseSignalSets(status(sets)), policy);

Deno.test("signals: SIGKILL always ends a wait, thread's or process's", () => {
  assertEquals(ends({ SigPnd: [9] }), true);
  assertEquals(ends({ ShdPnd: [9] }, "fatal"), true);
});

Deno.test("signals: nothing pending, or only blocked, ignored and harmless ones, ends no wait", () => {
  assertEquals(ends({}), false);
  assertEquals(ends({ ShdPnd: [10], SigBlk: [10] }), false);
  assertEquals(ends({ ShdPnd: [10], SigIgn: [10] }), false);
  assertEquals(ends({ SigPnd: [19] }), false, "SIGSTOP");
  assertEquals(ends({ ShdPnd: [17, 18, 28] }), false, "SIGCHLD, SIGCONT, SIGWINCH by default");
});

Deno.test("signals: a caught signal ends a wait under any, not under fatal", () => {
  assertEquals(ends({ ShdPnd: [10], SigCgt: [10] }), true);
  assertEquals(ends({ ShdPnd: [10], SigCgt: [10] }, "fatal"), false);
  assertEquals(ends({ ShdPnd: [17], SigCgt: [17] }), true, "SIGCHLD with a handler");
  assertEquals(ends({ SigPnd: [3] }, "fatal"), true, "SIGQUIT by default");
});

Deno.test("caller: groups are read from any status, also an empty list", () => {
  assertEquals(parseGroups(bytes("Name:\tx\nGroups:\t4 24 1000 \nNStgid:\t1\n")), [4, 24, 1000]);
  assertEquals(parseGroups(bytes("Name:\tx\nGroups:\t \nNStgid:\t1\n")), []);
  assertEquals(parseGroups(bytes("Name:\tx\n")), []);
  assertEquals(
    parseCapabilities(bytes("CapPrm:\tff\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n")),
    0x1ff_ffff_ffffn,
  );
  assertEquals(parseCapabilities(bytes("Name:\tCapEff: 1\n")), 0n);
});

Deno.test("handles: opening again neither creates nor truncates", () => {
  assertEquals(reopenFlags(O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND) & (O_CREAT | O_EXCL | O_TRUNC), 0);
  assertEquals(reopenFlags(O_RDWR | O_APPEND) & (O_RDWR | O_APPEND), O_RDWR | O_APPEND);
  assertEquals(reopenFlags(O_RDWR | O_TMPFILE) & O_TMPFILE, 0);
});

Deno.test("answers: device numbers survive the kernel's packing", () => {
  for (const [major, minor] of [[8, 1], [259, 0], [4095, 1048575], [1, 256]] as const) {
    assertEquals(decodeDevice(encodeDevice(major, minor)), { major, minor });
  }
});

Deno.test("nodes: what was not found yet, and what is mounted on the backing, is not of the backing", () => {
  assertEquals([12, 2n ** 60n, undefined, "8:1:12"].map(isOfBacking), [true, true, false, false]);
});
