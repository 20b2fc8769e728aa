/** A container of an engine whose volume is on a file system that is away when it is restored. */
import { assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { run } from "./support/child.ts";
import { type Engine, withVolume } from "./support/engine.ts";
import { Podman } from "./support/podman.ts";
import { Runc } from "./support/runc.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { Spfs } from "./support/spfs.ts";

for (const [name, type] of [["runc", Runc], ["podman", Podman]] as const) {
  await e2e(
    `a container of ${name} is restored while the file system of its volume is away, waits for that, and is swapped`,
    async (sandbox, binary) => {
      const { container, volume, remote, engine } = await withVolume<Engine>(type, sandbox);
      const { images } = engine;
      const before = await engine.start();
      await until("the holder's set-up", () => container.lines.length > 0);
      assertEquals(container.lines, ["set-up ok"]);
      const [command, ...args] = binary.command;
      await run(command, [...args, "record", "--pid", String(before), "--images", images]);
      await engine.checkpoint();
      await until("the end of what was dumped", () => !isAlive(before));
      await remote.unmount(volume);
      await remote.detach();

      const spfs = await Spfs.start(sandbox, binary);
      const { device } = await spfs.call("mount.create", {
        id: "net",
        mountpoint: volume,
        images: { directory: images, key: "/mnt/net" }, // the key of a mount is where it is in the container
      });
      await spfs.call("mount.replace", { mount: "net", ...remote.held });
      container.pid = await engine.restoreStopped();
      await spfs.call("restore.check", { init: container.pid });
      await spfs.call("restore.block", {});
      await spfs.call("restore.release", {});
      await engine.kill("CONT");
      container.go();
      await spfs.parked("net", 1);
      assertEquals(container.lines, ["set-up ok"], "the process went on without its volume");
      await remote.attach();
      const { swap } = await spfs.event("replace.done", ({ ok }) => ok);
      assertEquals([swap?.processes.map(({ pid }) => pid), swap?.left], [[container.pid], []]);
      await container.wentOn(device);
      await container.ends(["/mnt/net"]);
      assertEquals(mountsBelow(volume).map(({ fstype }) => fstype), ["ext4"]);
      assertEquals(Deno.readTextFileSync(`${volume}/file`), "headtailmore");
      spfs.closeInput();
      assertEquals((await spfs.ended()).code, 0);
      await engine.delete();
      await remote.unmount(volume);
      await remote.detach();
    },
    { criu: true, loop: true, programs: ["runc", "iptables", name] },
  );
}
