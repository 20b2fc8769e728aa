/** A tree with mount and pid namespaces of its own, whose external mount is a stand-in that is populated from the images alone. */
import { assertEquals } from "@std/assert";
import { readSide } from "../../host/side_file.ts";
import { e2e } from "./support/case.ts";
import { run } from "./support/child.ts";
import { Images } from "./support/criu.ts";
import { fillForOpener, opener } from "./support/opener.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { references } from "./support/references.ts";
import { Remote } from "./support/remote.ts";
import { Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

await e2e(
  "an external mount of a container is found by its key, restored from the images alone, and swapped inside",
  async (sandbox, binary) => {
    const rootfs = sandbox.directory("rootfs");
    for (const name of ["proc", "dev", "mnt", "mnt/net"]) Deno.mkdirSync(`${rootfs}/${name}`);
    await run("mknod", [`${rootfs}/dev/null`, "c", "1", "3"]);
    Deno.copyFileSync(opener(), `${rootfs}/opener`);
    const result = `${rootfs}/result`;
    Deno.writeFileSync(result, new Uint8Array());
    const lines = () => Deno.readTextFileSync(result).split("\n");
    const remote = await Remote.make(sandbox);
    await remote.attach();
    const net = `${rootfs}/mnt/net`;
    await remote.mount(net);
    fillForOpener(net);

    const jail = sandbox.start(victim("jail"), [rootfs, "/opener", "/mnt/net", "/result"]);
    const init = Number(await jail.line());
    sandbox.adopt(init);
    await until("the victim's set-up", () => lines().length > 1);
    assertEquals(lines(), ["set-up ok", ""]);
    const external = ["--root", rootfs, "--external", "mnt[/mnt/net]:net1"];
    const images = await Images.dump(sandbox, init, external, binary);
    await jail.ended();
    sandbox.disown(init);
    await remote.unmount(net);
    await remote.detach();
    const [namespace, ...others] = readSide(images.directory)!.namespaces;
    assertEquals([namespace?.own, others], [false, []]);

    const stub = sandbox.directory("stub");
    const check = async () => {
      const [command, ...args] = binary.command;
      const given = ["--images", images.directory, "--root", rootfs, "--external", `net1=${stub}`, "--json"];
      const { ready, mounts } = JSON.parse(await run(command, [...args, "check", ...given]));
      return [
        ready,
        ...mounts.map((mount: Record<string, string>) => [mount["path"], mount["state"], mount["plan"]]),
      ];
    };
    assertEquals(await check(), [true, [rootfs, "there", "nothing"], [stub, "away", "stand in"]]);

    const spfs = await Spfs.start(sandbox, binary);
    const made = await spfs.call("mount.create", {
      id: "net",
      mountpoint: stub,
      images: { directory: images.directory, key: "net1" },
    });
    assertEquals(made.images, { nodes: 9, noted: true });
    assertEquals(await check(), [true, [rootfs, "there", "nothing"], [stub, "stand-in", "nothing"]]);
    assertEquals([Deno.statSync(`${stub}/deep`).uid, Deno.statSync(`${stub}/long`).size], [12, 5 * 2 ** 30]);
    await spfs.call("mount.replace", { mount: "net", ...remote.held });
    const options = ["--root", rootfs, "--external", `mnt[net1]:${stub}`];
    await run("mount", ["--bind", rootfs, rootfs]); // CRIU makes a root of what is a mount
    const pid = await images.restoreContainer(binary, spfs.socket, options);
    Deno.kill(pid, "SIGUSR1");
    await spfs.parked("net", 1);
    assertEquals(lines(), ["set-up ok", ""], "the process went on without its file system");
    await remote.attach();
    const { swap } = await spfs.event("replace.done", ({ ok }) => ok);
    await until("the victim's first word", () => lines().includes("first ok"));
    assertEquals(swap?.processes.map((process) => process.pid), [pid]);
    assertEquals(references(pid, { id: Number(made.mountId), device: made.device }), []);
    Deno.kill(pid, "SIGUSR1");
    await until("the end of the victim's report", () => lines().includes("end ok") || !isAlive(pid));
    assertEquals(lines().filter((line) => !line.endsWith(" ok")), [""], lines().join("\n"));
    await until("the victim's end", () => !isAlive(pid));
    assertEquals(mountsBelow(stub).map(({ fstype }) => fstype), ["ext4"]);
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
    await remote.unmount(stub);
    await remote.detach();
  },
  { criu: true, loop: true },
);
