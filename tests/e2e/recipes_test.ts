/** The recipes of docs/criu.md do what they say. */
import { assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { Container } from "./support/container.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { Recipe } from "./support/recipe.ts";
import { Remote } from "./support/remote.ts";
import { withVolume } from "./support/engine.ts";
import { Runc } from "./support/runc.ts";

await e2e(
  "the recipe for a container without an engine, as it stands in docs/criu.md",
  async (sandbox, binary) => {
    const container = await Container.make(sandbox, ["mnt/net"]);
    const remote = await Remote.make(sandbox);
    await remote.attach();
    await remote.mount(container.at("/mnt/net"));
    container.fill(container.at("/mnt/net"));
    const { pid, ended } = await container.start(["/mnt/net"]);
    const stub = sandbox.at("stub");
    const pidFile = sandbox.at("pid");
    const recipe = await Recipe.read(
      sandbox,
      binary,
      "A container without an engine",
      {
        "/run/stub/net": stub,
        "server:/export": remote.source,
        nfs4: "ext4",
        "criu restore": `criu restore --pidfile ${pidFile}`,
      },
      { PID: String(pid), ROOTFS: container.rootfs },
    );
    await recipe.runNext();
    await ended();
    await remote.unmount(container.at("/mnt/net"));
    await remote.detach();

    await recipe.runNext();
    container.pid = Number(Deno.readTextFileSync(pidFile));
    sandbox.adopt(container.pid);
    container.go();
    await remote.attach();
    await until("the real file system", () => mountsBelow(stub).every(({ fstype }) => fstype === "ext4"));
    await container.ends(["/mnt/net"]);
    assertEquals(Deno.readTextFileSync(`${stub}/file`), "headtailmore");
    await recipe.ends();
    await remote.unmount(stub);
    await remote.detach();
  },
  { criu: true, loop: true },
);

await e2e("the recipe for runc, as it stands in docs/criu.md", async (sandbox, binary) => {
  const { container, volume, remote, engine: runc } = await withVolume(Runc, sandbox);
  const names = {
    "/etc/criu/box.conf": runc.criuOptions,
    box: runc.id,
    "/srv/volume": volume,
    "server:/export": remote.source,
    nfs4: "ext4",
  };
  const recipe = await Recipe.read(sandbox, binary, "runc", names, {}, { runc: runc.command });
  await recipe.runNext();
  await until("the holder's set-up", () => container.lines.length > 0);
  assertEquals(container.lines, ["set-up ok"]);
  const before = await runc.pid();
  await recipe.runNext();
  await until("the end of what was dumped", () => !isAlive(before));
  await remote.unmount(volume);
  await remote.detach();

  await recipe.runNext();
  container.pid = await runc.pid();
  container.go();
  await remote.attach();
  await until("the real file system", () => mountsBelow(volume).every(({ fstype }) => fstype === "ext4"));
  await container.ends(["/mnt/net"]);
  assertEquals(Deno.readTextFileSync(`${volume}/file`), "headtailmore");
  await recipe.ends();
  await runc.delete();
  await remote.unmount(volume);
  await remote.detach();
}, { criu: true, loop: true, programs: ["runc", "iptables", "jq"] });
