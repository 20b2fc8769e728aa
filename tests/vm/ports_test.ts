/** The reserved ports, of which NFS's client takes one. */
import { assertEquals } from "@std/assert";
import { Holder, HOLDERS_PORT } from "./support/holder.ts";
import { binary, scenario } from "./support/scene.ts";

const range = ["/proc/sys/sunrpc/min_resvport", "/proc/sys/sunrpc/max_resvport"] as const;

scenario(
  "the reserved port that a process listens on is the only one that the client may take: both have it",
  {},
  async (scene) => {
    await scene.mount();
    const holder = await Holder.start(scene);
    const images = await scene.dump(holder.pid, ["--file-locks", "--link-remap"]);
    const standIn = await scene.standIn(images);
    const before = range.map((path) => Deno.readTextFileSync(path));
    try {
      for (const path of range) Deno.writeTextFileSync(path, String(HOLDERS_PORT));
      const pid = await images.restore(binary, standIn.spfs.socket, ["--file-locks"]);
      await scene.replaced(standIn, pid);
      assertEquals(await scene.server.clientPorts(), [HOLDERS_PORT]);
    } finally {
      range.toReversed().forEach((path, at) => Deno.writeTextFileSync(path, before.toReversed()[at]!));
    }
    await holder.end();
  },
);
