import { assertEquals } from "@std/assert";
import {
  type FileStat,
  keyOf,
  NamespaceView,
  type PathKey,
  pathsOf,
  readImagesFrom,
  reportOn,
  type RestoreOptions,
  restorePlaces,
  type Side,
  type SideFile,
  type SideMount,
} from "../../criu/mod.ts";
import { imagesOf, memorySource, mount, named, type Tree } from "./support/made_images.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function at(id: number, mountpoint: string, fstype = "ext4", source = "/dev/vda"): SideMount {
  return {
    id,
    parent: 1,
    major: 0,
    minor: id,
    root: bytes("/"),
    mountpoint: bytes(mountpoint),
    options: ["rw"],
    fstype,
    source: bytes(source),
    superOptions: "rw",
  };
}

function seen(path: string, stat: Partial<FileStat> | string): SideFile {
  if (typeof stat === "string") return { path: bytes(path), mountId: 0, error: stat };
  const whole: FileStat = {
    type: "file",
    mode: 0o640,
    uid: 0,
    gid: 0,
    size: 10n,
    mtime: { sec: 1n, nsec: 0 },
    ...stat,
  };
  return { path: bytes(path), mountId: 0, stat: whole };
}

const directory = { type: "directory" as const, mode: 0o755 };
const tree: Tree = {
  files: [
    named(1, "/mnt/net/sub/data", { mode: 0o100640, size: 10n }),
    named(2, "/mnt/net/log", { mode: 0o100600, flags: 0o2001 }),
    named(3, "/home/file", { mode: 0o100640, size: 10n }),
  ],
};
const mountsAtDump = [at(1, "/"), at(5, "/mnt/net", "nfs4", "server:/export")];
const atDump: Side = {
  namespaces: [{
    own: true,
    mounts: mountsAtDump,
    files: [seen("/mnt/net/sub/data", {}), seen("/home/file", {})],
  }],
};
const home = [seen("/", directory), seen("/home", directory), seen("/home/file", {})];
const net = [
  seen("/mnt/net", directory),
  seen("/mnt/net/sub", directory),
  seen("/mnt/net/sub/data", {}),
  seen("/mnt/net/log", { mode: 0o600, size: 77n }),
];

const host: RestoreOptions = { root: "/" as PathKey, externals: new Map() };

/** What is said of each mount, in short. */
function check(
  given: { tree?: Tree; side?: Side | undefined; mounts: SideMount[]; files: SideFile[] },
  options: RestoreOptions = host,
) {
  const images = readImagesFrom(memorySource(imagesOf(given.tree ?? tree)));
  const side = "side" in given ? given.side : atDump;
  const places = restorePlaces(images, side, given.mounts, options);
  const view = new NamespaceView({ own: true, mounts: given.mounts, files: given.files });
  return places.map((place) => {
    const { state, plan, ready, findings } = reportOn(place, view);
    const found = findings.map(({ path, what, wanted, now }) =>
      [path, what, wanted, now].filter((word) => word !== undefined).join(" ")
    );
    return [place.mountpoint as string, state, plan, ready, found];
  });
}

const rootIsFine = ["/", "there", "nothing", true, []];

Deno.test("findings: a restore goes ahead where everything is as it was", () => {
  const files = [...home, ...net];
  assertEquals(check({ mounts: mountsAtDump, files }), [
    rootIsFine,
    ["/mnt/net", "there", "nothing", true, []],
  ]);
});

Deno.test("findings: files that are missing or that CRIU finds changed are told, and nobody stands in for them", () => {
  const files = [
    ...home.slice(0, 2),
    seen("/home/file", { size: 11n, mode: 0o600 }),
    seen("/mnt/net", directory),
    seen("/mnt/net/sub", "ENOENT"),
    seen("/mnt/net/sub/data", "ENOENT"),
    seen("/mnt/net/log", { type: "fifo" }),
  ];
  assertEquals(check({ mounts: mountsAtDump, files }), [
    ["/", "there", "nothing", false, ["/home/file mode 0640 0600", "/home/file size 10 11"]],
    // What is below a directory that is missing is not told again.
    ["/mnt/net", "there", "nothing", false, ["/mnt/net/log type file fifo", "/mnt/net/sub missing"]],
  ]);
});

Deno.test("findings: a file that was written since the dump is told, but does not hinder", () => {
  const files = [...home.slice(0, 2), seen("/home/file", { mtime: { sec: 2n, nsec: 0 } }), ...net];
  assertEquals(check({ mounts: mountsAtDump, files })[0], [
    "/",
    "there",
    "nothing",
    true,
    ["/home/file mtime 1970-01-01T00:00:01.000Z 1970-01-01T00:00:02.000Z"],
  ]);
});

Deno.test("findings: spfs stands in for a mount that is away, if there is a directory to mount it on", () => {
  const gone = ["/mnt/net/sub", "/mnt/net/sub/data", "/mnt/net/log"].map((path) => seen(path, "ENOENT"));
  const mounts = [at(1, "/")];
  const files = [...home, seen("/mnt/net", directory), ...gone];
  assertEquals(check({ mounts, files }), [rootIsFine, ["/mnt/net", "away", "stand in", true, []]]);
  const none = [...home, seen("/mnt/net", "ENOENT"), ...gone];
  assertEquals(check({ mounts, files: none })[1]?.slice(0, 4), ["/mnt/net", "away", "needs help", false]);
  // With a copy of the files in the directory CRIU is content.
  assertEquals(check({ mounts, files: [...home, ...net] })[1], ["/mnt/net", "away", "nothing", true, []]);
});

Deno.test("findings: what hinders a stand-in is told: devices that nobody knows; mappings that are locked into memory do not", () => {
  const process = { pid: 7, cwd: 3, root: 3, exe: 3 };
  const missing = ["/sub", "/sub/data", "/log", "/null"].map((path) => seen(`/mnt/net${path}`, "ENOENT"));
  const given = {
    tree: {
      files: [...tree.files!, named(4, "/mnt/net/null", { mode: 0o020666 })],
      processes: [{ ...process, mappings: [{ file: 1, status: 1 << 6, flags: 0x2002 }] }],
    },
    mounts: [at(1, "/")],
    files: [...home, seen("/mnt/net", directory), ...missing],
  };
  assertEquals(check(given)[1], [
    "/mnt/net",
    "away",
    "stand in",
    false,
    ["/mnt/net/null device"],
  ]);
});

Deno.test("findings: a stand-in is not asked; a mount that does not answer, and another one, need help", () => {
  const unasked = net.map(({ path }) => ({ path, mountId: 9, error: "stand-in" }));
  const stub = [at(1, "/"), at(9, "/mnt/net", "fuse.spfs", "spfs:1:2:3")];
  assertEquals(check({ mounts: stub, files: [...home, ...unasked] })[1], [
    "/mnt/net",
    "stand-in",
    "nothing",
    true,
    [],
  ]);
  const silent = net.map(({ path }) => ({ path, mountId: 5, error: "ETIMEDOUT" }));
  assertEquals(check({ mounts: mountsAtDump, files: [...home, ...silent] })[1]?.slice(1, 4), [
    "silent",
    "needs help",
    false,
  ]);
  const other = [at(1, "/"), at(5, "/mnt/net", "tmpfs", "none")];
  const changed = [...net.slice(0, 3), seen("/mnt/net/log", "ENOENT")];
  assertEquals(check({ mounts: other, files: [...home, ...changed] })[1], [
    "/mnt/net",
    "other",
    "needs help",
    false,
    ["/mnt/net/log missing"],
  ]);
  // Another device with the same files is as good.
  assertEquals(check({ mounts: other, files: [...home, ...net] })[1], [
    "/mnt/net",
    "other",
    "nothing",
    true,
    [],
  ]);
});

Deno.test("findings: without what was noted at dump the mounts of now count", () => {
  const files = [...home, ...net.slice(0, 3), seen("/mnt/net/log", "ENOENT")];
  assertEquals(check({ side: undefined, mounts: mountsAtDump, files }), [
    rootIsFine,
    ["/mnt/net", "there", "nothing", false, ["/mnt/net/log missing"]],
  ]);
});

const container: Tree = {
  files: [
    named(1, "/bin/sh", { mode: 0o100755, size: 5n, mountId: 21 }),
    named(2, "/data/file", { mode: 0o100640, size: 10n, mountId: 22 }),
    named(3, "/dev/null", { mode: 0o020666, mountId: 23 }),
  ],
  namespaces: {
    14: [
      mount(21, 21, "/"),
      mount(22, 21, "/data", { device: 7, key: "net" }),
      mount(23, 21, "/dev", { device: 8, fstype: 5 }),
    ],
  },
};

Deno.test("findings: of a private namespace the root and external mounts are looked for where the restore has them", () => {
  const mounts = [at(1, "/"), at(6, "/host/net", "nfs4", "server:/export")];
  const directories = ["/", "/rootfs", "/rootfs/bin", "/rootfs/data", "/rootfs/dev", "/host/net"];
  const files = [
    ...directories.map((path) => seen(path, directory)),
    seen("/rootfs/bin/sh", { mode: 0o755, size: 5n }),
    seen("/host/net/file", {}),
  ];
  const given = { tree: container, side: undefined, mounts, files };
  const root = keyOf(bytes("/rootfs"));
  const told = { root, externals: new Map([["net", keyOf(bytes("/host/net"))]]) };
  assertEquals(check(given, told), [rootIsFine, ["/data", "there", "nothing", true, []]]);
  assertEquals(check(given, { root, externals: new Map() })[1], ["/data", "unsaid", "needs help", false, []]);
  const images = readImagesFrom(memorySource(imagesOf(container)));
  assertEquals(pathsOf(restorePlaces(images, undefined, mounts, told)) as string[], [
    "/host/net",
    "/host/net/file",
    "/rootfs",
    "/rootfs/bin",
    "/rootfs/bin/sh",
    "/rootfs/data",
    "/rootfs/dev",
  ]);
  const away = [...files.slice(0, -1), seen("/host/net/file", "ENOENT")];
  assertEquals(check({ ...given, mounts: [at(1, "/")], files: away }, told)[1], [
    "/data",
    "away",
    "stand in",
    true,
    [],
  ]);
});
