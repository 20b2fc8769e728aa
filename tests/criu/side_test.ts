import { assertEquals } from "@std/assert";
import { keyOf, NamespaceView, type SideMount, topMounts } from "../../criu/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const key = (text: string) => keyOf(bytes(text));

function at(id: number, parent: number, mountpoint: string): SideMount {
  const more = { major: 0, minor: id, root: bytes("/"), source: bytes("none"), superOptions: "rw" };
  return { id, parent, mountpoint: bytes(mountpoint), options: ["rw"], fstype: "tmpfs", ...more };
}

Deno.test("side: of mounts at one path the one on top is seen, in whatever order they come", () => {
  const [root, base, middle, top] = [at(1, 1, "/"), at(7, 1, "/a"), at(5, 7, "/a"), at(9, 5, "/a")];
  const orders = [[base, middle, top], [top, base, middle], [middle, top, base], [top, middle, base]];
  for (const order of orders) {
    assertEquals(topMounts([root, ...order]).get(key("/a"))?.id, 9);
    assertEquals(topMounts([...order, root]).get(key("/"))?.id, 1);
  }
});

Deno.test("side: a path is on the mount that is nearest above it, by whole names", () => {
  const mounts = [at(1, 1, "/"), at(2, 1, "/mnt"), at(3, 2, "/mnt/net"), at(4, 3, "/mnt/net/deep/er")];
  const view = new NamespaceView({ own: true, mounts, files: [] });
  const ids = ["/", "/mnt/network", "/mnt/net", "/mnt/net/deep", "/mnt/net/deep/er/x"]
    .map((path) => view.mountOf(key(path))?.id);
  assertEquals(ids, [1, 2, 3, 3, 4]);
  assertEquals(view.mountAt(key("/mnt/net/deep")), undefined);
});
