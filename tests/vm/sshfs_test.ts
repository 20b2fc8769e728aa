/** Another network file system, which is FUSE's itself. */
import { assertEquals } from "@std/assert";
import { type Child, run } from "../e2e/support/child.ts";
import { Images } from "../e2e/support/criu.ts";
import { isAlive, mountsBelow, until } from "../e2e/support/proc.ts";
import { references } from "../e2e/support/references.ts";
import { Logger } from "./support/logger.ts";
import { binary, scenario } from "./support/scene.ts";

scenario(
  "sshfs: a process is restored while the server is down, waits, and is moved when it is back",
  {},
  async (scene) => {
    const { sandbox, server, mountpoint } = scene;
    // The kernel's server has nothing to do here; its directory is what this one serves.
    const source = `127.0.0.1:${server.directory}`;
    const options = "directport=2222,allow_other";
    let sftp: Child;
    const up = async () => {
      const listen = "TCP-LISTEN:2222,bind=127.0.0.1,reuseaddr,fork";
      sftp = sandbox.start("socat", [listen, "EXEC:/usr/lib/openssh/sftp-server"]);
      await until(
        "the server",
        () => / 0100007F:08AE 00000000:0000 0A /.test(Deno.readTextFileSync("/proc/net/tcp")),
      );
    };
    await up();
    await run("sshfs", [source, mountpoint, "-o", options]);
    const logger = await Logger.start(scene);
    const images = await Images.dump(sandbox, logger.pid);
    const before = logger.rounds;
    await run("umount", [mountpoint]);
    sftp!.kill("SIGTERM");
    await sftp!.status;

    const order = { source, type: "fuse.sshfs", options, retry: { initialMs: 200, maxMs: 500 } };
    const { spfs, stub } = await scene.standIn(images, order);
    const pid = await images.restore(binary, spfs.socket);
    await spfs.parked("net", 1);
    await spfs.event("mount.attempt", ({ error }) => error !== undefined);
    logger.assertWaits(before);
    await up();
    const { swap } = await spfs.event("replace.done", ({ ok }) => ok);
    assertEquals([swap?.processes.map((process) => process.pid), swap?.left], [[pid], []]);
    assertEquals(references(pid, stub), [], "it refers to the stand-in");
    assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["fuse.sshfs"]);
    await logger.worked();
    await logger.end();
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
    await run("umount", [mountpoint]);
    assertEquals(isAlive(pid), false);
  },
);
