/** The real file system has other users: what they do is seen, at once or when the cache time is over. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY } from "../../ffi/sys/constants.ts";
import { data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import type { StubMount } from "../support/fuse/stub_mount.ts";

const cached = { attrTimeoutMs: 600_000 }; // names and attributes are never asked for again by themselves
const uncached = { attrTimeoutMs: 0 };

async function proxied(mount: StubMount, script: string) {
  await mount.shell(`cd $R; ${script}`);
  await mount.proxy(mount.real);
  return mount.agent();
}

fuseTest("others: a file that was replaced is opened anew, although its name is cached", async (mount) => {
  const agent = await proxied(mount, "echo old > f; echo old > g; echo old > h");
  for (const name of "fgh") await agent.stat("stat", mount.path(name));
  const held = await agent.number("open", mount.path("h"), O_RDONLY);
  await mount.shell("cd $R; echo new > .n; mv .n f; rm g; echo new > g; echo new > .h; mv .h h");
  for (const name of "fg") {
    const fd = await agent.number("open", mount.path(name), O_RDONLY);
    assertEquals(await agent.text("read", fd, 10), "new\n", name);
  }
  assertEquals(await agent.text("pread", held, 10, 0), "old\n");
}, cached);

fuseTest("others: a file that is gone is not there, although its name is cached", async (mount) => {
  const agent = await proxied(mount, "echo x > f; mkdir d; echo x > d/f");
  for (const name of ["f", "d/f"]) await agent.stat("stat", mount.path(name));
  await mount.shell("rm -r $R/f $R/d");
  assertEquals(await agent.errno("open", mount.path("f"), O_RDONLY), "ENOENT");
  assertEquals(await agent.errno("open", mount.path("d/f"), O_RDONLY), "ENOENT");
  assertEquals(await agent.errno("truncate", mount.path("f"), 0), "ENOENT");
}, cached);

fuseTest(
  "others: renamed by others, a file is found by its new name as the same, with what is open on it",
  async (mount) => {
    const agent = await proxied(mount, "mkdir a; echo x > a/f");
    const fd = await agent.number("open", mount.path("a/f"), O_RDWR);
    const before = await agent.stat("fstat", fd);
    await mount.shell("mv $R/a $R/b; mv $R/b/f $R/b/g");
    assertEquals((await agent.stat("stat", mount.path("b/g"))).ino, before.ino);
    assertEquals(await agent.errno("stat", mount.path("a/f")), "ENOENT");
    await agent.call("pwrite", fd, data("y"), 0);
    assertEquals((await agent.stat("fstat", fd)).ino, before.ino);
    assertEquals(await Deno.readTextFile(`${mount.real}/b/g`), "y\n");
    await agent.call("unlink", mount.path("b/g"));
    assertEquals(await agent.text("pread", fd, 10, 0), "y\n");
  },
  uncached,
);

fuseTest("others: what they write is read, what they append is appended to", async (mount) => {
  const agent = await proxied(mount, "echo one > f; echo one > log");
  const fd = await agent.number("open", mount.path("f"), O_RDONLY);
  const log = await agent.number("open", mount.path("log"), O_WRONLY | O_APPEND);
  assertEquals(await agent.text("pread", fd, 100, 0), "one\n");
  await mount.shell("cd $R; echo and-two > f; echo two >> log");
  assertEquals(await agent.text("pread", fd, 100, 0), "and-two\n");
  await agent.call("write", log, data("three\n"));
  assertEquals(await Deno.readTextFile(`${mount.real}/log`), "one\ntwo\nthree\n");
}, uncached);

fuseTest("others: an inode number that is given away again is another file", async (mount) => {
  const agent = await proxied(mount, "echo first > f");
  const fd = await agent.number("open", mount.path("f"), O_RDONLY);
  const first = await agent.text("pread", fd, 100, 0);
  const { ino } = await agent.stat("fstat", fd);
  await agent.call("close", fd);
  // ext4 gives the number to the next file of the directory.
  await mount.shell("rm $R/f; echo other > $R/g; touch -r $R $R/g");
  const again = await agent.number("open", mount.path("g"), O_RDONLY);
  assertNotEquals(await agent.text("pread", again, 100, 0), first, `inode ${ino}`);
}, uncached);

fuseTest("others: files hidden by a mount on the real file system are not mixed up", async (mount) => {
  const agent = await proxied(
    mount,
    "mkdir inside; echo outer > f; mount -t tmpfs spfs-inside inside; echo inner > inside/f",
  );
  try {
    const [outer, inner] = [
      await agent.stat("stat", mount.path("f")),
      await agent.stat("stat", mount.path("inside/f")),
    ];
    assertEquals([outer.size, inner.size], [6, 6]);
    const fd = await agent.number("open", mount.path("inside/f"), O_RDONLY);
    assertEquals(await agent.text("read", fd, 100), "inner\n");
    assertEquals(await agent.errno("rename", mount.path("f"), mount.path("inside/g"), 0), "EXDEV");
    await agent.call("close", fd);
  } finally {
    await mount.shell("umount -l $R/inside");
  }
}, uncached);
