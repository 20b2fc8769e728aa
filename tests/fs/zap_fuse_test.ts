/** Zapping: private mappings lose the pages that they have copied, locked memory and programs that run not excepted. */
import { assertEquals, assertRejects } from "@std/assert";
import { O_RDONLY } from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { file, type StubMount, WorkerFailure } from "../support/fuse/stub_mount.ts";

const PAGE = 4096;
const [PROT_READ, PROT_WRITE, PROT_EXEC] = [1, 2, 4];
const MAP_PRIVATE = 2;

/** Maps three pages as CRIU restores them: writable and locked, which copies every page; then as they are to be. Page 1 is written. */
async function mapLocked(agent: Agent, path: string, prot: number): Promise<(index: number) => number> {
  const fd = await agent.number("open", path, O_RDONLY);
  const address = await agent.number("mmap", 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  await agent.call("mlock", address, 3 * PAGE);
  await agent.call("poke", address + PAGE, data("mine"));
  await agent.call("mprotect", address, 3 * PAGE, prot);
  return (index) => address + index * PAGE;
}

const zap = (mount: StubMount, by?: number) =>
  mount.call("zap", { type: "zap", ...(by !== undefined && { by }) });
const pageText = (letter: string) => letter.repeat(PAGE);

/** Which pages of three are the mapping's own. */
async function ownPages(agent: Agent, page: (index: number) => number): Promise<boolean[]> {
  using pagemap = await Deno.open(`/proc/${agent.pid}/pagemap`);
  const entries = new Uint8Array(3 * 8);
  await pagemap.seek(page(0) / PAGE * 8, Deno.SeekMode.Start);
  await pagemap.read(entries);
  return [0, 1, 2].map((index) => {
    const high = new DataView(entries.buffer).getUint32(index * 8 + 4, true);
    return high >>> 30 !== 0 && (high >>> 29 & 1) === 0;
  });
}

for (
  const [name, prot] of Object.entries({ "read-only": PROT_READ, executable: PROT_READ | PROT_EXEC, none: 0 })
) {
  fuseTest(
    `zap: a locked ${name} mapping loses what it has copied, and then sees the real file`,
    async (mount) => {
      await mount.populate(file("f", 3 * PAGE));
      const [agent, other, zapper] = [mount.agent(), mount.agent(), mount.agent()];
      const pages = [
        [agent, await mapLocked(agent, mount.path("f"), prot)],
        [other, await mapLocked(other, mount.path("f"), PROT_READ)],
      ] as const;
      for (const [who, page] of pages) assertEquals(await ownPages(who, page), [true, true, true]);
      await zap(mount, zapper.pid);
      assertEquals((await zapper.stat("ask", mount.path("f"))).size, 0);
      assertEquals((await zapper.stat("ask", mount.path("f"))).size, 3 * PAGE);
      await zap(mount);
      for (const [who, page] of pages) assertEquals(await ownPages(who, page), [false, false, false]);
      await agent.call("mprotect", pages[0][1](0), 3 * PAGE, PROT_READ);
      await Deno.writeTextFile(`${mount.real}/f`, pageText("A") + pageText("B") + pageText("C"));
      await mount.stub();
      await mount.proxy(mount.real);
      for (const [who, page] of pages) {
        assertEquals(
          await who.text("peek", page(0), 3 * PAGE),
          pageText("A") + pageText("B") + pageText("C"),
        );
      }
    },
  );
}

fuseTest(
  "zap: only the process that zaps is told of an empty file, once, and never after the placeholder's time",
  async (mount) => {
    await mount.populate(file("f", 3 * PAGE), file("g", 5));
    const [zapper, other] = [mount.agent(), mount.agent()];
    const asked = async (agent: Agent, name: string) => (await agent.stat("ask", mount.path(name))).size;
    assertEquals(await asked(zapper, "f"), 3 * PAGE);
    await zap(mount, zapper.pid);
    assertEquals(await asked(other, "f"), 3 * PAGE);
    assertEquals([await asked(zapper, "f"), await asked(other, "f")], [0, 3 * PAGE]);
    assertEquals([await asked(zapper, "f"), await asked(zapper, "g"), await asked(zapper, "g")], [
      3 * PAGE,
      0,
      5,
    ]);
    await zap(mount);
    assertEquals(await asked(zapper, "f"), 3 * PAGE);
    await zap(mount, zapper.pid);
    await mount.stub();
    await mount.restore();
    assertEquals(await asked(zapper, "f"), 3 * PAGE);
    await mount.stub();
    await assertRejects(
      () => zap(mount, zapper.pid),
      WorkerFailure,
      "only the placeholder's pages are zapped",
    );
  },
);
