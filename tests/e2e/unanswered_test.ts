/** The executable serves a real file system that stops answering. */
import { assert, assertEquals } from "@std/assert";
import { requires } from "../support/requirements.ts";
import { file, StubMount } from "../support/fuse/stub_mount.ts";
import { within } from "./support/proc.ts";
import { Sandbox } from "./support/sandbox.ts";
import { compiled, Spfs } from "./support/spfs.ts";

Deno.test({
  name: "unanswered: a process waits for a server on the stub; control goes on, and the mount can be ended",
  ...await requires({ fuse: true }),
  async fn() {
    await using server = await StubMount.start({ interrupts: "fatal" });
    await server.populate(file("first", 10), file("second", 10));
    await using sandbox = new Sandbox();
    const mountpoint = sandbox.directory("mnt");
    const spfs = await Spfs.start(sandbox, compiled);
    await spfs.call("mount.create", { id: "m", mountpoint, attrTimeoutMs: 0 });
    const script = 'cd "$0" && echo ready && while read -r line; do wc -c < "$line" || echo failed; done';
    const shell = sandbox.start("sh", ["-c", script, mountpoint]);
    assertEquals(await shell.line(), "ready");
    const source = server.mountpoint;
    await spfs.call("mount.replace", { mount: "m", source, type: "bind", swap: "none", wait: true });
    assertEquals(await shell.ask("first"), "10");
    await server.stub();
    await shell.send("second");
    await server.parked(1);
    const { mounts } = await within("status", spfs.call("status", { mount: "m" }), 1000);
    assertEquals([mounts[0]!.mode, mounts[0]!.parked.count], ["proxy", 0]);
    assert(mounts[0]!.nodes > 1, "its worker answered");
    await within("the end", spfs.call("mount.abort", { mount: "m", errno: "EIO" }), 3000);
    assertEquals(await shell.line(), "failed");
    await spfs.quit();
    await server.restore();
  },
});
