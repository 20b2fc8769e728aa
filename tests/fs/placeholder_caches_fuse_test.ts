/** What the kernel keeps of the placeholder's attributes: all of them while files are restored, none afterwards. */
import { assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import type { Session } from "../../ffi/fuse/session.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../../ffi/sys/constants.ts";
import type { Gate } from "../../fs/gate.ts";
import type { Node } from "../../fs/node.ts";
import type { NodeTable } from "../../fs/nodes.ts";
import { PlaceholderCaches } from "../../fs/placeholder_caches.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { bytes, directory, file, within } from "../support/fuse/stub_mount.ts";

fuseTest("placeholder: while files are restored nobody is asked twice for attributes", async (mount) => {
  await mount.populate(file("f", 8));
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("f"), O_RDONLY);
  const asked = (await mount.inspect()).served;
  for (let n = 0; n < 10; n++) assertEquals((await agent.stat("fstat", fd)).size, 8);
  assertEquals((await mount.inspect()).served, asked);
  await agent.call("truncate", mount.path("f"), 5);
  assertEquals((await agent.stat("fstat", fd)).size, 5, "what is changed through the mount is seen");
});

fuseTest(
  "placeholder: what is known of it is forgotten before the real file system is there",
  async (mount) => {
    await mount.populate(file("f", 8), directory("d"));
    await mount.shell("printf 'longer than before' > $R/f; mkdir -m 711 $R/d; chmod 750 $R");
    const agent = mount.agent();
    const known = [];
    for (const [name, flags] of [["f", O_RDONLY], ["d", O_RDONLY | O_DIRECTORY], ["", O_PATH]] as const) {
      const fd = await agent.number("open", mount.path(name), flags);
      await agent.stat("fstat", fd);
      known.push(fd);
    }
    await mount.stub();
    const waiting = mount.agent();
    const size = waiting.stat("stat", mount.path("f"));
    await mount.parked(1);
    await mount.proxy(mount.real);
    assertEquals((await within(size, "stat")).size, 18);
    const stats = [];
    for (const fd of known) stats.push(await agent.stat("fstat", fd));
    assertEquals(stats.map(({ mode }) => mode), ["100644", "40711", "40750"]);
    assertEquals(stats[0]!.size, 18);
  },
);

fuseTest("placeholder: what is made in it later shows in what was known before", async (mount) => {
  await mount.populate(file("f", 8), directory("d"));
  const agent = mount.agent();
  const links = async (name: string) => (await agent.stat("stat", mount.path(name))).nlink;
  const root = await links("");
  assertEquals([await links("d"), await links("f")], [2, 1]);
  await mount.populate(
    directory("d/e"),
    directory("d/e/deeper"),
    { type: "link", path: bytes("d/g"), target: bytes("f") } as never,
  );
  assertEquals([await links("d"), await links("f"), await links("d/e")], [3, 2, 3]);
  await mount.populate(directory("new"));
  assertEquals(await links(""), root + 1);
});

/** Caches of a kernel that answers invalidations as it is told: for each inode, in turn. */
function kernelThatSays(answers: Map<number, number[]>) {
  const nodes = new Map([...answers.keys()].map((nodeid) => [nodeid, { nodeid } as Node]));
  const table = { all: () => nodes.values(), get: (nodeid: number) => nodes.get(nodeid) };
  const asked: number[] = [];
  const session = {
    invalidateAttributes(nodeid: bigint) {
      asked.push(Number(nodeid));
      return answers.get(Number(nodeid))!.shift()!;
    },
  };
  const caches = new PlaceholderCaches(table as unknown as NodeTable, {} as Gate, () => {});
  return { nodes, asked, drop: () => caches.dropAttributes(session as unknown as Session) };
}

Deno.test("placeholder: an answer that is still on its way to who asked is not kept either", async () => {
  const { asked, drop } = kernelThatSays(new Map([[1, [0]], [2, [-Errno.ENOENT, -Errno.ENOENT, 0]]]));
  await drop();
  assertEquals(asked.sort(), [1, 2, 2, 2]);
});

Deno.test("placeholder: what the kernel has forgotten is not waited for", async () => {
  const { nodes, asked, drop } = kernelThatSays(
    new Map([[2, [-Errno.ENOENT, -Errno.ENOENT]], [3, [-Errno.ENODEV]]]),
  );
  const dropped = drop();
  nodes.delete(2);
  await dropped;
  assertEquals(asked.sort(), [2, 3]);
});
