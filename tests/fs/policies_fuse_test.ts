/** What the caller of a mount may choose: which signals end a wait, and what is done about missing files; and what a mount's limits do. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../ffi/sys/constants.ts";
import { data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, within, WorkerFailure } from "../support/fuse/stub_mount.ts";

fuseTest(
  "policies: with missing files allowed, theirs are stale and everything else goes on",
  async (mount) => {
    await mount.populate(file("here", 4), file("missing", 4), directory("gone"));
    const agent = mount.agent();
    const here = await agent.number("open", mount.path("here"), O_RDONLY);
    const missing = await agent.number("open", mount.path("missing"), O_RDWR);
    const gone = await agent.number("open", mount.path("gone"), O_RDONLY);
    const address = await agent.number("mmap", 4096, 1, 2, missing, 0);
    await Deno.writeTextFile(`${mount.real}/here`, "here");
    await mount.stub();
    const waiting = agent.errno("fsync", missing);
    await mount.parked(1);
    await mount.call("setMode", { type: "setMode", mode: "proxy", backing: mount.real, missing: "stale" });
    assertEquals(await waiting, "ESTALE");
    assertEquals(await agent.text("pread", here, 10, 0), "here");
    assertEquals(await agent.errno("pread", missing, 10, 0), "ESTALE");
    assertEquals(await agent.errno("ftruncate", missing, 0), "ESTALE");
    assertEquals(await agent.errno("fstat", missing), "ESTALE");
    assertEquals(await agent.errno("pwrite", missing, data("x"), 0), "ESTALE");
    assertEquals(await agent.errno("peek", address, 1), "SIGBUS");
    assertEquals(await agent.errno("getdents", gone, 1000), "ESTALE");
    assertEquals(await agent.errno("open", mount.path("missing"), O_RDONLY), "ENOENT");
    assertEquals(mount.log.filter((line) => line.includes("/missing")).length, 1, mount.log.join("\n"));
    await agent.call("close", missing);
    await agent.call("open", mount.path("missing"), O_RDWR | O_CREAT, 0o600);
    assertEquals([...Deno.readDirSync(mount.real)].map((entry) => entry.name).sort(), ["here", "missing"]);
  },
);

fuseTest(
  "policies: where only fatal signals end a wait, a caught one does not, and SIGKILL and SIGTERM do",
  async (mount) => {
    await mount.populate(file("f", 4), file("g", 4), file("h", 4));
    const agents = [mount.agent(), mount.agent(), mount.agent()];
    const results: Promise<string>[] = [];
    const opened: number[] = [];
    for (const [index, agent] of agents.entries()) {
      await agent.call("catch", 10);
      opened.push(await agent.number("open", mount.path("fgh"[index]!), O_RDONLY));
    }
    await mount.stub();
    for (const [index, agent] of agents.entries()) results.push(agent.errno("fsync", opened[index]!));
    await mount.parked(3);
    for (const agent of agents) agent.kill("SIGUSR1");
    await mount.until(
      (state) => state.requests.every((request) => request.interrupted),
      "all to be interrupted",
    );
    for (const [index, signal] of [[1, "SIGKILL"], [2, "SIGTERM"]] as const) {
      results[index]!.catch(() => {});
      agents[index]!.kill(signal);
      await within(agents[index]!.status, signal, 1000);
    }
    assertEquals((await mount.inspect()).parked.count, 1);
    for (const name of "fgh") await Deno.writeTextFile(`${mount.real}/${name}`, "");
    await mount.proxy(mount.real);
    assertEquals(await results[0], "0");
    assertEquals(await agents[0]!.number("caught"), 1, "the handler runs when the call has returned");
  },
  { interrupts: "fatal" },
);

fuseTest("policies: a full placeholder is told, nothing is half-done, and it goes on", async (mount) => {
  const full = { ...file("full", 0), data: new Uint8Array(128 * 1024), size: undefined };
  const { error } = await assertRejects(
    () => mount.populate(file("d/small", 10), file("sparse", 1 << 30), full as never),
    WorkerFailure,
  );
  assertEquals([error.errno, error.index, error.rolledBack], ["ENOSPC", 2, true]);
  assertEquals(new TextDecoder().decode(error.path), "full");
  const agent = mount.agent();
  const root = await agent.number("open", mount.mountpoint, O_RDONLY);
  assertEquals(await agent.list(root), []);
  await mount.populate(file("d/small", 10), file("sparse", 2 ** 40));
  assertEquals((await agent.stat("stat", mount.path("sparse"))).size, 2 ** 40);
  const fd = await agent.number("open", mount.path("d/small"), O_RDWR);
  assertEquals(await agent.errno("write", fd, data("x".repeat(30_000))), "0");
  assert(["ENOSPC", "0"].includes(await agent.errno("write", fd, data("x".repeat(100_000)))));
  assertEquals(await agent.errno("write", fd, data("x".repeat(30_000))), "ENOSPC");
}, { size: 64n * 1024n });

fuseTest(
  "policies: the same nodes again are there already; others under their names are a conflict",
  async (mount) => {
    const entries = [
      file("f", 10),
      directory("d", { mode: 0o700, uid: 5 }),
      {
        type: "symlink",
        path: new TextEncoder().encode("l"),
        target: new TextEncoder().encode("f"),
        uid: 0,
        gid: 0,
      },
      { type: "link", path: new TextEncoder().encode("h"), target: new TextEncoder().encode("f") },
      {
        type: "char",
        path: new TextEncoder().encode("c"),
        mode: 0o600,
        uid: 0,
        gid: 0,
        rdev: { major: 1, minor: 3 },
      },
    ] as Parameters<typeof mount.populate>;
    assertEquals(await mount.populate(...entries), { created: 5, existing: 0 });
    assertEquals(await mount.populate(...entries), { created: 0, existing: 5 });
    for (
      const [entry, what] of [
        [file("f", 11), "size"],
        [file("f", 10, { mode: 0o600 }), "mode"],
        [directory("f"), "type"],
        [directory("d", { mode: 0o700, uid: 6 }), "owner"],
      ] as const
    ) {
      const { error } = await assertRejects(() => mount.populate(file("new", 1), entry), WorkerFailure);
      assertEquals([error.kind, error.index, error.rolledBack], ["conflict", 1, true], what);
      assert(error.message.includes(what), error.message);
    }
    assertEquals(await mount.agent().errno("stat", mount.path("new")), "ENOENT");
  },
);
