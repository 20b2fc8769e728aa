import { assertEquals } from "@std/assert";
import { type MountinfoEntry, parseMountinfo } from "../../ffi/sys/mountinfo.ts";
import { followers, type Located } from "../../host/mount_propagation.ts";

/** A namespace with a carrier on /c (`tags`: "shared:1 "), the stub at `at`, and more lines. */
function namespace(id: number, tags: string, at: string, root = "/", more = ""): MountinfoEntry[] {
  const text =
    `${id} 1 0:9 / /c rw ${tags}- tmpfs t rw\n${id + 1} ${id} 0:8 ${root} ${at} rw - fuse.spfs s rw\n` +
    more;
  return parseMountinfo(new TextEncoder().encode(text));
}

/** Which of the stubs (0:8) of some namespaces follow others, by id. */
function following(...namespaces: MountinfoEntry[][]): number[] {
  const located: Located[] = namespaces.flatMap((mounts) =>
    mounts.filter(({ minor }) => minor === 8).map((entry) => ({ entry, mounts }))
  );
  const found = followers(located, namespaces);
  return located.filter((one) => found.has(one)).map(({ entry }) => entry.id);
}

Deno.test("propagation: nothing follows on private carriers, nor another group", () => {
  assertEquals(following(namespace(10, "", "/c/m"), namespace(20, "", "/c/m")), []);
  assertEquals(following(namespace(10, "shared:1 ", "/c/m"), namespace(20, "", "/c/m")), []);
  assertEquals(following(namespace(10, "shared:1 ", "/c/m"), namespace(20, "master:2 ", "/c/m")), []);
});

Deno.test("propagation: of peers all but the first follow, of masters and slaves the slaves", () => {
  const [peer, slave] = [namespace(20, "shared:1 ", "/c/m"), namespace(30, "master:1 ", "/c/m")];
  assertEquals(following(namespace(10, "shared:1 ", "/c/m"), peer, slave), [21, 31]);
  assertEquals(following(slave, peer), [31]);
});

Deno.test("propagation: slaves of slaves follow, also by way of a namespace without the stub", () => {
  const between = parseMountinfo(
    new TextEncoder().encode("40 1 0:9 / /c rw shared:2 master:1 - tmpfs t rw\n"),
  );
  const [master, slave] = [namespace(10, "shared:1 ", "/c/m"), namespace(20, "master:2 ", "/c/m")];
  assertEquals(following(master, slave), []);
  const located = [master, slave].map((mounts) => ({ entry: mounts[1]!, mounts }));
  const found = followers(located, [master, slave, between]);
  assertEquals([...found].map(({ entry }) => entry.id), [21]);
});

Deno.test("propagation: what is mounted elsewhere on the same carrier, or is another part, does not follow", () => {
  const twice = namespace(10, "shared:1 ", "/c/m", "/", "12 10 0:8 /dir /c/n rw - fuse.spfs s rw\n");
  assertEquals(following(twice), []);
  assertEquals(following(namespace(10, "shared:1 ", "/c/m"), namespace(20, "master:1 ", "/c/m", "/dir")), []);
});

Deno.test("propagation: the place on the carrier's file system counts, not the path", () => {
  const inside = parseMountinfo(
    new TextEncoder().encode(
      "20 1 0:9 /sub /d rw master:1 - tmpfs t rw\n21 20 0:8 / /d/m rw - fuse.spfs s rw\n",
    ),
  );
  assertEquals(following(namespace(10, "shared:1 ", "/c/sub/m"), inside), [21]);
  assertEquals(following(namespace(10, "shared:1 ", "/c/m"), inside), []);
});
