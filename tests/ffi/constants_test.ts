import { assert, assertEquals, assertThrows } from "@std/assert";
import * as constants from "../../ffi/sys/constants.ts";
import { arch, NR, openFlags, requireArch, syscallNumbers } from "../../ffi/sys/arch.ts";
import { requires } from "../support/requirements.ts";
import { headerTrees } from "./support/header_trees.ts";
import { ask, lacksHeaders } from "./support/c_probe.ts";

/** linux/mount.h and sys/mount.h define the same things; the kernel's has them all but what umount2(2) takes. */
const includes = [
  "errno.h",
  "dirent.h",
  "fcntl.h",
  "linux/capability.h",
  "linux/kcmp.h",
  "linux/mount.h",
  "linux/openat2.h",
  "linux/prctl.h",
  "linux/sched.h",
  "linux/stat.h",
  "linux/xattr.h",
  "poll.h",
  "sys/eventfd.h",
  "sys/file.h",
  "sys/inotify.h",
  "sys/ioctl.h",
  "sys/resource.h",
  "sys/socket.h",
  "sys/uio.h",
  "unistd.h",
];

const UMOUNT = ["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"];

const arm64 = ["aarch64-linux-gnu/asm/fcntl.h"]; // Debian 13's linux-libc-dev has the headers of every architecture

const trees = await headerTrees();

for (const { name, flags: tree } of trees) {
  Deno.test({
    name: `constants: those that are in ${name} have that value`,
    ...await requires({ gcc: true, other: () => lacksHeaders(includes, tree) }),
    fn() {
      const names = Object.keys(constants);
      const kernel = names.filter((name) => !UMOUNT.includes(name));
      const enumerator = /^(FSCONFIG_(?!CMD_CREATE_EXCL)|KCMP_|SOCK_|SCM_|MSG_|IN_(NONBLOCK|CLOEXEC)$)/; // that one is newer than some headers
      const questions = (list: readonly string[]) =>
        list.map((name) => ({
          name,
          values: [name],
          when: enumerator.test(name) ? "1" : `defined(${name})`,
        }));
      const answers = new Map([
        ...ask({ defines: ["_GNU_SOURCE"], includes, flags: tree }, questions(kernel)),
        ...ask(
          { defines: ["_GNU_SOURCE"], includes: ["sys/mount.h"], flags: tree },
          UMOUNT.map((name) => ({ name, values: [name] })),
        ),
      ]);
      for (const [name, value] of Object.entries(constants)) {
        const answer = answers.get(name);
        if (name === "O_LARGEFILE" || answer === undefined) continue; // glibc says 0: it is always on
        assertEquals(answer, [BigInt(value)], name);
      }
      const unknown = names.filter((name) => !answers.has(name));
      assert(unknown.length < 8, `not in the headers: ${unknown}`);
    },
  });

  Deno.test({
    name: `constants: the system call numbers of this machine are those of ${name}`,
    ...await requires({ gcc: true, other: () => lacksHeaders(["sys/syscall.h"], tree) }),
    fn() {
      const names = Object.keys(NR);
      const answers = ask(
        { includes: ["sys/syscall.h"], flags: tree },
        names.map((name) => ({ name, values: [`__NR_${name}`], when: `defined(__NR_${name})` })),
      );
      for (const [name, number] of Object.entries(NR)) {
        if (answers.has(name)) assertEquals(answers.get(name), [BigInt(number)], name);
      }
      assert(answers.size >= 10);
    },
  });

  Deno.test({
    name: `constants: the system call numbers of aarch64 are asm-generic's in ${name}`,
    ...await requires({ gcc: true, other: () => lacksHeaders(["asm-generic/unistd.h"], tree) }),
    fn() {
      const numbers = syscallNumbers("aarch64");
      const answers = ask(
        {
          defines: ["__ARCH_WANT_RENAMEAT", "__ARCH_WANT_NEW_STAT"],
          includes: ["asm-generic/unistd.h"],
          flags: tree,
        },
        Object.keys(numbers).map((name) => ({
          name,
          values: [`__NR_${name}`],
          when: `defined(__NR_${name})`,
        })),
      );
      for (const [name, number] of Object.entries(numbers)) {
        if (answers.has(name)) assertEquals(answers.get(name), [BigInt(number)], name);
      }
      assert(answers.size >= 10);
    },
  });
}

const withArm64 = trees.find(({ flags }) => lacksHeaders(arm64, flags) === undefined);

Deno.test({
  name: "constants: the open flags of aarch64 are those of its headers",
  ...await requires({ gcc: true, other: () => withArm64 ? undefined : "no headers of aarch64" }),
  fn() {
    const values = Object.entries(openFlags("aarch64"));
    const questions = values.map(([name]) => ({ name, values: [name] }));
    const answers = ask({ includes: arm64, flags: withArm64!.flags }, questions);
    for (const [name, value] of values) assertEquals(answers.get(name), [BigInt(value)], name);
  },
});

Deno.test("constants: both architectures have the same four open flags, none with the value of another", () => {
  for (const name of ["x86_64", "aarch64"] as const) {
    const values = Object.values(openFlags(name)).sort((a, b) => a - b);
    assertEquals(values, [0o40000, 0o100000, 0o200000, 0o400000]);
  }
  assertEquals(constants.O_DIRECTORY, openFlags(arch).O_DIRECTORY);
});

Deno.test("constants: another platform is refused by name", () => {
  assertThrows(() => requireArch("linux", "riscv64"), Error, "linux on riscv64");
  assertThrows(() => requireArch("darwin", "aarch64"), Error, "darwin on aarch64");
  assertEquals(requireArch("linux", "aarch64"), "aarch64");
});
