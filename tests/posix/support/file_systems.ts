/**
 * The file systems that the case map is run on, small ones of their own in a sandbox.
 *
 * @module
 */
import { run } from "../../e2e/support/child.ts";
import type { Sandbox } from "../../e2e/support/sandbox.ts";
import { StubMount } from "../../support/fuse/stub_mount.ts";

/** Makes and mounts one; returns where. */
type Make = (sandbox: Sandbox) => Promise<string>;

async function onLoop(sandbox: Sandbox, name: string, megabytes: number, mkfs: string[]): Promise<string> {
  const image = sandbox.at(`${name}.img`);
  await run("truncate", ["-s", `${megabytes}M`, image]);
  await run(mkfs[0]!, [...mkfs.slice(1), image]);
  const at = sandbox.directory(name);
  await run("mount", [await sandbox.attachLoop(image), at]);
  return at;
}

const ext4: Make = (sandbox) => onLoop(sandbox, "ext4", 64, ["mkfs.ext4", "-q", "-F"]);

/** Cases that are left out on a file system. */
export const leftOut: Readonly<Record<string, readonly string[]>> = {
  // The first server remembers a task's capabilities for half a second, and sees one thread of the second one act for tasks with these and
  // with those.
  fuse: ["capabilities"],
};

/** By name. */
export const fileSystems: Readonly<Record<string, Make>> = {
  ext4,
  xfs: (sandbox) => onLoop(sandbox, "xfs", 320, ["mkfs.xfs", "-q", "-f"]), // mkfs refuses less than 300 MB
  tmpfs: async (sandbox) => {
    const at = sandbox.directory("tmpfs");
    await run("mount", ["-t", "tmpfs", "-o", "size=64M", "tmpfs", at]);
    return at;
  },
  // One that may not answer: its calls are made by other threads.
  fuse: async (sandbox) => {
    const mount = await StubMount.start({ attrTimeoutMs: 0 });
    sandbox.defer(() => mount[Symbol.asyncDispose]());
    await mount.proxy(await ext4(sandbox));
    return mount.mountpoint;
  },
  overlay: async (sandbox) => {
    const upper = await ext4(sandbox);
    await run("mkdir", [`${upper}/upper`, `${upper}/work`]);
    const at = sandbox.directory("overlay");
    const options = `lowerdir=${sandbox.directory("lower")},upperdir=${upper}/upper,workdir=${upper}/work`;
    await run("mount", ["-t", "overlay", "-o", options, "overlay", at]);
    return at;
  },
};
