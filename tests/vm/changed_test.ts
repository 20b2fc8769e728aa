/** What has become of files on the server between dump and restore. */
import { assert, assertEquals } from "@std/assert";
import { until } from "../e2e/support/proc.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";

for (const mount of ["vers=4.2,hard", "vers=3,hard"]) {
  scenario(
    `${mount}: a file that is gone: the replacement is refused and names it, the process waits, and it goes on when the file is back`,
    { mount },
    async (scene) => {
      const { server } = scene;
      await scene.mount();
      const logger = await Logger.start(scene);
      const images = await scene.dump(logger.pid);
      const before = logger.rounds;
      Deno.renameSync(`${server.directory}/data`, `${server.directory}/elsewhere`);
      const standIn = await scene.standIn(images);
      const { spfs } = standIn;
      const pid = await images.restore(binary, spfs.socket);
      const { mode, replace } = await scene.failed(standIn);
      assert(/\bdata\b/.test(replace?.lastError?.message ?? ""), JSON.stringify(replace));
      assertEquals(mode, "stub");
      logger.assertWaits(before);
      Deno.renameSync(`${server.directory}/elsewhere`, `${server.directory}/data`);
      await spfs.call("mount.retry", { mount: "net" });
      await scene.replaced(standIn, pid);
      await logger.worked();
      await logger.end();
    },
  );
}

scenario(
  "a file that is gone, and the order to go on: what uses it is answered ESTALE, everything else goes on",
  {},
  async (scene) => {
    const { server } = scene;
    await scene.mount();
    const logger = await Logger.start(scene);
    const images = await scene.dump(logger.pid);
    Deno.removeSync(`${server.directory}/data`);
    const { spfs } = await scene.standIn(images, { missing: "stale", swap: "auto" });
    await images.restore(binary, spfs.socket);
    await spfs.event("replace.done", ({ ok }) => ok);
    await until("the process's complaint", () => logger.complaints().length > 0);
    const complaints = new Set(logger.complaints().map((line) => line.replace(/tick=\d+/, "")));
    assertEquals([...complaints], ["bad read count  errno=ESTALE"]);
    await logger.broken();
    // In the middle of a round, after its line.
    assertEquals(logger.written(), logger.rounds + 1);
  },
);

scenario(
  "a file that was changed: the process goes on and sees what is there now",
  {},
  async (scene) => {
    const { server } = scene;
    await scene.mount();
    const logger = await Logger.start(scene);
    const images = await scene.dump(logger.pid);
    Deno.writeTextFileSync(`${server.directory}/log`, "somebody else was here\n");
    const standIn = await scene.standIn(images);
    const pid = await images.restore(binary, standIn.spfs.socket);
    await scene.replaced(standIn, pid);
    await logger.worked();
    const [first, second] = Deno.readTextFileSync(`${server.directory}/log`).split("\n");
    assertEquals(first, "somebody else was here");
    assert(second?.endsWith(` line of process ${pid}`), second);
  },
);
