/** What is special about files on NFS survives a restore: those without a name, locks, and who may open them. */
import { assert, assertEquals } from "@std/assert";
import { Images } from "../e2e/support/criu.ts";
import { patternBytes } from "../e2e/support/pattern.ts";
import { isAlive, until } from "../e2e/support/proc.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario, type Scene, victim } from "./support/scene.ts";
import { serverLocks } from "./support/server_locks.ts";

/** Starts the victim that holds what is special, and returns how to look at its report. */
async function holder(scene: Scene) {
  const { sandbox, server, mountpoint } = scene;
  const result = sandbox.at("result");
  Deno.writeTextFileSync(result, "");
  Deno.writeFileSync(`${server.directory}/plain`, patternBytes(4, 8192));
  const { pid } = sandbox.start(victim("holder"), [mountpoint, result]);
  const lines = () => Deno.readTextFileSync(result).split("\n");
  await until("the victim's set-up", () => lines().length > 1);
  assertEquals(lines(), ["set-up ok", ""]);
  return { pid, lines };
}

const locked = ["flocked 0-EOF", "owned 10-19", "ranged 10-19"];

for (const mount of ["vers=4.2,hard", "vers=4.1,hard", "vers=3,hard"]) {
  scenario(
    `${mount}: unlinked files, locks, FIFOs and offsets survive a restore`,
    { mount },
    async (scene) => {
      const { server, sandbox } = scene;
      await scene.mount();
      const { pid, lines } = await holder(scene);
      assertEquals(serverLocks(server.directory), locked);
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
      assertEquals(serverLocks(server.directory), locked);
      Deno.kill(pid, "SIGUSR1");
      await until("the end of the victim's report", () => lines().includes("end ok") || !isAlive(pid));
      assertEquals(lines().filter((line) => !line.endsWith(" ok")), [""], lines().join("\n"));
      Deno.kill(pid, "SIGUSR1");
      await until("the victim's end", () => !isAlive(pid));
      const names = () => [...Deno.readDirSync(server.directory)].map(({ name }) => name).sort();
      const expected = ["fifo", "flocked", "other-name", "owned", "plain", "ranged"];
      await until("the removal of what has no name", () => names().length === expected.length).catch(
        () => {},
      );
      assertEquals(names(), expected);
    },
  );
}

scenario(
  "root_squash: a process without privileges is restored and moved, though root may open none of its files",
  { rootSquash: true },
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
