/** A container with a network of its own: what spfs does for it comes from inside. */
import { assert } from "@std/assert";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";

scenario(
  "a network namespace: the file system is mounted from inside, where alone its server can be reached",
  {
    inside: true,
  },
  async (scene) => {
    await scene.mount();
    const logger = await Logger.start(scene);
    const images = await scene.dump(logger.pid);
    const before = logger.rounds;
    await scene.server.unplug();
    const standIn = await scene.standIn(images);
    const pid = await images.restore(binary, standIn.spfs.socket);
    await standIn.spfs.parked("net", 1);
    logger.assertWaits(before);
    await scene.server.plug();
    await scene.replaced(standIn, pid);
    await logger.worked();
    assert(
      Deno.readLinkSync(`/proc/${pid}/ns/net`) !== Deno.readLinkSync("/proc/self/ns/net"),
      "it is not inside",
    );
    await logger.end();
  },
);
