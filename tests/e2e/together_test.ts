/** Stand-ins of several mounts, made for one restore. */
import { assertEquals } from "@std/assert";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { mountsBelow, until } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";

/** A process that has a file of some size open in each of some directories, as images; and a daemon that is to stand in for those. */
async function dumped(sandbox: Sandbox, binary: Binary, sizes: Record<string, number>) {
  const paths = Object.keys(sizes).map((name) => sandbox.directory(name));
  const holding = paths.map((path, n) => {
    Deno.writeFileSync(`${path}/file`, patternBytes(n, Object.values(sizes)[n]!));
    return `exec ${n + 5}<${path}/file`;
  });
  const ready = sandbox.at("ready");
  const script = `${holding.join("; ")}; echo > ${ready}; read -r forever <> ${sandbox.at("fifo")}`;
  await run("mkfifo", [sandbox.at("fifo")]);
  const process = sandbox.start("setsid", ["bash", "-c", script]);
  await until("the process", () => exists(ready));
  const images = await Images.dump(sandbox, process.pid);
  const spfs = await Spfs.start(sandbox, binary);
  const mounts = paths.map((mountpoint) => ({ mountpoint, replace: { source: "/nowhere", type: "bind" } }));
  return {
    paths,
    spfs,
    prepare: () => spfs.call("restore.prepare", { images: images.directory, config: { mounts } }),
  };
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The sizes of the files, by a process that may wait. */
async function sizesOf(paths: readonly string[]): Promise<number[]> {
  const told = await run("timeout", ["20", "stat", "-c", "%s", ...paths.map((path) => `${path}/file`)]);
  return told.trim().split("\n").map(Number);
}

await e2e("together: each of the stand-ins has the files of its own mount", async (sandbox, binary) => {
  const { paths, spfs, prepare } = await dumped(sandbox, binary, {
    one: 1000,
    two: 2000,
    three: 3000,
    four: 4000,
  });
  await prepare();
  assertEquals(await sizesOf(paths), [1000, 2000, 3000, 4000]);
  const { mounts } = await spfs.call("restore.check", {});
  assertEquals(mounts.map(({ mode }) => mode), ["restore", "restore", "restore", "restore"]);
  await spfs.quit();
  assertEquals(mountsBelow(sandbox.path), []);
}, { criu: true });

await e2e("together: one that lies on another is made when that answers", async (sandbox, binary) => {
  const { paths, spfs, prepare } = await dumped(sandbox, binary, {
    "a": 1000,
    "b": 2000,
    "b/c": 3000,
    "a/d": 4000,
  });
  await prepare();
  assertEquals(await sizesOf(paths), [1000, 2000, 3000, 4000]);
  await spfs.quit();
  assertEquals(mountsBelow(sandbox.path), []);
}, { criu: true });
