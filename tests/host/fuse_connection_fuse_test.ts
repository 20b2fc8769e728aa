import { assert, assertEquals } from "@std/assert";
import { FuseConnection } from "../../host/fuse_connection.ts";
import { requires } from "../support/requirements.ts";
import { Place, TestDaemon } from "./support/daemon.ts";

Deno.test({
  name: "FUSE connection: once it is gone, the one that got its number is not aborted in its place",
  ...await requires({ fuse: true }),
  async fn() {
    await using place = await Place.make("mnt");
    const daemon = await TestDaemon.start(place);
    const { client } = daemon;
    const mountpoint = place.path("mnt");
    const create = async (id: string) => {
      const { device } = await client.call("mount.create", { id, mountpoint });
      return Number(device.split(":")[1]);
    };
    // Others mount, too: until one gets the number of its predecessor.
    let minor = await create("m0");
    for (let n = 1;; n++) {
      assert(n < 100, "no number is used again");
      using connection = FuseConnection.open(minor);
      assert(connection !== undefined);
      await client.call("mount.abort", { mount: `m${n - 1}` });
      const next = await create(`m${n}`);
      assertEquals(connection.abort(), false);
      const { mounts: [mount] } = await client.call("status", { mount: `m${n}` });
      assertEquals(mount?.mode, "restore");
      assertEquals((await place.run("touch", `${mountpoint}/file`)).code, 0, "the new mount is dead");
      if (next === minor) break;
      minor = next;
    }
    await client.call("quit", { force: true });
    assertEquals((await daemon.ended()).code, 0);
  },
});

Deno.test({
  name: "FUSE connection: aborted, it frees who waits, and there is none of a number that nobody has",
  ...await requires({ fuse: true }),
  async fn() {
    await using place = await Place.make("mnt");
    const daemon = await TestDaemon.start(place);
    const { client } = daemon;
    const { device } = await client.call("mount.create", {
      id: "m",
      mountpoint: place.path("mnt"),
      mode: "stub",
    });
    const reader = place.start(["cat", place.path("mnt/data")]);
    await daemon.event("request.parked", ({ count }) => count === 1);
    using connection = FuseConnection.open(Number(device.split(":")[1]));
    assertEquals(connection?.abort(), true);
    const { code, stderr } = await reader.ended;
    assertEquals([code, stderr.includes("Software caused connection abort")], [1, true], stderr);
    await daemon.event("mount.lost");
    assertEquals(await place.mounts(place.path("mnt")), []);
    assertEquals(connection?.abort(), false);
    assertEquals(FuseConnection.open(1_000_000), undefined);
    daemon.closeInput();
    assertEquals((await daemon.ended()).code, 0);
  },
});
