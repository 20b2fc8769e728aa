import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  chooseMount,
  type FileStat,
  ImageError,
  type ImageNode,
  type MountChoice,
  MountChoiceError,
  nodesOfMount,
  readImagesFrom,
  type Side,
  type SideMount,
} from "../../criu/mod.ts";
import {
  fanotify,
  imagesOf,
  inotify,
  memorySource,
  mount,
  named,
  socket,
  type Tree,
} from "./support/made_images.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (path: Uint8Array) => new TextDecoder().decode(path);

/** The nodes of a mount of a tree, one line each: path, type, mode, size, how that is known. */
function nodes(tree: Tree, choice: MountChoice, side?: Side) {
  const images = readImagesFrom(memorySource(imagesOf(tree)));
  const list = nodesOfMount(images, chooseMount(images, choice), side);
  const line = ({ path, type, mode, size, origin }: ImageNode) =>
    [text(path), type, mode.toString(8), size, origin].filter((word) => word !== undefined).join(" ");
  return { ...list, root: list.root && line(list.root), lines: list.nodes.map(line) };
}

const own = { mountpoint: bytes("/mnt/net") };

Deno.test("nodes: files below the mount with exact modes and sizes, their parents, and nothing else", () => {
  const { lines, root } = nodes({
    files: [
      named(1, "/mnt/net/a/b/data", { mode: 0o104751, size: 5368709120n }),
      named(2, "/mnt/net/queue", { mode: 0o010600 }),
      named(3, "/mnt/network/not", { mode: 0o100644, size: 1n }),
      named(4, "/mnt/net/a", { mode: 0o041777 }),
      named(5, "/mnt/net/log", { mode: 0o100600, flags: 0o2001 }),
      named(6, "/mnt/net/log", { mode: 0o100600, size: 12n }),
      named(7, "/etc/passwd", { mode: 0o100644, size: 1n }),
      named(8, "/mnt/net/null", { mode: 0o020666 }),
      named(9, "/mnt/net/link", { mode: 0o120777, size: 3n }),
      named(10, "/mnt/net", { mode: 0o040700 }),
    ],
  }, own);
  assertEquals(root, " directory 700 image");
  assertEquals(lines, [
    "a directory 1777 image",
    "a/b directory 755 guess",
    "a/b/data file 4751 5368709120 image",
    "link symlink 777 image",
    "log file 600 12 image",
    "null char 666 image",
    "queue fifo 600 image",
  ]);
});

Deno.test("nodes: what CRIU makes itself is left out, but not the directories that it is made in", () => {
  const { lines, made } = nodes({
    files: [
      named(1, "/mnt/net/ghosts/gone", { mode: 0o100600, size: 5n }),
      named(2, "/mnt/net/links/old-name", { mode: 0o100640, size: 24n }),
      named(3, "/mnt/net/links/link_remap.3"),
      socket(4, "/mnt/net/sockets/bound\0"),
      socket(5, "../there/bound", { directory: "/mnt/net/relative" }),
      named(6, "/mnt/net/gone-directory", { mode: 0o040755 }),
    ],
    remaps: [[1, 9, 1], [2, 3, 0], [6, 10, 1]],
    ghosts: { 9: "12345", 10: "" },
  }, own);
  assertEquals(lines, [
    "ghosts directory 755 guess",
    "links directory 755 guess",
    "links/link_remap.3 file 640 24 image",
    "sockets directory 755 guess",
    "there directory 755 guess",
  ]);
  assertEquals(made, { files: 3, bytes: 5n });
});

Deno.test("nodes: a new file under the name of one that is gone is made", () => {
  const { lines } = nodes({
    files: [
      named(1, "/mnt/net/log", { mode: 0o100600, size: 5n }),
      named(2, "/mnt/net/log", { mode: 0o100644, size: 7n }),
    ],
    remaps: [[1, 9, 1]],
    ghosts: { 9: "12345" },
  }, own);
  assertEquals(lines, ["log file 644 7 image"]);
});

Deno.test("nodes: what is watched is there, as a directory where the watch is one of a directory", () => {
  const { lines } = nodes({
    files: [
      inotify(1, [
        { path: "mnt/net/watched/file", mask: 0x2 },
        { path: "/mnt/net/incoming", mask: 0x100 },
        { path: "/elsewhere", mask: 0x100 },
      ]),
      fanotify(2, [{ path: "/mnt/net/marked", mask: 0x20 }]),
      named(3, "/mnt/net/marked", { mode: 0o100640, size: 3n }),
    ],
  }, own);
  assertEquals(lines, [
    "incoming directory 755 guess",
    "marked file 640 3 image",
    "watched directory 755 guess",
    "watched/file file 644 guess",
  ]);
});

Deno.test("nodes: files of which images have no mode are directories when they are used as such", () => {
  const { lines } = nodes({
    files: [named(1, "/mnt/net/work"), named(2, "/mnt/net/file"), named(3, "/")],
    processes: [{ pid: 1, cwd: 1, root: 3, exe: 2 }],
  }, own);
  assertEquals(lines, ["file file 644 guess", "work directory 755 guess"]);
});

const container: Tree = {
  files: [
    named(1, "/data/a/file", { mode: 0o100640, size: 10n, mountId: 22 }),
    named(2, "/srv/bound/other", { mode: 0o100600, size: 20n, mountId: 23 }),
    named(3, "/etc/net.conf", { mode: 0o100600, size: 30n, mountId: 24 }),
    named(4, "/data/covered/x", { mode: 0o100600, size: 40n, mountId: 25 }),
    named(5, "/bin/sh", { mode: 0o100755, size: 50n, mountId: 21 }),
    named(6, "/data/of/criu", { mode: 0o100600, size: 60n }),
    inotify(7, [{ path: "data/watched", mask: 0x100, mountId: 22 }]),
    socket(8, "/data/run/socket"),
    socket(9, "/data/covered/socket"),
  ],
  namespaces: {
    14: [
      mount(21, 21, "/"),
      mount(22, 21, "/data", { device: 7, key: "net" }),
      mount(23, 21, "/srv/bound", { device: 7, root: "/b" }),
      mount(24, 21, "/etc/net.conf", { device: 7, root: "/conf/net" }),
      mount(25, 22, "/data/covered", { device: 8 }),
    ],
  },
};

Deno.test("nodes: of a mount of a private namespace, with bind mounts of it and what lies on it", () => {
  const expected = [
    "a directory 755 guess",
    "a/file file 640 10 image",
    "b directory 755 guess",
    "b/other file 600 20 image",
    "conf directory 755 guess",
    "conf/net file 600 30 image",
    "covered directory 755 guess",
    "run directory 755 guess",
    "watched directory 755 guess",
  ];
  assertEquals(nodes(container, { key: "net" }).lines, expected);
  assertEquals(nodes(container, { mountId: 22 }).lines, expected);
  assertEquals(nodes(container, { mountpoint: bytes("/data") }).lines, expected);
  assertEquals(nodes(container, { mountpoint: bytes("/data/"), namespace: 14 }).lines, expected);
  assertEquals(nodes(container, { mountpoint: bytes("/srv/bound") }).lines, ["other file 600 20 image"]);
  assertEquals(nodes(container, { mountpoint: bytes("/data/of"), namespace: 0 }).lines, [
    "criu file 600 60 image",
  ]);
});

Deno.test("nodes: a mount that is not in the images, or several times, is refused by name", () => {
  const refuse = (tree: Tree, choice: MountChoice, words: string) => {
    const images = readImagesFrom(memorySource(imagesOf(tree)));
    const { message } = assertThrows(() => chooseMount(images, choice), MountChoiceError);
    assert(message.includes(words), message);
  };
  refuse(container, { key: "other" }, "no mount with key other");
  refuse(container, { mountId: 99 }, "no mount with id 99");
  refuse(container, { mountpoint: bytes("/none") }, "no mount with mountpoint /none");
  refuse(container, { mountpoint: bytes("/data"), namespace: 15 }, "/data in namespace 15");
  const twice = { namespaces: { 1: [mount(5, 5, "/data")], 2: [mount(6, 6, "/data")] } };
  refuse(twice, { mountpoint: bytes("/data") }, "several mounts with mountpoint /data: id 5 in namespace 1");
});

Deno.test("nodes: of two mounts at one path the one on top is meant", () => {
  const tree: Tree = {
    files: [named(1, "/data/x", { mode: 0o100600, size: 1n, mountId: 3 })],
    namespaces: { 1: [mount(1, 1, "/"), mount(2, 1, "/data"), mount(3, 2, "/data")] },
  };
  assertEquals(nodes(tree, { mountpoint: bytes("/data") }).lines, ["x file 600 1 image"]);
});

const stat = (more: Partial<FileStat>): FileStat => ({
  type: "directory",
  mode: 0o750,
  uid: 12,
  gid: 34,
  size: 4096n,
  mtime: { sec: 5n, nsec: 6 },
  ...more,
});

const sideMount = (id: number, parent: number, mountpoint: string): SideMount => ({
  id,
  parent,
  major: 0,
  minor: id,
  root: bytes("/"),
  mountpoint: bytes(mountpoint),
  options: ["rw"],
  fstype: "nfs4",
  source: bytes("server:/export"),
  superOptions: "rw",
});

Deno.test("nodes: what was noted of files by way of a bind mount is known of them, and of nobody else's", () => {
  const noted = (path: string, mountId: number, uid: number) => ({
    path: bytes(path),
    mountId,
    stat: stat({ type: "file", uid }),
  });
  const side: Side = {
    namespaces: [{
      own: false,
      mounts: [
        sideMount(22, 21, "/data"),
        sideMount(23, 21, "/srv/bound"),
        sideMount(24, 21, "/etc/net.conf"),
      ],
      files: [
        noted("/data/a/file", 22, 1),
        noted("/srv/bound/other", 23, 2),
        noted("/etc/net.conf", 24, 3),
        noted("/srv/bound/b/other", 26, 4),
      ],
    }],
  };
  const { nodes: found } = nodes(container, { key: "net" }, side);
  const owners = found.filter(({ noted }) => noted !== undefined).map((
    { path, noted },
  ) => [text(path), noted?.uid]);
  assertEquals(owners, [["a/file", 1], ["b/other", 2], ["conf/net", 3]]);
});

Deno.test("nodes: what was noted at dump makes guesses right, and tells mounts apart that lie on the mount", () => {
  const tree: Tree = {
    files: [
      named(1, "/mnt/net/a/data", { mode: 0o100640, size: 10n }),
      named(2, "/mnt/net/inner/data", { mode: 0o100640, size: 20n }),
      inotify(3, [{ path: "mnt/net/watched", mask: 0x100 }]),
    ],
  };
  const file = (path: string, more: Partial<FileStat>) => ({
    path: bytes(path),
    mountId: 5,
    stat: stat(more),
  });
  const side: Side = {
    namespaces: [{
      own: true,
      mounts: [sideMount(1, 1, "/"), sideMount(5, 1, "/mnt/net"), sideMount(6, 5, "/mnt/net/inner")],
      files: [
        file("/mnt/net", { mode: 0o711 }),
        file("/mnt/net/a", {}),
        file("/mnt/net/a/data", { type: "file", mode: 0o600, size: 99n }),
        file("/mnt/net/watched", { type: "file", mode: 0o604, size: 3n }),
      ],
    }],
  };
  const { lines, root, nodes: found } = nodes(tree, own, side);
  assertEquals(root, " directory 711 side");
  // The image's mode and size are those that CRIU compares.
  assertEquals(lines, ["a directory 750 side", "a/data file 640 10 image", "watched file 604 side"]);
  assertEquals(found[1]?.noted?.uid, 12);
  assertEquals(found[1]?.noted?.mtime, { sec: 5n, nsec: 6 });
});

Deno.test("nodes: paths that are none, and one that is two things, are refused by name", () => {
  const refuse = (files: Tree["files"], words: string) => {
    const { message } = assertThrows(() => nodes({ files: files! }, own), ImageError);
    assert(message.includes(words), message);
  };
  refuse(
    [named(1, "/mnt/net/../../etc/shadow")],
    'files.img at offset 18: "/mnt/net/../../etc/shadow" is no path',
  );
  refuse([named(1, `/mnt/net/${"x".repeat(256)}`)], "a name of 256 bytes");
  const file = named(1, "/mnt/net/a", { mode: 0o100600 });
  refuse([file, named(2, "/mnt/net/a/b", { mode: 0o100600 })], "/a is a file and a directory at once");
  refuse([file, named(2, "/mnt/net/a", { mode: 0o010600 })], "/a is a file and a fifo at once");
  refuse([named(1, "/mnt/net", { mode: 0o100600 })], "/ is a file and a directory at once");
});
