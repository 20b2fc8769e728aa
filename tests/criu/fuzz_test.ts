/**
 * The reader of images under damaged ones: it fails with an error that names the file, or reads them, and takes no more memory than their
 * length allows. The seed is fixed; `SPFS_FUZZ_SEED` and `SPFS_FUZZ_ROUNDS` choose others.
 */
import { assert, assertThrows } from "@std/assert";
import { ImageError, readImagesFrom } from "../../criu/mod.ts";
import { damage } from "./support/damage.ts";
import {
  concat,
  fanotify,
  image,
  imagesOf,
  inotify,
  magics,
  memorySource,
  mount,
  named,
  socket,
} from "./support/made_images.ts";

const seed = Number(Deno.env.get("SPFS_FUZZ_SEED") ?? 20261126);
const rounds = Number(Deno.env.get("SPFS_FUZZ_ROUNDS") ?? 20_000);

const corpus = imagesOf({
  files: [
    named(1, "/mnt/net/a/b", { mode: 0o100640, size: 1n << 40n, flags: 2 }),
    named(2, "/mnt/net/c", { mode: 0o40755, mountId: 77 }),
    named(3, "/mnt/net/link_remap.3"),
    socket(4, "/mnt/net/socket\0"),
    socket(5, "relative", { directory: "/mnt/net", mountId: 77 }),
    inotify(7, [{ path: "mnt/net/watched", mask: 2, mountId: 77 }]),
    fanotify(8, [{ path: "/mnt/net/marked", mask: 0x20 }]),
  ],
  remaps: [[1, 2, 1], [2, 3, 0]],
  ghosts: { 2: "content" },
  processes: [{
    pid: 5,
    cwd: 2,
    root: 2,
    exe: 1,
    mappings: [{ file: 1, status: 1 << 6, flags: 0x2002 }],
    pages: [{ 1: 0x40_0000, 2: 3, 4: 4 }, { 1: 0x7fff_0000_0000, 2: 0, 4: 1, 5: 1 }],
  }],
  namespaces: { 12: [mount(76, 76, "/"), mount(77, 76, "/mnt/net", { key: "net" })] },
});

const choices = [
  { key: "net" },
  { mountId: 77 },
  { mountpoint: new TextEncoder().encode("/mnt/net"), namespace: 0 },
];

Deno.test(`images, damaged at random: read, or refused by an error that names the file (seed ${seed})`, () => {
  const { read, refused } = damage(corpus, { seed, rounds, choices });
  // Both happen, or the mutations are of no use.
  assert(read > rounds / 20 && refused > rounds / 20, `${read} read, ${refused} refused`);
});

Deno.test("images: a length, a number of entries and a depth that are made up take no memory", () => {
  const files = image(magics.files, []);
  const hostile: Record<string, [string, Uint8Array]> = {
    "an entry of 4 GiB": ["files.img", concat([files, new Uint8Array(4).fill(0xff)])],
    "a part of 2 GiB": [
      "files.img",
      image(magics.files, [new Uint8Array([0x1a, 0xff, 0xff, 0xff, 0xff, 0x07])]),
    ],
    "eight million empty entries": ["files.img", concat([files, new Uint8Array(32 * 1024 * 1024)])],
    "a million groups in groups": ["files.img", image(magics.files, [new Uint8Array(1_000_000).fill(0x0b)])],
  };
  const before = Deno.memoryUsage().rss;
  for (const [what, [name, bytes]] of Object.entries(hostile)) {
    const source = memorySource(imagesOf({}).set(name, bytes));
    assertThrows(() => readImagesFrom(source), ImageError, name, what);
  }
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < 128 * 1024 * 1024, `${grown} bytes more than before`);
});

Deno.test("images: an image that is longer than any of CRIU's is not read", () => {
  const files = imagesOf({});
  let asked = 0;
  const source = {
    ...memorySource(files),
    read: (name: string, most: number) => {
      if (name !== "files.img") return memorySource(files).read(name, most);
      asked = most;
      return { bytes: new Uint8Array(0), size: 2 ** 40 };
    },
  };
  const { message } = assertThrows(() => readImagesFrom(source), ImageError);
  assert(message.startsWith("files.img: 1099511627776 bytes, more than "), message);
  assert(asked <= 128 * 1024 * 1024);
});
