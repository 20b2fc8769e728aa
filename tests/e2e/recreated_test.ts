/** What CRIU writes or links on the file system that it restores onto is there when the real one has come. */
import { assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { recordTree } from "./support/placeholder.ts";
import { isAlive, until } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import { Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

await e2e(
  "unlinked files, other names, FIFOs and locks survive a restore",
  async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const result = sandbox.at("result");
    Deno.writeFileSync(result, new Uint8Array());
    const remote = await Remote.make(sandbox);
    await remote.attach();
    await remote.mount(mountpoint);
    Deno.writeFileSync(`${mountpoint}/plain`, patternBytes(4, 8192));
    const lines = () => Deno.readTextFileSync(result).split("\n");
    const keeper = sandbox.start(victim("keeper"), [mountpoint, result]);
    await until("the victim's set-up", () => lines().length > 1);
    assertEquals(lines(), ["set-up ok", ""]);
    const images = await Images.dump(sandbox, keeper.pid, ["--file-locks", "--link-remap"]);
    const entries = recordTree(mountpoint);
    await remote.unmount(mountpoint);
    await remote.detach();

    const spfs = await Spfs.start(sandbox, binary);
    await spfs.call("mount.create", { id: "net", mountpoint });
    await spfs.call("file.create", { mount: "net", entries });
    const pid = await images.restore(binary, spfs.socket, [
      "--file-locks",
    ]);
    Deno.kill(pid, "SIGUSR1");
    await spfs.parked("net", 1);
    await remote.attach();
    await spfs.call("mount.replace", { mount: "net", source: remote.source, type: "ext4", wait: true });
    await until("the end of the victim's report", () => lines().includes("end ok") || !isAlive(pid));
    assertEquals(
      lines().filter((line) => !line.endsWith(" ok")),
      [""],
      lines().join("\n"),
    );
    await until("the victim's end", () => !isAlive(pid));
    // The name that CRIU made for the unlinked one at the dump is gone: what CRIU removed of the placeholder was removed here, too.
    assertEquals([...Deno.readDirSync(mountpoint)].map(({ name }) => name).sort(), [
      "fifo",
      "locked",
      "lost+found",
      "other-name",
      "plain",
      "socket",
    ]);
    await remote.unmount(mountpoint);
    await remote.detach();
  },
  { criu: true, loop: true },
);
