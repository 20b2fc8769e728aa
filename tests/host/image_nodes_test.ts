import { assert, assertEquals, assertThrows } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { FileStat, SideFile } from "../../criu/mod.ts";
import { readImageNodes } from "../../host/image_nodes.ts";
import { writeSide } from "../../host/side_file.ts";
import { imagesOf, named, type Tree } from "../criu/support/made_images.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (path: Uint8Array) => new TextDecoder().decode(path);

/** Reads the nodes of /mnt of a tree, from files. */
function nodesOf(tree: Tree, noted?: readonly SideFile[], run?: string) {
  const directory = Deno.makeTempDirSync({ prefix: "spfs-images-" });
  try {
    for (const [name, content] of imagesOf(tree)) Deno.writeFileSync(`${directory}/${name}`, content);
    if (noted !== undefined) {
      writeSide(directory, { run, namespaces: [{ own: true, mounts: [], files: noted }] });
    }
    const nodesOf = readImageNodes(bytes(directory));
    const read = nodesOf({ images: { directory: bytes(directory) }, mountpoint: bytes("/mnt") });
    const entries = read.entries.map(({ path, ...rest }) => ({ path: text(path), ...rest }));
    return { ...read, entries };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function noted(path: string, more: Partial<FileStat>): SideFile {
  const mtime = { sec: 5n, nsec: 6 };
  return {
    path: bytes(path),
    mountId: 1,
    stat: { type: "file", mode: 0o600, uid: 12, gid: 34, size: 77n, mtime, ...more },
  };
}

const tree: Tree = {
  files: [
    named(1, "/mnt", { mode: 0o041777 }),
    named(2, "/mnt/a/data", { mode: 0o100640, size: 10n }),
    named(3, "/mnt/a/link", { mode: 0o120777 }),
    named(4, "/mnt/log", { mode: 0o100600, flags: 0o2001 }),
  ],
};

Deno.test("image nodes: without a side file owners are root's, and what CRIU does not compare is made up", () => {
  const { root, entries, noted } = nodesOf(tree);
  assertEquals([root, noted], [{ mode: 0o1777, uid: 0, gid: 0 }, false]);
  const owner = { uid: 0, gid: 0 };
  assertEquals(entries as unknown, [
    { path: "a", type: "directory", ...owner, mode: 0o755 },
    { path: "a/data", type: "file", ...owner, mode: 0o640, size: 10n },
    { path: "a/link", type: "symlink", ...owner, target: bytes("?") },
    { path: "log", type: "file", ...owner, mode: 0o600, size: 0n },
  ]);
});

Deno.test("image nodes: with a side file owners, times, links and sizes that CRIU does not compare are as they were", () => {
  const { root, entries, noted: isNoted } = nodesOf(tree, [
    noted("/mnt", { type: "directory", mode: 0o1777 }),
    noted("/mnt/a", { type: "directory", mode: 0o711 }),
    noted("/mnt/a/data", { mode: 0o777, size: 99n }),
    noted("/mnt/a/link", { type: "symlink", mode: 0o777, target: bytes("data") }),
    noted("/mnt/log", {}),
  ]);
  assertEquals([root, isNoted], [{ mode: 0o1777, uid: 12, gid: 34 }, true]);
  const owned = { uid: 12, gid: 34, mtime: { sec: 5n, nsec: 6 } };
  assertEquals(entries as unknown, [
    { path: "a", type: "directory", ...owned, mode: 0o711 },
    { path: "a/data", type: "file", ...owned, mode: 0o640, size: 10n },
    { path: "a/link", type: "symlink", ...owned, target: bytes("data") },
    { path: "log", type: "file", ...owned, mode: 0o600, size: 77n },
  ]);
});

Deno.test("image nodes: a device is made only where it is known which one it is", () => {
  const device = { files: [named(1, "/mnt/null", { mode: 0o020666 })] };
  const { kind, message } = assertThrows(() => nodesOf(device), ControlError);
  assertEquals(kind, "bad_images");
  assert(message.includes("which device null is"), message);
  const rdev = { major: 1, minor: 3 };
  const [entry] = nodesOf(device, [noted("/mnt/null", { type: "char", mode: 0o666, rdev })]).entries;
  assertEquals(entry && "rdev" in entry && entry.rdev, rdev);
});

Deno.test("image nodes: a directory whose name is no text is refused by name", () => {
  const images = { directory: new Uint8Array([0x2f, 0xff]) };
  const { kind } = assertThrows(() => readImageNodes(images.directory), ControlError);
  assertEquals(kind, "bad_images");
});

Deno.test("image nodes: what was noted at another dump is refused by name, and taken where nobody can tell", () => {
  const files = [noted("/mnt/a/data", {})];
  const { kind, message } = assertThrows(() => nodesOf({ ...tree, run: "b" }, files, "a"), ControlError);
  assertEquals(kind, "bad_images");
  assert(message.includes("spfs.json: was noted at another dump (a) than that of these images (b)"), message);
  for (const [images, side] of [["a", "a"], ["a", undefined], [undefined, "a"]] as const) {
    assertEquals(nodesOf({ ...tree, ...(images && { run: images }) }, files, side).noted, true);
  }
});
