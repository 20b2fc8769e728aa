import { assertEquals, assertThrows } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { decodeParams } from "../../control/validation.ts";
import type { NotedMount, NotedMounts } from "../../host/images_messages.ts";
import { isFromAnother, layersOf, planRestore } from "../../host/restore_plan.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function plan(config: Record<string, unknown>, noted?: NotedMount, found: NotedMounts["found"] = []) {
  const params = decodeParams("restore.prepare", { images: "/images", config });
  return planRestore(params.images, params.config, { named: params.config.mounts.map(() => noted), found });
}

const nfs = { source: "server:/export", type: "nfs4" };

Deno.test("restore plan: a mount's stand-in is made of the images, and its replacement waits", () => {
  const [one, ...others] = plan({ mounts: [{ mountpoint: "/mnt/net", replace: nfs }] });
  assertEquals(others, []);
  const { create, replace } = one!;
  assertEquals([create.id, text(create.mountpoint), create.mode], ["mnt-net", "/mnt/net", "restore"]);
  assertEquals(create.images, { directory: bytes("/images"), mountpoint: bytes("/mnt/net") });
  assertEquals([replace.mount, text(replace.source), replace.type, replace.hold], [
    "mnt-net",
    "server:/export",
    "nfs4",
    true,
  ]);
});

Deno.test("restore plan: a container's mount is found by its key and stands elsewhere", () => {
  const [one] = plan({
    mounts: [{ id: "ct", mountpoint: "/data", at: "/run/ct/data", key: "net1", replace: nfs }],
  });
  assertEquals([one!.create.id, text(one!.create.mountpoint)], ["ct", "/run/ct/data"]);
  assertEquals(one!.create.images, { directory: bytes("/images"), key: "net1" });
});

Deno.test("restore plan: what a mount says goes before what is said for all, and that before what was noted", () => {
  const noted = { source: bytes("server:/noted"), type: "nfs4", options: "vers=4.2" };
  const mounts = [{ mountpoint: "/a" }, {
    mountpoint: "/b",
    create: { attrTimeoutMs: 1 },
    replace: { options: "ro", swap: "require" },
  }];
  const config = { mounts, create: { attrTimeoutMs: 0 }, replace: { swap: "none", type: "nfs" } };
  const told = plan(config, noted).map(({ create, replace }) => [
    create.attrTimeoutMs,
    text(replace.source),
    replace.type,
    replace.options,
    replace.swap,
  ]);
  assertEquals(told, [
    [0, "server:/noted", "nfs", "vers=4.2", "none"],
    [1, "server:/noted", "nfs", "ro", "require"],
  ]);
});

Deno.test("restore plan: names are made of paths, each once", () => {
  const mounts = ["/", "/mnt/net", "/mnt/net/", "/mnt//n\u00e9t", "/all", `/${"x".repeat(100)}`].map((
    mountpoint,
  ) => ({
    mountpoint,
    replace: nfs,
  }));
  const ids = plan({ mounts }).map(({ create }) => create.id);
  assertEquals(ids, ["root", "mnt-net", "mnt-net-2", "mnt-n-t", "all-", "x".repeat(56)]);
});

Deno.test("restore plan: what is wrong is told with the mount and the key", () => {
  const wrong = (config: Record<string, unknown>, message: string) =>
    assertThrows(() => plan(config), ControlError, message);
  wrong({ mounts: [{ mountpoint: "/a" }] }, "config: mount a: has no source, and none was noted at dump");
  wrong(
    { mounts: [{ mountpoint: "/a", replace: { ...nfs, retry: { initialMs: "x" } } }] },
    "config: mount a: mount.replace: retry.initialMs",
  );
  wrong(
    { mounts: [{ mountpoint: "/a", replace: { ...nfs, hold: false } }] },
    "config: mount a: replace.hold: is not for the configuration",
  );
  wrong({ mounts: [{ mountpoint: "/a", replace: nfs }], create: { mode: "stub" } }, "create.mode");
  wrong({
    mounts: [{ id: "x", mountpoint: "/a", replace: nfs }, { id: "x", mountpoint: "/b", replace: nfs }],
  }, "config: two mounts have the id x");
});

Deno.test("restore plan: mounts of a type are delayed as they were noted, those that are named as they are named", () => {
  const noted = { source: bytes("server:/noted"), type: "nfs4", options: "" };
  const found = [{ mountpoint: bytes("/a"), noted }, { mountpoint: bytes("/b"), noted }];
  const config = { types: ["nfs4"], mounts: [{ mountpoint: "/a/", replace: { source: "other:/" } }] };
  const told = plan(config, noted, found).map(({ create, replace }) => [create.id, text(replace.source)]);
  assertEquals(told, [["a", "other:/"], ["b", "server:/noted"]]);
});

Deno.test("restore plan: what lies on another stand-in comes in a later layer", () => {
  const mounts = ["/a/b/c", "/a", "/ab", "/a/b", "/x/"].map((mountpoint) => ({ mountpoint, replace: nfs }));
  const layers = layersOf(plan({ mounts }));
  assertEquals(layers.map((layer) => layer.map(({ create }) => text(create.mountpoint))), [
    ["/a", "/ab", "/x/"],
    ["/a/b"],
    ["/a/b/c"],
  ]);
});

Deno.test("restore plan: a stand-in whose replacement comes from another one is told from others", () => {
  const mounts = [
    { mountpoint: "/a", replace: nfs },
    { mountpoint: "/bound", replace: { source: "/a/sub", type: "bind" } },
    {
      mountpoint: "/over",
      replace: { source: "o", type: "overlay", options: "lowerdir=/l,upperdir=/a/u,workdir=/a/w" },
    },
    { mountpoint: "/own", replace: { source: "/own", type: "bind" } },
  ];
  const orders = plan({ mounts });
  assertEquals(orders.map((order) => isFromAnother(order, orders)), [false, true, true, false]);
});

Deno.test("restore plan: a stand-in that would cover the images is refused", () => {
  const refused = (mountpoint: string) =>
    assertThrows(() => plan({ mounts: [{ mountpoint, replace: nfs }] }), ControlError);
  for (const mountpoint of ["/images", "/images/"]) {
    const { kind, message } = refused(mountpoint);
    assertEquals([kind, message.includes("would cover the images")], ["invalid_params", true]);
  }
  assertEquals(plan({ mounts: [{ mountpoint: "/images/below", replace: nfs }] }).length, 1);
});
