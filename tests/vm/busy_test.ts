/** A process that never stops writing: from before the dump to the end, every line is on the server once and in order. */
import { binary, scenario } from "./support/scene.ts";
import { Logger } from "./support/logger.ts";

for (const mount of ["vers=4.2,soft", "vers=4.1,hard", "vers=4.1,soft", "vers=3,hard", "vers=3,soft"]) {
  scenario(
    `${mount}: a process that appends throughout loses no line and doubles none`,
    { mount },
    async (scene) => {
      const { server } = scene;
      await scene.mount();
      const logger = await Logger.start(scene);
      const images = await scene.dump(logger.pid);
      await server.unplug();
      const standIn = await scene.standIn(images);
      const { spfs } = standIn;
      const pid = await images.restore(binary, spfs.socket);
      await spfs.parked("net", 1);
      await server.plug();
      await scene.replaced(standIn, pid);
      await logger.worked(50);
      await logger.end();
    },
  );
}
