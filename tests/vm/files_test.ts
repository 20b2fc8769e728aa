/** What is special about files on NFS survives a restore: those without a name, locks, and who may open them. */
import { assert, assertEquals } from "@std/assert";
import { Images } from "../e2e/support/criu.ts";
import { until } from "../e2e/support/proc.ts";
import { Holder } from "./support/holder.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";
import { serverLocks } from "./support/server_locks.ts";

for (const mount of ["vers=4.2,hard", "vers=4.1,hard", "vers=3,hard"]) {
  scenario(
    `${mount}: unlinked files, locks, FIFOs and offsets survive a restore`,
    { mount },
    async (scene) => {
      const { server, sandbox } = scene;
      await scene.mount();
      const holder = await Holder.start(scene);
      const { pid } = holder;
      await Holder.assertLocked(scene);
      if (mount.includes("4.2")) {
        const refused = await Images.dump(sandbox, pid, ["--file-locks"]).then(() => "", String);
        assert(refused.includes("link-remap"), refused);
      }
      const images = await scene.dump(pid, ["--file-locks", "--link-remap"]);
      assertEquals(serverLocks(server.directory), []);
      await server.stop();
      const standIn = await scene.standIn(images);
      await images.restore(binary, standIn.spfs.socket, ["--file-locks"]);
      await server.restart();
      await scene.replaced(standIn, pid);
      await Holder.assertLocked(scene);
      await holder.end();
      const names = () => [...Deno.readDirSync(server.directory)].map(({ name }) => name).sort();
      const expected = ["fifo", "flocked", "other-name", "owned", "plain", "ranged"];
      await until("the removal of what has no name", () => names().length === expected.length).catch(
        () => {},
      );
      assertEquals(names(), expected);
    },
  );
}

for (const mount of ["vers=4.2,hard", "vers=3,hard"]) {
  scenario(
    `${mount}, root_squash: a process without privileges is restored and moved, though root may open none of its files`,
    { mount, rootSquash: true },
    async (scene) => {
      await scene.mount();
      const logger = await Logger.start(scene, 1000);
      const images = await scene.dump(logger.pid);
      await scene.server.stop();
      const standIn = await scene.standIn(images);
      const pid = await images.restore(binary, standIn.spfs.socket);
      await standIn.spfs.parked("net", 1);
      await scene.server.restart();
      await scene.replaced(standIn, pid);
      await logger.worked();
      await logger.end();
    },
  );
}
