/** Whom a mount serves, one after the other: nobody is judged by who came before, and root is led nowhere by others. */
import { assertEquals, assertRejects } from "@std/assert";
import { O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../ffi/sys/constants.ts";
import { data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { bytes, directory, file, WorkerFailure } from "../support/fuse/stub_mount.ts";

fuseTest("callers: each reaches its own files, whoever asked before", async (mount) => {
  await mount.populate(
    directory("private", { mode: 0o700, uid: 2000, gid: 2000 }),
    file("private/f", 5, { mode: 0o600, uid: 2000, gid: 2000 }),
    directory("open", { mode: 0o1777 }),
  );
  const [root, one, two] = [mount.agent(), mount.agent(), mount.agent()];
  await one.call("become", 1000, 1000);
  await two.call("become", 2000, 2000);
  // An open file and a working directory outlive the right to go there.
  const held = await two.number("open", mount.path("private/f"), O_RDWR);
  await one.number("open", mount.path("open/of-one"), O_WRONLY | O_CREAT, 0o644);
  for (let round = 0; round < 2; round++) {
    for (const agent of [root, two]) {
      await one.number("open", mount.path("open/of-one"), O_WRONLY | O_CREAT, 0o644);
      assertEquals((await agent.stat("stat", mount.path("private/f"))).size, 5);
    }
    await one.number("open", mount.path("open/of-one"), O_WRONLY | O_CREAT, 0o644);
    assertEquals((await two.stat("fstat", held)).size, 5);
    assertEquals(await one.errno("open", mount.path("private/f"), O_RDONLY), "EACCES");
  }
});

fuseTest("callers: a program that may be executed but not read is executed", async (mount) => {
  const agent = mount.agent();
  const program = await Deno.readFile("/bin/true");
  const fd = await agent.number("open", mount.path("true"), O_WRONLY | O_CREAT, 0o755);
  for (let at = 0; at < program.length; at += 16_384) {
    await agent.call("pwrite", fd, data(program.subarray(at, at + 16_384)), at);
  }
  await agent.call("close", fd);
  await agent.call("chmod", mount.path("true"), 0o711);
  await agent.call("become", 1000, 1000);
  assertEquals(await agent.errno("open", mount.path("true"), O_RDONLY), "EACCES");
  assertEquals(await agent.number("spawn", mount.path("true"), "true"), 0);
});

fuseTest(
  "callers: what is created below a symbolic link is refused, not made where it leads",
  async (mount) => {
    const outside = `${mount.base}/outside`;
    await Deno.mkdir(outside);
    await mount.agent().call("symlink", outside, mount.path("link"));
    for (const entry of [file("link/f", 0), file("link/d/f", 0), directory("link/d")]) {
      const failure = await assertRejects(() => mount.populate(entry), WorkerFailure);
      assertEquals([failure.error.errno, failure.error.index], ["ENOTDIR", 0]);
    }
    const link = { type: "link", path: bytes("f"), target: bytes("link/passwd") } as const;
    const failure = await assertRejects(() => mount.populate(link), WorkerFailure);
    assertEquals(failure.error.errno, "ENOTDIR");
    assertEquals([...Deno.readDirSync(outside)], []);
  },
);
