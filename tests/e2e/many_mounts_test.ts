/** Many mounts of one daemon. */
import { assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { mountsBelow } from "./support/proc.ts";
import { Spfs } from "./support/spfs.ts";

const MOUNTS = 200;

await e2e(`${MOUNTS} mounts at once, each with its own files`, async (sandbox, binary) => {
  const spfs = await Spfs.start(sandbox, binary);
  const ids = Array.from({ length: MOUNTS }, (_, n) => `m${n}`);
  for (const id of ids) sandbox.directory(`mounts/${id}`);
  await Promise.all(ids.map(async (id) => {
    await spfs.call("mount.create", { id, mountpoint: sandbox.at(`mounts/${id}`) });
    const data = { b64: btoa(`of ${id}\n`) };
    await spfs.call("file.create", { mount: id, entries: [{ path: "file", type: "file", data }] });
  }));
  assertEquals(mountsBelow(sandbox.path).length, MOUNTS);
  const cat = sandbox.start("sh", ["-c", 'cat "$0"/*/file', sandbox.at("mounts")]);
  const { stdout, stderr } = await cat.ended();
  assertEquals(stdout.trimEnd().split("\n").sort(), ids.map((id) => `of ${id}`).sort(), stderr);
  const { mounts } = await spfs.call("mount.setMode", { mount: "all", mode: "stub" });
  assertEquals(mounts.length, MOUNTS);
  assertEquals((await spfs.quit()).code, 0);
  assertEquals(mountsBelow(sandbox.path), []);
});
