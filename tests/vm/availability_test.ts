/** A process on NFS is restored whether its server is there or not. */
import { assert, assertEquals } from "@std/assert";
import { Images } from "../e2e/support/criu.ts";
import { isAlive, mountsBelow, processState, until } from "../e2e/support/proc.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";

/** How long a server stays away while somebody waits for it. */
const AWAY_MS = 10_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

scenario("server up at restore: the process goes on, on NFS again, and spfs ends", {}, async (scene) => {
  await scene.mount();
  const logger = await Logger.start(scene);
  const images = await scene.dump(logger.pid);
  const standIn = await scene.standIn(images);
  const pid = await images.restore(binary, standIn.spfs.socket);
  await scene.replaced(standIn, pid);
  await logger.worked();
  await logger.end();
});

scenario(
  "server down at restore: CRIU alone hangs; by spfs the process is restored, waits, and goes on when the server is back",
  {},
  async (scene) => {
    const { server, sandbox, mountpoint } = scene;
    await scene.mount();
    const logger = await Logger.start(scene);
    const images = await Images.dump(sandbox, logger.pid);
    const before = logger.rounds;
    await server.stop();

    const criu = sandbox.start("criu", ["restore", "--images-dir", images.directory, "--restore-detached"]);
    await until("CRIU's process", () => processState(logger.pid) === "D");
    await pause(AWAY_MS);
    assert(!criu.over, "CRIU ended");
    assertEquals(processState(logger.pid), "D");
    criu.kill("SIGKILL");
    Deno.kill(logger.pid, "SIGKILL");
    await criu.status;
    await until("the end of what hung", () => !isAlive(logger.pid));
    await server.restart();
    await scene.unmount();
    await server.stop();

    const standIn = await scene.standIn(images);
    const { spfs } = standIn;
    const pid = await images.restore(binary, spfs.socket);
    await spfs.parked("net", 1);
    await pause(AWAY_MS);
    // Of a mount that does not answer at once, as on a busy machine, nothing is told.
    const waiting = await until("the list of who waits", async () => {
      const { mounts: [status] } = await spfs.call("status", { mount: "net", requests: 10 });
      return status?.requests?.length !== 0 && status?.requests;
    });
    assertEquals(waiting.map((request) => request.pid), [pid]);
    logger.assertWaits(before);
    assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["fuse.spfs"]);
    await server.restart();
    await scene.replaced(standIn, pid);
    await logger.worked();
    await logger.end();
  },
);

for (const mount of ["vers=4.2,hard", "vers=3,soft"]) {
  scenario(
    `${mount}: server down for the whole deadline: then the process gets the chosen error, and nothing of spfs is left`,
    { mount },
    async (scene) => {
      const { server, mountpoint } = scene;
      await scene.mount();
      const logger = await Logger.start(scene);
      const images = await scene.dump(logger.pid);
      const before = logger.rounds;
      await server.stop();
      const standIn = await scene.standIn(images, { retry: { deadlineMs: AWAY_MS } });
      const { spfs } = standIn;
      await images.restore(binary, spfs.socket);
      assertEquals((await scene.failed(standIn)).mode, "stub");
      logger.assertWaits(before);
      await spfs.call("mount.abort", { mount: "net", errno: "ESTALE" });
      const [first] = await until(
        "the process's complaint",
        () => logger.complaints().length > 0 && logger.complaints(),
        5000,
      );
      assert(first?.endsWith("errno=ESTALE"), first);
      assertEquals(mountsBelow(mountpoint), []);
      spfs.closeInput();
      assertEquals((await spfs.ended()).code, 0);
      await logger.broken();
      // It may have been dumped between its last line and the word of that.
      assert(
        [before, before + 1].includes(logger.written()),
        "lines are lost, or were written without the server",
      );
    },
  );
}
