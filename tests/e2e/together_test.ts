/** Stand-ins of several mounts, made for one restore. */
import { assertEquals, assertRejects } from "@std/assert";
import type { ControlError } from "../../control/errors.ts";
import type { RestorePrepareParams } from "../../control/wire_restore.ts";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { mountsBelow, until, within } from "./support/proc.ts";
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
    images: images.directory,
    prepare: (more: Partial<RestorePrepareParams> = {}) =>
      within(
        "restore.prepare",
        spfs.call("restore.prepare", { images: images.directory, config: { mounts }, ...more }),
      ),
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

await e2e("together: one that lies on another by a symlink is refused at once", async (sandbox, binary) => {
  const { spfs, prepare } = await dumped(sandbox, binary, { "a": 1000, "a/b": 2000 });
  Deno.symlinkSync("a", sandbox.at("link"));
  const orders = ["/nowhere", sandbox.at("a/b")].flatMap((source) => { // by the same worker, and by its own
    const mounts = ["a", "link/b"].map((name) => (
      { mountpoint: sandbox.at(name), replace: { source: name === "a" ? "/nowhere" : source, type: "bind" } }
    ));
    return [mounts, mounts.toReversed()];
  });
  for (const order of orders) {
    const refused = await assertRejects(() => prepare({ config: { mounts: order } })) as ControlError;
    assertEquals([refused.kind, refused.data.errno], ["system", "EDEADLK"], refused.message);
    assertEquals(mountsBelow(sandbox.path), []);
  }
  await spfs.quit();
}, { criu: true });

await e2e("together: who does not wait for the nodes finds them all the same", async (sandbox, binary) => {
  const { paths, spfs, prepare } = await dumped(sandbox, binary, { one: 1000, two: 2000, "two/on": 3000 });
  const { mounts } = await prepare({ fillWithinMs: 30_000 });
  assertEquals(mounts.map(({ mountpoint }) => mountpoint), paths);
  assertEquals(await sizesOf(paths), [1000, 2000, 3000]);
  assertEquals((await spfs.call("restore.check", {})).mounts.length, 3);
  await spfs.quit();
  assertEquals(mountsBelow(sandbox.path), []);
}, { criu: true });

await e2e(
  "together: where nodes cannot be made all stand-ins end, and the check tells why",
  async (sandbox, binary) => {
    const { images, paths, spfs, prepare } = await dumped(sandbox, binary, { one: 1000, two: 2000 });
    Deno.truncateSync(`${images}/files.img`, 40);
    await prepare({ fillWithinMs: 30_000 });
    const refused = await assertRejects(() => spfs.call("restore.check", {})) as ControlError;
    assertEquals([refused.kind, refused.data.path], ["bad_images", `${images}/files.img`]);
    assertEquals(mountsBelow(sandbox.path), []);
    // What has ended by that is no obstacle to another try.
    assertEquals((await assertRejects(() => prepare()) as ControlError).kind, "bad_images");
    assertEquals(mountsBelow(sandbox.path), []);
    assertEquals(await sizesOf(paths), [1000, 2000]);
    await spfs.quit();
  },
  { criu: true },
);

await e2e("together: images that take longer than they may end the stand-ins", async (sandbox, binary) => {
  const { spfs, prepare } = await dumped(sandbox, binary, { one: 1000, two: 2000 });
  await prepare({ fillWithinMs: 1 }); // reading them takes longer
  const refused = await assertRejects(() => spfs.call("restore.check", {})) as ControlError;
  assertEquals([refused.kind, refused.data.errno], ["system", "ETIMEDOUT"]);
  assertEquals(mountsBelow(sandbox.path), []);
  await spfs.quit();
}, { criu: true });

await e2e(
  "together: what different users make on different stand-ins is their own",
  async (sandbox, binary) => {
    const { paths, spfs, images } = await dumped(sandbox, binary, { one: 1000, two: 2000 });
    const mounts = paths.map((mountpoint) => ({ mountpoint, replace: { source: "/nowhere", type: "bind" } }));
    const config = { mounts, create: { root: { mode: "0777" } } };
    await spfs.call("restore.prepare", { images, config });
    const users = [1000, 1001, 1000, 1002, 1001, 1000];
    const owners: number[] = [];
    for (const [n, user] of users.entries()) {
      const file = `${paths[n % 2]}/of-${n}`;
      const made = await run("timeout", [
        ...["20", "setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"],
        ...["sh", "-c", `: > ${file} && stat -c %u ${file}`],
      ]);
      owners.push(Number(made));
    }
    assertEquals(owners, users);
    await spfs.quit();
  },
  { criu: true },
);

await e2e(
  "together: one whose real file system is on another one waits for that one's",
  async (sandbox, binary) => {
    const { paths: [one, two], spfs, images } = await dumped(sandbox, binary, { one: 1000, two: 2000 });
    const real = sandbox.directory("real");
    Deno.mkdirSync(`${real}/sub`);
    for (const path of [`${real}/file`, `${real}/sub/file`]) Deno.writeTextFileSync(path, path);
    const retry = { initialMs: 10, maxMs: 20 };
    const mounts = [
      { id: "one", mountpoint: one!, replace: { source: real, type: "bind", retry } },
      { id: "two", mountpoint: two!, replace: { source: `${one}/sub`, type: "bind", retry } },
    ];
    await spfs.call("restore.prepare", { images, config: { mounts } });
    await spfs.call("restore.check", {});
    await spfs.call("restore.block", { serveWithinMs: 0 });
    await spfs.call("restore.release", {});
    await until(
      "the real file systems",
      () => mountsBelow(sandbox.path).every(({ fstype }) => fstype !== "fuse.spfs"),
    );
    assertEquals(Deno.readTextFileSync(`${two}/file`), `${real}/sub/file`);
    await spfs.quit();
  },
  { criu: true },
);
