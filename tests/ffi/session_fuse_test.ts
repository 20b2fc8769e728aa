/** Sessions over real mounts: requests answered exactly once, and every way in which serving ends. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { O_RDONLY, O_RDWR, O_TMPFILE } from "../../ffi/sys/constants.ts";
import * as kernel from "../../ffi/fuse/kernel.ts";
import { requires } from "../support/requirements.ts";
import { libfusePaths } from "../../tools/libfuse.ts";
import { newerLibfuseFolder } from "../../tools/newer_libfuse.ts";
import { within } from "../support/fuse/stub_mount.ts";
import { Served } from "./support/served.ts";
import type { ServedOptions } from "./support/served_child.ts";

const skip = await requires({ fuse: true, gcc: true });

/** Declares a test for requests that libfuse dispatches, and for such that go past it. */
function test(
  name: string,
  run: (served: Served, direct: boolean) => Promise<void>,
  options: ServedOptions = {},
): void {
  for (const direct of [false, true]) {
    Deno.test({
      name: direct ? `${name}, past libfuse` : name,
      ...skip,
      async fn() {
        await using served = await Served.start({ ...options, direct });
        await run(served, direct);
      },
    });
  }
}

test("session: a file system of a handful of handlers is served", async (served) => {
  await served.event("mounted");
  const agent = served.agent();
  const fd = await agent.number("open", served.path("file"), O_RDONLY);
  assertEquals(await agent.text("read", fd, 100), "hello");
  assertEquals((await agent.stat("stat", served.path("file"))).size, 5);
  assertEquals(await agent.errno("stat", served.path("none")), "ENOENT");
  assertEquals(
    await agent.errno("statfs", served.path("file")),
    "0",
    "unknown to us: the kernel's own answer",
  );
  assertEquals(await agent.errno("mkdir", served.path("d"), 0o755), "ENOSYS");
});

test("session: the first answer counts, a second one is a TypeError", async (served) => {
  const agent = served.agent();
  await served.event("mounted");
  assertEquals(await agent.errno("stat", served.path("twice")), "ENOTTY");
  assertEquals(await served.event("twice"), {
    event: "twice",
    thrown: ["TypeError", "TypeError", "TypeError", "TypeError"],
    state: "answered",
  });
  assertEquals(await agent.errno("stat", served.path("answered-then-thrown")), "ENOTTY");
  assertEquals((await served.event("fault")).message, "too late");
  assertEquals(await agent.errno("stat", served.path("file")), "0");
});

for (
  const [name, message] of [
    ["silent", "the handler neither answered nor detached the request"],
    ["throws", "a bug"],
    ["throws-nothing", "undefined"],
    ["detached-then-thrown", "a bug"],
  ] as const
) {
  test(`session: a handler that is ${name} is a fault: EIO, told once, and serving goes on`, async (served) => {
    await served.event("mounted");
    const agent = served.agent();
    assertEquals(await agent.errno("stat", served.path(name)), "EIO");
    assertEquals(await served.event("fault"), { event: "fault", opcode: "LOOKUP", message });
    assertEquals(await agent.errno("stat", served.path("file")), "0");
    assertEquals(served.pending("fault"), []);
    await served.command("stop");
    assertEquals((await served.event("ended")).outstanding, 0);
  });
}

test("session: a SysError is its errno, and no fault", async (served) => {
  await served.event("mounted");
  assertEquals(await served.agent().errno("stat", served.path("syserror")), "EDQUOT");
  assertEquals(served.pending("fault"), []);
});

test("session: detached requests are answered later, and block no other in their directory", async (served) => {
  const { flags } = await served.event("mounted");
  assertEquals(flags & kernel.FUSE_PARALLEL_DIROPS, kernel.FUSE_PARALLEL_DIROPS);
  const agents = [served.agent(), served.agent(), served.agent()];
  const found = agents.map((agent, index) => agent.errno("stat", served.path(`later-${index}`)));
  const pids = new Set<number>();
  for (const _ of agents) pids.add((await served.event("kept")).pid);
  assertEquals(pids, new Set(agents.map((agent) => agent.pid)));
  assertEquals(await served.agent().errno("stat", served.path("file")), "0");
  await served.command("answer");
  assertEquals(await Promise.all(found), ["0", "0", "0"]);
});

test("session: what still waits at the end is answered EIO and told", async (served) => {
  await served.event("mounted");
  const agent = served.agent();
  const found = agent.errno("stat", served.path("later"));
  await served.event("kept");
  await served.command("stop");
  assertEquals(await served.event("ended"), { event: "ended", how: "stopped", outstanding: 1 });
  assertEquals(await found, "EIO");
  assertStringIncludes((await served.event("fault")).message, "before the request was answered");
  const { notify, written } = await served.event("disposed");
  assertEquals(notify, -19, "ENODEV");
  assertEquals(written, 0, "files that have got the session's descriptor numbers");
  assertEquals(
    await agent.errno("stat", served.mountpoint),
    "ENOTCONN",
    "the mount is its owner's, and stays",
  );
});

test("session: what the kernel has queued when it is stopped is answered with the errno of stop", async (served) => {
  const { minor } = await served.event("mounted");
  const control = `${served.base}/control`;
  await Deno.mkdir(control);
  await new Deno.Command("mount", { args: ["-t", "fusectl", "none", control] }).output();
  try {
    await served.command("busy-then-stop");
    await served.event("busy");
    const found = served.agent().errno("stat", served.path("file"));
    while (await Deno.readTextFile(`${control}/${minor}/waiting`) !== "1\n");
    await Deno.writeTextFile(`${served.mountpoint}.go`, "");
    assertEquals(await found, "ENOLINK");
    assertEquals((await served.event("ended")).how, "stopped");
  } finally {
    await new Deno.Command("umount", { args: ["-l", control] }).output();
  }
});

test("session: it ends when it is unmounted", async (served) => {
  await served.event("mounted");
  await served.unmount();
  assertEquals((await served.event("ended")).how, "unmounted");
});

test("session: it ends when its connection is aborted", async (served) => {
  const { minor } = await served.event("mounted");
  const agent = served.agent();
  const found = agent.errno("stat", served.path("later"));
  await served.event("kept");
  const control = `${served.base}/control`;
  await Deno.mkdir(control);
  const script =
    `mount -t fusectl none ${control} && echo 1 > ${control}/${minor}/abort; umount -l ${control}`;
  await new Deno.Command("sh", { args: ["-c", script], stderr: "null" }).output();
  assertEquals((await served.event("ended")).how, "aborted");
  assertEquals(await found, "ECONNABORTED");
});

test("session: it serves once", async (served) => {
  await served.event("mounted");
  await served.command("again");
  assertEquals(await served.event("again"), { event: "again", name: "TypeError" });
  assertEquals(await served.agent().errno("stat", served.path("file")), "0");
});

for (const interrupts of ["answer", "throw"] as const) {
  test(`session: a signal is told to the hook, which may ${interrupts}: EINTR`, async (served) => {
    await served.event("mounted");
    const agent = served.agent();
    await agent.call("catch", 10);
    const found = agent.errno("stat", served.path("later"));
    await served.event("kept");
    agent.kill("SIGUSR1");
    assertEquals((await served.event("interrupt")).known, true);
    assertEquals(await within(found, "the interrupted call"), "EINTR");
    assertEquals(served.pending("fault").length, interrupts === "throw" ? 1 : 0);
  }, { interrupts });
}

test("session: a request that the hook keeps waits on, until it is answered", async (served) => {
  await served.event("mounted");
  const agent = served.agent();
  await agent.call("catch", 10);
  const found = agent.errno("stat", served.path("later"));
  await served.event("kept");
  agent.kill("SIGUSR1");
  await served.event("interrupt");
  await served.command("answer");
  assertEquals(await found, "0");
}, { interrupts: "keep" });

test(
  "session: opcodes that libfuse may not know reach their handlers: TMPFILE and STATX",
  async (served, direct) => {
    const { version } = await served.event("mounted");
    const agent = served.agent();
    assertEquals(await agent.errno("open", served.mountpoint, O_RDWR | O_TMPFILE, 0o600), "0");
    assertEquals((await served.event("tmpfile")).viaLibfuse, !direct && version.minor >= 17);
    assertEquals(await agent.errno("birth", served.mountpoint), "EREMOTEIO");
    assertEquals((await served.event("statx")).viaLibfuse, !direct && version.minor >= 18);
  },
);

test("session: invalidating what the kernel does not know is ENOENT", async (served) => {
  assertEquals((await served.event("mounted")).invalidated, -2);
});

for (const soname of ["libfuse3.so.3", "libfuse3.so.4"] as const) {
  const folder = soname === "libfuse3.so.4" ? await newerLibfuseFolder() : undefined;
  const library = folder === undefined ? (await libfusePaths())[soname]?.library : `${folder}/${soname}`;
  const other = () => library === undefined ? `no ${soname}` : undefined;
  Deno.test({
    name: `session: served by ${soname}`,
    ...await requires({ fuse: true, gcc: true, other }),
    async fn() {
      await using served = await Served.start({ library: library! });
      assertEquals((await served.event("mounted")).soname, soname);
      const agent = served.agent();
      const fd = await agent.number("open", served.path("file"), O_RDONLY);
      assertEquals(await agent.text("read", fd, 100), "hello");
      const found = agent.errno("stat", served.path("later"));
      const other = served.agent().errno("stat", served.path("later-too"));
      await served.event("kept");
      await served.event("kept");
      await served.command("answer");
      assertEquals([await found, await other], ["0", "0"]);
      assertEquals(await agent.errno("open", served.mountpoint, O_RDWR | O_TMPFILE, 0o600), "0");
      assertEquals(await agent.errno("birth", served.mountpoint), "EREMOTEIO");
      await served.command("stop");
      assertEquals((await served.event("ended")).how, "stopped");
    },
  });
}
