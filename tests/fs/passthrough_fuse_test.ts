/** What is opened in proxy mode is read, written and mapped by the kernel itself, and is the same file as for everybody else. */
import { assert, assertEquals } from "@std/assert";
import { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from "../../ffi/sys/constants.ts";
import { data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { file, StubMount, type StubMountOptions } from "../support/fuse/stub_mount.ts";

/** Declares a test with a tmpfs as the real file system, whatever the test's own directory is on. */
function passthroughTest(
  promise: string,
  test: (mount: StubMount) => Promise<void>,
  options: StubMountOptions = {},
): void {
  fuseTest(`passthrough: ${promise}`, async (mount) => {
    await mount.shell("mount -t tmpfs tmpfs $R");
    try {
      await test(mount);
    } finally {
      await mount.shell("umount -l $R");
    }
  }, options);
}

const served = async (mount: StubMount) => (await mount.inspect()).served;

passthroughTest("reading, writing and mapping ask nobody, and others see it at once", async (mount) => {
  await mount.proxy(mount.real);
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR | O_CREAT, 0o644);
  const address = await agent.number("mmap", 4096, 3, 1, fd, 0);
  const before = await served(mount);
  for (let n = 0; n < 50; n++) await agent.call("pwrite", fd, data("data"), 4096 * n);
  for (let n = 0; n < 50; n++) assertEquals(await agent.text("pread", fd, 4, 4096 * n), "data");
  await agent.call("poke", address, data("mapped"));
  assertEquals(await agent.text("pread", fd, 6, 0), "mapped");
  // Writing asks once whether the file has capabilities.
  assert(await served(mount) - before < 10, `${await served(mount) - before} requests`);
  assertEquals((await Deno.readTextFile(`${mount.real}/f`)).slice(0, 6), "mapped");
  await mount.shell("printf others > $R/f");
  assertEquals(await agent.text("pread", fd, 6, 0), "others");
  assertEquals((await agent.stat("fstat", fd)).size, 6);
}, { attrTimeoutMs: 0 });

passthroughTest(
  "what was open before goes on through the daemon, with all that is opened beside it",
  async (mount) => {
    await mount.populate(file("f", 5), file("g", 5));
    await mount.shell("printf FFFFF > $R/f; printf GGGGG > $R/g");
    const agent = mount.agent();
    const old = await agent.number("open", mount.path("f"), O_RDWR);
    await agent.text("pread", old, 5, 0);
    await mount.stub();
    await mount.proxy(mount.real);
    const beside = await agent.number("open", mount.path("f"), O_RDWR);
    await agent.call("pwrite", beside, data("new"), 0);
    assertEquals(await agent.text("pread", old, 5, 0), "newFF");
    await agent.call("close", old);
    const third = await agent.number("open", mount.path("f"), O_RDONLY);
    assertEquals(await agent.text("pread", third, 5, 0), "newFF");
    await agent.call("close", beside);
    await agent.call("close", third);
    await agent.stat("stat", mount.path("f")); // what was closed has been released when this is answered
    const fresh = await agent.number("open", mount.path("f"), O_RDONLY);
    const before = await served(mount);
    await agent.text("pread", fresh, 5, 0);
    assertEquals(await served(mount), before, "nobody had it open any more: it is passed through");
  },
);

passthroughTest("in stub mode what is passed through goes on, everything else waits", async (mount) => {
  await mount.shell("printf real > $R/f");
  await mount.proxy(mount.real);
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDWR);
  await mount.stub();
  assertEquals(await agent.text("pread", fd, 4, 0), "real");
  const other = mount.agent().number("open", mount.path("f"), O_RDONLY);
  await mount.parked(1);
  await mount.proxy();
  assert(await other >= 0);
});

passthroughTest(
  "a registered file keeps nobody from executing it, and goes when its name does",
  async (mount) => {
    await mount.proxy(mount.real);
    const released = () => mount.until((state) => state.handles === 0, "what was closed to be released");
    await mount.shell("cp /bin/true $M/true");
    await released();
    await mount.shell("$R/true; $M/true; dd if=/dev/zero of=$M/big bs=1M count=8 2>/dev/null; rm $M/big");
    await mount.until((state) => state.nodes === 2, "the removed file to be forgotten");
    const used = Number(await mount.shell("df --output=used -k $R | tail -1"));
    assert(used < 4096, `${used} KiB in use`);
  },
);

passthroughTest("O_APPEND taken away by fcntl is away", async (mount) => {
  await mount.proxy(mount.real);
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644);
  await agent.call("write", fd, data("abc"));
  await agent.call("setfl", fd, 0);
  await agent.call("pwrite", fd, data("X"), 0);
  assertEquals(await Deno.readTextFile(`${mount.real}/f`), "Xbc");
});

for (const mayCross of [false, true]) {
  passthroughTest(
    `closing what was open before ${
      mayCross
        ? "asks the daemon each time, if something may be mounted on the real file system"
        : "asks once"
    }, and others see what was mapped`,
    async (mount) => {
      await mount.populate(file("f", 5));
      await mount.shell("printf FFFFF > $R/f");
      const agent = mount.agent();
      const fd = await agent.number("open", mount.path("f"), O_RDWR);
      await mount.stub();
      await mount.proxy(mount.real, mayCross);
      const address = await agent.number("mmap", 4096, 3, 1, fd, 0);
      const count = 20;
      for (let n = 0; n < count; n++) await agent.call("close", await agent.number("dup", fd));
      const before = await served(mount);
      for (let n = 0; n < count; n++) await agent.call("close", await agent.number("dup", fd));
      assertEquals(await served(mount) - before, mayCross ? count : 0);
      await agent.call("poke", address, data("mapped"));
      await agent.call("close", fd);
      assertEquals(await Deno.readTextFile(`${mount.real}/f`), "mappe");
    },
  );
}

fuseTest(
  "closing what can only be read asks nobody, also of a file system that may not answer",
  async (server) => {
    await server.shell("printf FFFFF > $R/f");
    await server.proxy(server.real);
    await using mount = await StubMount.start();
    await mount.populate(file("f", 5));
    const agent = mount.agent();
    const askedToClose = async (flags: number) => {
      const fd = await agent.number("open", mount.path("f"), flags);
      const before = await served(mount);
      for (let n = 0; n < 20; n++) await agent.call("close", await agent.number("dup", fd));
      return await served(mount) - before;
    };
    assertEquals([await askedToClose(O_RDONLY), await askedToClose(O_RDWR)], [0, 20], "the placeholder's");
    await mount.stub();
    await mount.proxy(server.mountpoint);
    assertEquals([await askedToClose(O_RDONLY), await askedToClose(O_RDWR)], [0, 20], "the server's");
  },
  { attrTimeoutMs: 0 },
);
