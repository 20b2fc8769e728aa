import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError, readImages, readImagesFrom } from "../../criu/mod.ts";
import {
  fanotify,
  image,
  imagesOf,
  inotify,
  magics,
  memorySource,
  mount,
  named,
  socket,
  type Tree,
} from "./support/made_images.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const read = (tree: Tree) => readImagesFrom(memorySource(imagesOf(tree)));

Deno.test("images: everything that a tree's images say of files is read", () => {
  const images = read({
    files: [
      named(1, "/mnt/data", { mode: 0o100640, size: 1n << 40n, flags: 2 }),
      named(2, "/in/a/container", { mode: 0o40755, mountId: 77 }),
      named(3, "/append-only", { mode: 0o100600 }),
      socket(4, "/run/socket\0"),
      socket(5, "relative", { directory: "/var/run", mountId: 77 }),
      socket(6, "\0abstract"),
      inotify(7, [{ path: "mnt/watched", mask: 2, mountId: 9 }, { mask: 2 }]),
      fanotify(8, [{ path: "/mnt/marked", mask: 0x20 }]),
      { 1: 10, 2: 9, 11: { 1: 9 } },
    ],
    remaps: [[1, 0x1f, 1], [2, 3, 0], [3, 0x8000_0002, undefined]],
    ghosts: { 0x1f: "content" },
    processes: [{
      pid: 5,
      cwd: 2,
      root: 2,
      exe: 1,
      mappings: [
        { file: 1, status: (1 << 6) | 1, flags: 0x2002 },
        { file: 3, status: (1 << 7) | 1, flags: 0x2001 },
        { file: 99, status: (1 << 9) | 1, flags: 0x22 },
      ],
    }],
    namespaces: { 12: [mount(76, 76, "/"), mount(77, 76, "/in", { key: "net", device: 41, fstype: 15 })] },
  });
  assertEquals(images.version, 2);
  const { name, ...first } = images.files.get(1)!;
  assertEquals(text(name), "/mnt/data");
  assertEquals(first, { id: 1, mountId: undefined, flags: 2, size: 1n << 40n, mode: 0o100640 });
  assertEquals(images.files.get(2)?.mountId, 77);
  assertEquals(images.files.get(3)?.size, undefined);
  const sockets = images.sockets.map(({ name, mountId }) => [text(name), mountId]);
  assertEquals(sockets, [["/run/socket", undefined], ["/var/run/relative", 77]]);
  const watched = images.watched.map(({ path, mask, mountId }) => [text(path), mask, mountId]);
  assertEquals(watched, [["mnt/watched", 2, 9], ["/mnt/marked", 0x20, undefined]]);
  assertEquals([...images.remaps.values()], [
    { file: 1, target: 0x1f, kind: "ghost" },
    { file: 2, target: 3, kind: "link" },
    { file: 3, target: 2, kind: "ghost" },
  ]);
  assertEquals(images.ghosts.get(0x1f), { mode: 0o100600, size: 7n });
  assertEquals(images.processes, [{ pid: 5, cwd: 2, root: 2, exe: 1, mapped: new Set([1, 3]) }]);
  const [, net] = images.namespaces.get(12)!;
  assertEquals([net?.id, net?.parent, net?.device, net?.key, net?.external], [77, 76, 41, "net", true]);
});

Deno.test("images: a file name's bytes are kept whatever they are", () => {
  const name = new Uint8Array([0x2f, 0xff, 0x80, 0x0a]);
  assertEquals(read({ files: [named(1, name)] }).files.get(1)?.name, name);
});

/** The error that images fail with after one of them has been changed. */
function failure(tree: Tree, name: string, change: (bytes: Uint8Array) => Uint8Array): ImageError {
  const files = imagesOf(tree);
  files.set(name, change(files.get(name)!));
  return assertThrows(() => readImagesFrom(memorySource(files)), ImageError);
}

const one = { files: [named(1, "/a", { mode: 0o100644, size: 1n }), named(2, "/b")] };

Deno.test("images: what is cut off is told by file and offset", () => {
  const whole = imagesOf(one).get("files.img")!;
  const second = 8 + 4 + new DataView(whole.buffer).getUint32(8, true);
  const cut = failure(one, "files.img", (bytes) => bytes.slice(0, -1));
  assertEquals([cut.file, cut.offset], ["files.img", second]);
  assert(cut.message.startsWith(`files.img at offset ${second}: an entry of `), cut.message);
  assertEquals(failure(one, "files.img", (bytes) => bytes.slice(0, second + 2)).offset, second);
  assertEquals(failure(one, "files.img", (bytes) => bytes.slice(0, 6)).offset, 6);
  assertEquals(failure(one, "inventory.img", (bytes) => bytes.slice(0, 0)).file, "inventory.img");
});

Deno.test("images: another magic number, a length beyond the file, and what is no protobuf are refused", () => {
  const wrong = failure(one, "files.img", () => image(magics.mm, []));
  assert(wrong.message.includes("no files image of CRIU"), wrong.message);
  const long = failure(one, "files.img", (bytes) => {
    new DataView(bytes.buffer).setUint32(8, 0xffff_ffff, true);
    return bytes;
  });
  assertEquals([long.file, long.offset], ["files.img", 8]);
  const garbage = new Uint8Array(16).fill(0xff);
  assertEquals(failure(one, "files.img", () => image(magics.files, [garbage])).offset, 12);
  const group = new Uint8Array([0x0b, 0x0c]);
  assert(failure(one, "files.img", () => image(magics.files, [group])).message.includes("group"));
});

Deno.test("images: an error inside an entry names the offset of the part that it is in", () => {
  // A regular file whose name has no length: wire type 0 in field 6.
  const reg = { 1: 3, 2: 0, 3: 0, 6: 1 };
  const error = failure({ files: [] }, "files.img", () => image(magics.files, [{ 1: 1, 2: 3, 3: reg }]));
  // Head 8, length 4, type and id 4, tag and length of the part 2, and in it three fields of two bytes.
  assertEquals([error.file, error.offset], ["files.img", 8 + 4 + 4 + 2 + 6], error.message);
});

Deno.test("images: entries that lack what CRIU always writes, and what refers to nothing, are refused", () => {
  const refuse = (tree: Tree, words: string) => {
    const { message } = assertThrows(() => read(tree), ImageError);
    assert(message.includes(words), message);
  };
  refuse({ files: [{ 1: 1, 2: 5 }] }, "files.img at offset 12: an entry without its reg part");
  refuse({ files: [{}] }, "without a type");
  refuse({ files: [{ 1: 1, 2: 5, 3: { 1: 5, 2: 0 } }] }, "without a name");
  refuse({ files: [named(1, "/a")], remaps: [[2, 1, 0]] }, "file 2 is not in files.img");
  refuse({ files: [named(1, "/a")], remaps: [[1, 2, 0]] }, "file 2 is not in files.img");
  refuse({ files: [named(1, "/" + "x".repeat(5000))] }, "a name of 5001 bytes");
  refuse({ namespaces: { 1: [{ 1: 1, 2: 2 }] } }, "mountpoints-1.img at offset 12: an entry without");
});

Deno.test("images: a directory without images says so, and what is no file is not read", () => {
  const directory = Deno.makeTempDirSync({ prefix: "spfs-images-" });
  try {
    const none = assertThrows(() => readImages(directory), ImageError);
    assertEquals(none.message, "inventory.img: missing: no images of CRIU");
    for (const [name, bytes] of imagesOf(one)) Deno.writeFileSync(`${directory}/${name}`, bytes);
    assertEquals(readImages(directory).files.size, 2);
    Deno.mkdirSync(`${directory}/remap-fpath.img`);
    const folder = assertThrows(() => readImages(directory), ImageError);
    assertEquals(folder.message, "remap-fpath.img: no regular file");
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
