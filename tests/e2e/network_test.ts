/** What is mounted in another network namespace belongs to that: a container's file system is reached by the container's network. */
import { assertEquals, assertMatch } from "@std/assert";
import { e2e } from "./support/case.ts";
import { mountsBelow } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { Spfs } from "./support/spfs.ts";

/** A process with a network of its own, in which there is an interface. */
async function startInside(sandbox: Sandbox): Promise<number> {
  const make = "ip link add spfs-inside type bridge && echo made && exec cat";
  const inside = sandbox.start("unshare", ["--net", "sh", "-c", make]);
  assertEquals(await inside.line(), "made");
  return inside.pid;
}

// sysfs has the interfaces of the network namespace that it was mounted in, whoever looks.
for (const [helper, by] of [["never", "by the kernel alone"], ["always", "by a mount helper"]] as const) {
  await e2e(
    `the real file system is mounted in a network namespace that comes later, ${by}`,
    async (sandbox, binary) => {
      const mountpoint = sandbox.directory("mnt");
      const network = sandbox.at("network");
      const spfs = await Spfs.start(sandbox, binary);
      await spfs.call("mount.create", { id: "net", mountpoint, mode: "stub" });
      const retry = { initialMs: 20, maxMs: 50 };
      const order = { mount: "net", source: "none", type: "sysfs", network, helper, retry };
      await spfs.call("mount.replace", order);
      const reader = sandbox.start("ls", [`${mountpoint}/class/net`]);
      await spfs.parked("net", 1);
      const { error } = await spfs.event("mount.attempt");
      assertEquals(error?.errno, "ENOENT");
      assertMatch(error!.message, new RegExp(network));
      Deno.symlinkSync(`/proc/${await startInside(sandbox)}/ns/net`, network);
      await spfs.event("replace.done", ({ ok }) => ok);
      const seen = ["lo", "spfs-inside"];
      assertEquals((await reader.ended()).stdout.split("\n").filter((name) => seen.includes(name)), seen);
      assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["sysfs"]);
      assertEquals(
        [...Deno.readDirSync(`${mountpoint}/class/net`)].some(({ name }) => name === "eth0"),
        false,
      );
      spfs.closeInput();
      assertEquals((await spfs.ended()).code, 0);
    },
    { programs: ["ip", "unshare", "nsenter"] },
  );
}

await e2e(
  "the real file system is mounted in the network of the tree that is restored, whose processes nobody knows before",
  async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    const order = { mount: "net", source: "none", type: "sysfs", network: "tree" as const, hold: true };
    await spfs.call("mount.replace", order);
    await spfs.call("restore.check", { init: await startInside(sandbox) });
    await spfs.call("restore.block", {});
    await spfs.call("restore.release", {});
    await spfs.event("replace.done", ({ ok }) => ok);
    assertEquals([...Deno.readDirSync(`${mountpoint}/class/net`)].map(({ name }) => name).sort(), [
      "lo",
      "spfs-inside",
    ]);
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
  },
  { programs: ["ip", "unshare"] },
);
