/** A restore while the file system is away, by each of the ways: no daemon is started, none has to be ended. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { e2e } from "./support/case.ts";
import { atPostRestore, Images, killCriu } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { RestoreScene } from "./support/restore_scene.ts";
import type { Sandbox } from "./support/sandbox.ts";
import type { Binary } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";
import { type Way, ways } from "./support/ways.ts";

/** Declares a test for each of the ways. */
async function scene(promise: string, test: (sandbox: Sandbox, binary: Binary, way: Way) => Promise<void>) {
  for (const way of ways) {
    const needs = { criu: true, loop: true, ...way.needs };
    await e2e(`${way.name}: ${promise}`, (sandbox, binary) => test(sandbox, binary, way), needs);
  }
}

/** What the log of a restore says when a stand-in was there; the plugin does not wait for its nodes. */
const wasMade = /with \d+ nodes|a stand-in at \//;

await scene(
  "the file system comes back later, and everything ends by itself",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    await restored.remote.detach();
    restored.configure({
      source: restored.remote.source,
      type: "ext4",
      swap: "require",
      retry: { maxMs: 200, errnos: ["ENOENT"] },
    });
    const pid = await restored.restore();
    Deno.kill(pid, "SIGUSR1");
    await restored.parked();
    await restored.remote.attach();
    await restored.ends(pid);
    assertMatch(Deno.readTextFileSync(`${restored.images.directory}/spfs.log`), /ends with exit code 0\n$/);
  },
);

await scene(
  "a file system that is there serves before a restored process runs",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    restored.configure({ source: restored.remote.source, type: "ext4" });
    const pid = await restored.restore();
    assertMatch(
      restored.images.log("restore"),
      /1 mount in place, 1 of them served from the real file system/,
    );
    Deno.kill(pid, "SIGUSR1");
    await restored.ends(pid);
  },
);

await scene(
  "a list of mountpoints is enough: what to mount there was noted at the dump",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    const pid = await restored.restore([], { SPFS_DELAY: restored.mountpoint });
    assertMatch(restored.images.log("restore"), /1 mount in place, 1 of them served/);
    Deno.kill(pid, "SIGUSR1");
    await restored.ends(pid);
  },
);

await scene("a restore that fails leaves neither stand-in nor daemon", async (sandbox, binary, way) => {
  const restored = await RestoreScene.make(sandbox, binary, way);
  await restored.remote.detach();
  restored.configure({ source: restored.remote.source, type: "ext4" });
  const refused = restored.restore(atPostRestore(sandbox, "exit 1"));
  const error = await assertRejects(() => refused, Error, "criu restore ended with");
  assertMatch(error.message + restored.images.log("restore"), wasMade);
  await restored.gone();
  assertEquals(restored.mounted, []);
});

await scene(
  "what cannot be prepared fails the restore before CRIU makes anything, and CRIU's log names it",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    await restored.remote.detach();
    const config = {
      mounts: [{ mountpoint: restored.mountpoint, replace: { source: "/x", type: "ext4" } }, {
        mountpoint: sandbox.at("none"),
        replace: { source: "/x", type: "ext4" },
      }],
    };
    Deno.writeTextFileSync(`${restored.images.directory}/spfs-restore.json`, JSON.stringify(config));
    await assertRejects(() => restored.restore(), Error, "criu restore ended with");
    const said = restored.images.log("restore").split("\n").find((line) =>
      /spfs criu-hook: pre-restore: failed|Error \(spfs\)/.test(line)
    );
    assert(said?.includes(sandbox.at("none")), said ?? restored.images.log("restore"));
    await restored.gone();
    assertEquals(restored.mounted, []);
  },
);

await scene(
  "what only turns out when the nodes are made fails the restore as well, and CRIU's log names it",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    await restored.remote.detach();
    restored.configure({ source: restored.remote.source, type: "ext4" });
    Deno.writeTextFileSync(`${restored.images.directory}/spfs.json`, "{");
    await assertRejects(() => restored.restore(), Error, "criu restore ended with");
    const said = restored.images.log("restore").split("\n").find((line) =>
      /spfs criu-hook: pre-restore: failed|Error \(spfs\)/.test(line)
    );
    assert(said?.includes("spfs.json: no JSON"), said ?? restored.images.log("restore"));
    await restored.gone();
    assertEquals(restored.mounted, []);
  },
);

await scene(
  "when CRIU is killed in the middle, stand-in and daemon go with it",
  async (sandbox, binary, way) => {
    const restored = await RestoreScene.make(sandbox, binary, way);
    await restored.remote.detach();
    restored.configure({ source: restored.remote.source, type: "ext4" });
    const refused = restored.restore(atPostRestore(sandbox, killCriu));
    await assertRejects(() => refused, Error, "criu restore ended with 137");
    assertMatch(restored.images.log("restore"), wasMade);
    await restored.gone();
    assertEquals(restored.mounted, []);
  },
);

await scene(
  "what could not go on after the restore fails it, and CRIU's log names it",
  async (sandbox, binary, way) => {
    const [mnt, real] = [sandbox.directory("mnt"), sandbox.directory("real")];
    const [result, runtime] = [sandbox.at("result"), sandbox.directory("run", 0o700)];
    Deno.writeTextFileSync(result, "");
    Deno.writeFileSync(`${mnt}/file`, patternBytes(1, 3 * 4096));
    const mapped = sandbox.start(victim("mapped"), [`${mnt}/file`, result, "lock"]);
    await until("the mapping", () => Deno.readTextFileSync(result).includes("ready"));
    const images = await Images.dump(sandbox, mapped.pid, [], binary);
    const config = { mounts: [{ mountpoint: mnt, replace: { source: real, type: "bind" } }] };
    Deno.writeTextFileSync(`${images.directory}/spfs-restore.json`, JSON.stringify(config));
    // Somebody else writes to a private mapping of the same file while the tree stands still.
    const [other, ready] = [sandbox.at("other"), sandbox.at("other-result")];
    const start = `${
      victim("mapped")
    } ${mnt}/file ${ready} & echo $! >${other}; until [ -s ${ready} ]; do sleep 0.01; done`;
    const options = atPostRestore(sandbox, start);
    await assertRejects(
      () => way.restore(images, { binary, runtime, options }),
      Error,
      "criu restore ended with",
    );
    const pid = Number(Deno.readTextFileSync(other));
    sandbox.adopt(pid);
    assertMatch(
      images.log("restore"),
      new RegExp(`process ${pid}, which is not of the tree, has written to a private mapping of ${mnt}/file`),
    );
    Deno.kill(pid, "SIGKILL");
    await until("the end of the daemon", () => [...Deno.readDirSync(runtime)].length === 0);
    assertEquals(mountsBelow(mnt), []);
    assert(!isAlive(images.pid), "the process runs");
  },
);
