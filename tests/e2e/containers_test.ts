/** Containers without an engine: what a process holds on mounts of its own mount namespace is restored on stand-ins and moved there. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { e2e } from "./support/case.ts";
import { run } from "./support/child.ts";
import { Container } from "./support/container.ts";
import { mountsBelow, mountsIn } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";

const parts = ["one", "two"] as const;
const external = parts.flatMap((name) => ["--external", `mnt[/mnt/${name}]:${name}`]);

/** Two file systems, and a bind mount of a directory of the first one. */
async function twoAndABind(sandbox: Sandbox, binary: Binary, users: boolean): Promise<void> {
  const container = await Container.make(sandbox, ["mnt/one", "mnt/two", "mnt/part"], { users });
  const remotes: Remote[] = [];
  for (const name of parts) {
    const remote = await Remote.make(sandbox, name);
    remotes.push(remote);
    await remote.attach();
    await remote.mount(container.at(`/mnt/${name}`));
    container.fill(container.at(`/mnt/${name}`));
  }
  Deno.mkdirSync(container.at("/mnt/one/part"));
  container.fill(container.at("/mnt/one/part"));
  await run("mount", ["--bind", container.at("/mnt/one/part"), container.at("/mnt/part")]);
  const directories = ["/mnt/one", "/mnt/two", "/mnt/part"];
  const images = await container.dump(directories, external, binary);
  for (const directory of ["/mnt/part", "/mnt/two", "/mnt/one"]) {
    await run("umount", [container.at(directory)]);
  }
  for (const remote of remotes) await remote.detach();

  const spfs = await Spfs.start(sandbox, binary);
  const stubs = [];
  for (const [at, name] of parts.entries()) {
    const stub = sandbox.directory(`stub-${name}`);
    const { device } = await spfs.call("mount.create", {
      id: name,
      mountpoint: stub,
      images: { directory: images.directory, key: name },
    });
    await spfs.call("mount.replace", {
      mount: name,
      source: remotes[at]!.source,
      type: "ext4",
      swap: "require",
      hold: true,
      retry: { initialMs: 20, maxMs: 50 },
    });
    stubs.push({ name, path: stub, device });
  }
  const given = stubs.flatMap(({ name, path }) => ["--external", `mnt[${name}]:${path}`]);
  await container.restore(images, binary, spfs.socket, given);
  container.go();
  await spfs.parked("one", 1);
  assertEquals(container.lines, ["set-up ok"], "the process went on without its file systems");
  for (const remote of remotes) await remote.attach();
  for (const { name } of stubs) {
    const { swap } = await spfs.event("replace.done", ({ ok, mount }) => ok && mount === name);
    assertEquals([swap?.processes.map(({ pid }) => pid), swap?.left], [[container.pid], []], name);
  }
  for (const { device } of stubs) await container.wentOn(device);
  spfs.closeInput();
  assertEquals((await spfs.ended()).code, 0);
  await container.ends(directories);
  for (const { path } of stubs) {
    assertEquals(mountsBelow(path).map(({ fstype }) => fstype), ["ext4"]);
    assertEquals(Deno.readTextFileSync(`${path}/file`), "headtailmore");
    await run("umount", [path]);
  }
  for (const remote of remotes) await remote.detach();
}

await e2e(
  "two file systems of a container, and a bind mount of a part of one of them in it, are waited for and swapped",
  (sandbox, binary) => twoAndABind(sandbox, binary, false),
  { criu: true, loop: true },
);

await e2e(
  "the same in a container with a user namespace",
  (sandbox, binary) => twoAndABind(sandbox, binary, true),
  { criu: true, loop: true },
);

await e2e(
  "the root of a container, which may not change its root, is waited for and swapped with what is mounted on it, or left as it is",
  async (sandbox, binary) => {
    const remote = await Remote.make(sandbox);
    await remote.attach();
    const container = await Container.make(sandbox, ["work"], { root: remote });
    container.fill(container.at("/work"));
    const images = await container.dump(["/work"], ["--external", "mnt[/out]:out"], binary);
    await run("umount", [container.at("/out")]);
    Deno.removeSync(container.at("/out"));
    await run("umount", ["--recursive", container.rootfs]);
    await remote.detach();

    const spfs = await Spfs.start(sandbox, binary);
    const { device } = await spfs.call("mount.create", {
      id: "root",
      mountpoint: container.rootfs,
      images: { directory: images.directory, mountpoint: "/" },
    });
    await spfs.call("mount.replace", {
      mount: "root",
      source: remote.source,
      type: "ext4",
      swap: "require",
      hold: true,
      retry: { initialMs: 20, maxMs: 50 },
    });
    await container.restore(images, binary, spfs.socket, ["--external", `mnt[out]:${sandbox.at("out")}`]);
    container.go();
    await spfs.parked("root", 1);
    await remote.attach();
    await spfs.event("replace.progress", ({ step }) => step === "failed");
    const refused = await assertRejects(() => spfs.call("mount.retry", { mount: "root", wait: true }));
    assertMatch((refused as Error).message, /cannot be replaced at \/ .*ENOENT/);
    assertEquals(mountsIn(container.pid), ["/", "/out", "/proc"]);
    const elsewhere = sandbox.directory("elsewhere");
    await remote.mount(elsewhere);
    Deno.mkdirSync(`${elsewhere}/out`);
    await remote.unmount(elsewhere);
    await spfs.call("mount.retry", { mount: "root", wait: true });
    const { swap } = await spfs.event("replace.done", ({ ok }) => ok);
    assertEquals([swap?.processes.map(({ pid }) => pid), swap?.left], [[container.pid], []]);
    await container.wentOn(device);
    assertEquals(mountsIn(container.pid), ["/", "/out", "/proc"]);
    await container.ends(["/work"]);
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
    assertEquals(Deno.readTextFileSync(container.at("/work/file")), "headtailmore");
    await remote.unmount(container.rootfs);
    await remote.detach();
  },
  { criu: true, loop: true },
);
