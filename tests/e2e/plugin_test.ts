/** What is the plugin's own: it starts the daemon from CRIU, and CRIU is never held up or harmed by it. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "../../control/client.ts";
import { pluginFolder } from "../../tools/plugin.ts";
import { e2e } from "./support/case.ts";
import { atPostRestore, Images, killCriu } from "./support/criu.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { RestoreScene } from "./support/restore_scene.ts";
import { byPlugin, pluginRun, startAhead } from "./support/ways.ts";

const needs = { criu: true, loop: true, plugin: true } as const;

await e2e(
  "plugin: without a program to start the restore fails, and CRIU's log says so",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    scene.configure({ source: scene.remote.source, type: "ext4" });
    const none = sandbox.at("none");
    await assertRejects(() => scene.restore([], { SPFS_PROGRAM: none }), Error, "criu restore ended with");
    assertMatch(scene.images.log("restore"), new RegExp(`cannot run ${none}: No such file or directory`));
    assertEquals(scene.mounted, []);
  },
  needs,
);

await e2e(
  "plugin: a program that says nothing is killed in time, and the restore fails",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    scene.configure({ source: scene.remote.source, type: "ext4" });
    const silent = sandbox.at("silent");
    const pidFile = sandbox.at("silent.pid");
    Deno.writeTextFileSync(silent, `#!/bin/sh\necho $$ >${pidFile}\nexec sleep 60\n`, { mode: 0o755 });
    const started = performance.now();
    const env = { SPFS_PROGRAM: silent, SPFS_TIMEOUT: "300" };
    await assertRejects(() => scene.restore([], env), Error, "criu restore ended with");
    assert(performance.now() - started < 5000, `${performance.now() - started} ms`);
    assertMatch(scene.images.log("restore"), /initialize: spfs did not answer in time/);
    const pid = Number(Deno.readTextFileSync(pidFile));
    await until("the end of the program", () => !isAlive(pid));
    assertEquals(scene.mounted, []);
  },
  needs,
);

await e2e("plugin: another program than spfs is noticed", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byPlugin);
  scene.configure({ source: scene.remote.source, type: "ext4" });
  await assertRejects(() => scene.restore([], { SPFS_PROGRAM: "yes" }), Error, "criu restore ended with");
  assertMatch(scene.images.log("restore"), /initialize: what answers is not spfs/);
  assertEquals(scene.mounted, []);
}, needs);

await e2e(
  "plugin: a daemon that was there before does the restore, and ends with it",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    await scene.remote.detach();
    const retry = { maxMs: 200, errnos: ["ENOENT"] };
    scene.configure({ source: scene.remote.source, type: "ext4", swap: "require", retry });
    const daemon = await startAhead(sandbox, scene.run());
    const pid = await scene.restore([], { SPFS_PROGRAM: sandbox.at("none") });
    assertMatch(scene.images.log("restore"), new RegExp(`the daemon at ${scene.runtime}/`));
    Deno.kill(pid, "SIGUSR1");
    await scene.parked();
    await scene.remote.attach();
    await scene.ends(pid);
    assertEquals((await daemon.ended()).code, 0);
  },
  needs,
);

await e2e(
  "plugin: a daemon that was there before ends when CRIU fails or is killed, and takes the stand-in away",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    scene.configure({ source: scene.remote.source, type: "ext4" });
    for (const [command, code] of [["exit 1", "1"], [killCriu, "137"]] as const) {
      const daemon = await startAhead(sandbox, scene.run());
      const restored = scene.restore(atPostRestore(sandbox, command), { SPFS_PROGRAM: sandbox.at("none") });
      await assertRejects(() => restored, Error, `criu restore ended with ${code}`);
      assertMatch(scene.images.log("restore"), /a stand-in at \//);
      assertEquals((await daemon.ended()).code, 0);
      await scene.gone();
      assertEquals(scene.mounted, []);
    }
  },
  needs,
);

await e2e(
  "plugin: a daemon that has mounts already, or is elsewhere, is left alone, and the restore fails",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    scene.configure({ source: scene.remote.source, type: "ext4" });
    const other = sandbox.directory("other");
    const daemon = await startAhead(sandbox, scene.run());
    using client = await connect(scene.socket, { name: "e2e" });
    await client.call("mount.create", { id: "other", mountpoint: other });
    await assertRejects(() => scene.restore(), Error, "criu restore ended with");
    assertMatch(scene.images.log("restore"), /restore.prepare: the daemon has mounts already/);
    assertEquals(mountsBelow(other).map(({ fstype }) => fstype), ["fuse.spfs"]);
    assertEquals(scene.mounted, []);
    await client.call("quit", { force: true });
    assertEquals((await daemon.ended()).code, 0);

    const away = await startAhead(sandbox, scene.run(), ["unshare", "--mount"]);
    await assertRejects(() => scene.restore(), Error, "criu restore ended with");
    assertMatch(scene.images.log("restore"), /who listens there is in another mount or pid namespace/);
    assert(isAlive(away.pid));
    assertEquals(scene.mounted, []);
    away.kill("SIGTERM");
    await away.status;
  },
  needs,
);

await e2e("plugin: a configuration that is no JSON fails the restore, by name", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byPlugin);
  const config = sandbox.at("config");
  Deno.writeTextFileSync(config, '{"mounts": []}, "process": 1');
  await assertRejects(() => scene.restore([], { SPFS_CONFIG: config }), Error, "criu restore ended with");
  assertMatch(scene.images.log("restore"), new RegExp(`${config}: not one object of JSON`));
  assertEquals([...Deno.readDirSync(scene.runtime)], []);
}, needs);

await e2e("plugin: without a configuration it does nothing", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byPlugin);
  await scene.remote.mount(scene.mountpoint);
  const pid = await scene.restore([], { SPFS_PROGRAM: sandbox.at("none") });
  Deno.kill(pid, "SIGUSR1");
  await scene.ends(pid);
}, needs);

await e2e(
  "plugin: a CRIU that stays until the tree has ended releases it nevertheless",
  async (sandbox, binary) => {
    const scene = await RestoreScene.make(sandbox, binary, byPlugin);
    await scene.remote.detach();
    scene.configure({
      source: scene.remote.source,
      type: "ext4",
      swap: "require",
      retry: { maxMs: 200, errnos: ["ENOENT"] },
    });
    const { options, env } = await pluginRun(scene.images, scene.run());
    const criu = scene.images.startRestore(options, env);
    await criu.closeInput();
    const { pid } = scene.images;
    const log = `${scene.images.directory}/restore.log`;
    await until(
      "the restored process",
      () => Deno.readTextFile(log).then((told) => told.includes("Tasks resumed"), () => false),
    );
    Deno.kill(pid, "SIGUSR1");
    await scene.parked();
    await scene.remote.attach();
    await scene.ends(pid);
    assertEquals((await criu.ended()).code, 0);
  },
  needs,
);

await e2e("plugin: restored processes have no file of its own", async (sandbox, binary) => {
  const scene = await RestoreScene.make(sandbox, binary, byPlugin);
  scene.configure({ source: scene.remote.source, type: "ext4" });
  const pid = await scene.restore();
  const links = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) =>
    Deno.readLinkSync(`/proc/${pid}/fd/${name}`)
  );
  assertEquals(links.filter((link) => /^(pipe|anon_inode):/.test(link)), []);
  Deno.kill(pid, "SIGUSR1");
  await scene.ends(pid);
}, needs);

for (const by of ["plugin", "action script"] as const) {
  await e2e(
    `${by}: a dump of who waits in a stand-in is refused at once, by name`,
    async (sandbox, binary) => {
      const scene = await RestoreScene.make(sandbox, binary, byPlugin);
      await scene.remote.detach();
      scene.configure({
        source: scene.remote.source,
        type: "ext4",
        retry: { maxMs: 200, errnos: ["ENOENT"] },
      });
      const pid = await scene.restore();
      Deno.kill(pid, "SIGUSR1");
      await scene.parked();
      const started = performance.now();
      const again = by === "plugin"
        ? Images.dump(sandbox, pid, ["--libdir", pluginFolder], undefined, "again")
        : Images.dump(sandbox, pid, [], binary, "again");
      const said = new RegExp(`process ${pid}.* uses the stand-in at ${scene.mountpoint}`);
      assertMatch((await assertRejects(() => again, Error)).message, said);
      assert(performance.now() - started < 5000, `${performance.now() - started} ms`);
      await scene.remote.attach();
      await scene.ends(pid);
    },
    needs,
  );
}
