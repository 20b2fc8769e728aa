/** Mapped pages: none that came from the placeholder is ever seen once the mount has left restore mode. */
import { assert, assertEquals } from "@std/assert";
import { O_RDONLY, O_RDWR } from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { file, type StubMount, within } from "../support/fuse/stub_mount.ts";

const PAGE = 4096;
const [PROT_READ, PROT_WRITE, PROT_EXEC] = [1, 2, 4];
const [MAP_SHARED, MAP_PRIVATE] = [1, 2];
const MS_SYNC = 4;
const MLOCK_ONFAULT = 1;

const realPage = (index: number) => String.fromCharCode(0x41 + index % 26).repeat(PAGE);

/** The real file: pages of A, B, C and so on. */
async function writeReal(mount: StubMount, name: string, pages: number): Promise<void> {
  await Deno.writeTextFile(
    `${mount.real}/${name}`,
    Array.from({ length: pages }, (_, i) => realPage(i)).join(""),
  );
}

async function map(agent: Agent, path: string, pages: number, flags: number, prot = PROT_READ | PROT_WRITE) {
  const fd = await agent.number("open", path, prot & PROT_WRITE && flags === MAP_SHARED ? O_RDWR : O_RDONLY);
  const address = await agent.number("mmap", pages * PAGE, prot, flags, fd, 0);
  return { fd, page: (index: number) => address + index * PAGE };
}

const head = (agent: Agent, address: number) => agent.text("peek", address, 4);

/** mlock of a writable private mapping copies its pages, so CRIU's order matters: write, protect, lock. */
const locks: Record<string, (agent: Agent, address: number) => Promise<void>> = {
  "": async () => {},
  ", mlocked": async (agent, address) => {
    await agent.call("mprotect", address, 3 * PAGE, PROT_READ);
    await agent.call("mlock", address, 3 * PAGE);
  },
  ", mlocked on fault": async (agent, address) => {
    await agent.call("mlock2", address, 3 * PAGE, MLOCK_ONFAULT);
  },
};

for (const [locked, lock] of Object.entries(locks)) {
  for (const route of ["by stub", "straight to proxy"]) {
    const name = `pages: a private mapping with one dirty page of three${locked}, ${route}`;
    fuseTest(`${name}: the dirty one is kept, the clean ones are the real ones`, async (mount) => {
      await mount.populate(file("f", 3 * PAGE));
      const agent = mount.agent();
      const { page } = await map(agent, mount.path("f"), 3, MAP_PRIVATE);
      for (const index of [0, 1, 2]) assertEquals(await head(agent, page(index)), "\0\0\0\0");
      await agent.call("poke", page(1), data("mine"));
      await lock(agent, page(0));
      await writeReal(mount, "f", 3);
      if (route === "by stub") {
        await mount.stub();
        assertEquals(await head(agent, page(1)), "mine", "a dirty page never waits");
        const first = head(agent, page(0));
        await mount.parked(1);
        await mount.proxy(mount.real);
        assertEquals(await first, "AAAA");
      } else await mount.proxy(mount.real);
      assertEquals(await head(agent, page(0)), "AAAA");
      assertEquals(await agent.text("peek", page(1), 5), "mine\0");
      assertEquals(await head(agent, page(2)), "CCCC");
    });
  }
}

fuseTest("pages: what restore merely read ahead is dropped as well, in every process", async (mount) => {
  await mount.populate(file("f", 64 * PAGE));
  const agents = [mount.agent(), mount.agent(), mount.agent()];
  const maps = [];
  for (const [index, agent] of agents.entries()) {
    const mapped = await map(agent, mount.path("f"), 64, index === 2 ? MAP_SHARED : MAP_PRIVATE);
    assertEquals(await agent.bytes("pread", mapped.fd, 64 * PAGE, 0), new Uint8Array(64 * PAGE));
    for (let page = 0; page < 64; page++) await head(agent, mapped.page(page));
    if (index < 2) await agent.call("poke", mapped.page(10 + index), data("dirt"));
    maps.push(mapped);
  }
  await writeReal(mount, "f", 64);
  await mount.stub();
  await mount.proxy(mount.real);
  for (const [index, agent] of agents.entries()) {
    for (let page = 0; page < 64; page++) {
      const expected = index < 2 && page === 10 + index ? "dirt" : realPage(page).slice(0, 4);
      assertEquals(await head(agent, maps[index]!.page(page)), expected, `process ${index}, page ${page}`);
    }
  }
});

fuseTest(
  "pages: dirty pages of shared mappings do not hold up the change, and never reach the real file",
  async (mount) => {
    await mount.populate(file("f", 8 * PAGE));
    const agents = [mount.agent(), mount.agent()];
    const maps = [];
    for (const [index, agent] of agents.entries()) {
      const mapped = await map(agent, mount.path("f"), 8, MAP_SHARED);
      for (let page = index; page < 8; page += 2) await agent.call("poke", mapped.page(page), data("dirt"));
      maps.push(mapped);
    }
    await writeReal(mount, "f", 8);
    await within(mount.stub(), "stub mode", 2000);
    await mount.proxy(mount.real);
    for (const [index, agent] of agents.entries()) {
      for (let page = 0; page < 8; page++) {
        assertEquals(await head(agent, maps[index]!.page(page)), realPage(page).slice(0, 4));
      }
    }
    assertEquals(
      await Deno.readTextFile(`${mount.real}/f`),
      Array.from({ length: 8 }, (_, i) => realPage(i)).join(""),
    );
    await agents[0]!.call("poke", maps[0]!.page(3), data("real"));
    await agents[0]!.call("msync", maps[0]!.page(0), 8 * PAGE, MS_SYNC);
    assertEquals(await head(agents[1]!, maps[1]!.page(3)), "real");
    assertEquals((await Deno.readTextFile(`${mount.real}/f`)).slice(3 * PAGE, 3 * PAGE + 5), "realD");
  },
);

fuseTest("pages: a dirty shared mapping of an unlinked file goes along with its data", async (mount) => {
  const agent = mount.agent();
  const fd = await agent.number("open", mount.path("ghost"), O_RDWR | 0o100, 0o600);
  await agent.call("ftruncate", fd, 2 * PAGE);
  const address = await agent.number("mmap", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  await agent.call("unlink", mount.path("ghost"));
  await agent.call("poke", address + PAGE, data("boo!"));
  await agent.call("close", fd);
  await mount.stub();
  await mount.proxy(mount.real);
  assertEquals(await head(agent, address + PAGE), "boo!");
  await agent.call("poke", address, data("more"));
  await agent.call("msync", address, 2 * PAGE, MS_SYNC);
});

fuseTest(
  "pages: the change to stub mode ends while others read, write and fault all the time",
  async (mount) => {
    const pages = 26;
    const churners = ["read", "fault", "hold", "write"].flatMap((what) =>
      [1, 2, 3].map((index) => ({ what, name: `${what}-${index}`, agent: mount.agent() }))
    );
    await mount.populate(...churners.map(({ name }) => file(name, pages * PAGE)));
    for (const { name, what, agent } of churners) {
      await writeReal(mount, name, pages);
      await agent.call("churn", mount.path(name), what, pages);
    }
    await mount.until((state) => state.served > 2000, "some traffic");
    await within(mount.stub(), "stub mode", 5000);
    await mount.until((state) => state.parked.count >= churners.length, "all to wait");
    for (const { agent } of churners) await agent.call("strict");
    await mount.proxy(mount.real);
    for (const { agent, what, name } of churners) {
      const wrong = await agent.number("churned");
      assertEquals(wrong, 0, `${what} of ${name} saw placeholder pages`);
    }
  },
);

fuseTest(
  "pages: a program that was only read from the placeholder runs from the real file",
  async (mount) => {
    const { size } = await Deno.stat("/bin/true");
    await mount.populate(file("true", size, { mode: 0o755 }));
    const agent = mount.agent();
    const { fd, page } = await map(agent, mount.path("true"), 1, MAP_PRIVATE, PROT_READ | PROT_EXEC);
    await head(agent, page(0));
    await agent.call("pread", fd, size, 0);
    await Deno.copyFile("/bin/true", `${mount.real}/true`);
    await mount.stub();
    const running = agent.number("spawn", mount.path("true"));
    await mount.parked(1);
    await mount.proxy(mount.real);
    assertEquals(await running, 0);
  },
);

fuseTest("pages: a file that has grown meanwhile shows its new pages", async (mount) => {
  await mount.populate(file("f", PAGE));
  const agent = mount.agent();
  const { fd, page } = await map(agent, mount.path("f"), 2, MAP_PRIVATE);
  await head(agent, page(0));
  await writeReal(mount, "f", 2);
  await mount.stub();
  await mount.proxy(mount.real);
  assertEquals((await agent.bytes("pread", fd, 3 * PAGE, 0)).length, 2 * PAGE);
  assertEquals(await head(agent, page(1)), "BBBB");
});

fuseTest(
  "pages: abort in the middle of the change to stub mode ends it, the mount, and all who wait",
  async (mount) => {
    const agents = Array.from({ length: 12 }, () => mount.agent());
    await mount.populate(...agents.map((_, index) => file(`f${index}`, 26 * PAGE)));
    for (const [index, agent] of agents.entries()) {
      await agent.call("churn", mount.path(`f${index}`), index % 2 === 0 ? "read" : "fault", 26);
    }
    const change = mount.stub().then(() => "stub", (error: Error) => error.message);
    await mount.call("abort", { type: "abort", errno: 5 });
    assertEquals(await within(mount.gone, "the end", 5000), "aborted");
    const outcome = await within(change, "the answer to the change", 1000);
    assert(outcome === "stub" || outcome.includes("ended"), outcome);
  },
);
