import { assert, assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import {
  CAP_SYS_ADMIN,
  F_GETFD,
  FD_CLOEXEC,
  POLLIN,
  PR_GET_NAME,
  PR_SET_NAME,
  RLIMIT_NOFILE,
} from "../../ffi/sys/constants.ts";
import { Fd } from "../../ffi/sys/fd.ts";
import { fcntlGet } from "../../ffi/sys/file.ts";
import * as identity from "../../ffi/sys/identity.ts";
import { check, cstr } from "../../ffi/sys/libc.ts";
import { PollSet } from "../../ffi/sys/poll.ts";
import { requires } from "../support/requirements.ts";
import { kill, pidfdOpen, prlimit64, readProcFile, type Rlimit } from "../../ffi/sys/process.ts";

Deno.test("process: a pidfd becomes readable when the process ends", async () => {
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  using fd = Fd.own(check(pidfdOpen(child.pid, 0), "pidfd_open"));
  assertEquals(fcntlGet(fd.raw, F_GETFD), FD_CLOEXEC);
  const set = new PollSet([{ fd: fd.raw, events: POLLIN }]);
  assertEquals(set.wait(0), 0);
  assertEquals(kill(child.pid, 0), 0);
  assertEquals(kill(child.pid, 9), 0);
  assertEquals(await set.waitAsync(10_000), 1);
  await child.stdin.close();
  assertEquals((await child.status).signal, "SIGKILL");
  assertEquals(kill(child.pid, 0), -Errno.ESRCH);
  assertEquals(pidfdOpen(child.pid, 0), -Errno.ESRCH);
});

Deno.test("process: limits are read and set, of other processes too", async () => {
  const before = prlimit64(0, RLIMIT_NOFILE) as Rlimit;
  assert(before.soft > 0n && before.soft <= before.hard);
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  assertEquals(prlimit64(child.pid, RLIMIT_NOFILE, { soft: 17n, hard: before.hard }), before);
  assertEquals(prlimit64(child.pid, RLIMIT_NOFILE), { soft: 17n, hard: before.hard });
  assertEquals(prlimit64(child.pid, RLIMIT_NOFILE, { soft: 2n, hard: 1n }), -Errno.EINVAL);
  assertEquals(prlimit64(0, RLIMIT_NOFILE), before);
  await child.stdin.close();
  await child.status;
});

Deno.test("process: files of /proc are read whole, though they have no size", () => {
  const status = readProcFile("/proc/self/status");
  assert(typeof status !== "number");
  assert(new TextDecoder().decode(status).includes(`\nPid:\t${Deno.pid}\n`));
  const symbols = readProcFile("/proc/kallsyms"); // some megabytes, or empty where they are hidden
  assert(typeof symbols === "number" || symbols.length === 0 || symbols.length > 100_000);
  assertEquals(readProcFile("/proc/no/such"), -Errno.ENOENT);
  assertEquals(readProcFile("/proc"), -Errno.EISDIR);
});

Deno.test("identity: the ids are the process's, and the thread's", () => {
  assertEquals(identity.getpid(), Deno.pid);
  assertEquals([identity.getuid(), identity.getgid()], [Deno.uid(), Deno.gid()]);
  assertEquals([identity.geteuid(), identity.getegid()], [Deno.uid(), Deno.gid()]);
  const status = new TextDecoder().decode(readProcFile("/proc/thread-self/status") as Uint8Array);
  assertEquals(/^Pid:\t(\d+)$/m.exec(status)![1], String(identity.gettid()));
});

Deno.test("identity: capabilities are those of /proc", () => {
  const status = new TextDecoder().decode(readProcFile("/proc/thread-self/status") as Uint8Array);
  const listed = (name: string) => BigInt(`0x${new RegExp(`^${name}:\\t(\\w+)$`, "m").exec(status)![1]}`);
  const { effective, permitted, inheritable } = identity.capget() as identity.Capabilities;
  assertEquals([effective, permitted, inheritable], [listed("CapEff"), listed("CapPrm"), listed("CapInh")]);
  assertEquals((effective >> BigInt(CAP_SYS_ADMIN)) & 1n, (listed("CapEff") >> 21n) & 1n);
  assertEquals(identity.capget(0x7fffffff), -Errno.ESRCH);
});

Deno.test("identity: prctl takes numbers and buffers", () => {
  const name = new Uint8Array(16);
  assertEquals(identity.prctl(PR_GET_NAME, name), 0);
  assertEquals(identity.prctl(PR_SET_NAME, cstr("spfs-test")), 0);
  const changed = new Uint8Array(16);
  assertEquals(identity.prctl(PR_GET_NAME, changed), 0);
  assertEquals(new TextDecoder().decode(changed.subarray(0, 10)), "spfs-test\0");
  assertEquals(identity.prctl(PR_SET_NAME, name), 0);
  assertEquals(identity.prctl(-1, 0n), -Errno.EINVAL);
});

Deno.test("identity: the id that is never valid is refused before it is taken for a question", () => {
  assertEquals([identity.setfsuid(0xffffffff), identity.setfsgid(0xffffffff)], [
    -Errno.EINVAL,
    -Errno.EINVAL,
  ]);
});

Deno.test({
  name: "identity: without the capability, a change of user, group or groups is refused",
  ...await requires({ root: true, programs: ["setpriv"] }),
  fn() {
    const child = new URL("./support/powerless_child.ts", import.meta.url).pathname;
    const { stdout, stderr } = new Deno.Command("setpriv", {
      args: ["--bounding-set", "-setuid,-setgid", "timeout", "60", Deno.execPath(), "run", "-A", child],
    }).outputSync();
    assertEquals(
      new TextDecoder().decode(stdout),
      JSON.stringify([0, 0, -Errno.EPERM, -Errno.EPERM, -Errno.EPERM]) + "\n",
    );
    assertEquals(new TextDecoder().decode(stderr).includes("error"), false);
  },
});
