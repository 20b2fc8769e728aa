import { assertEquals } from "@std/assert";
import { isNetworkType, notedNetworkMounts } from "../../host/tree_mounts.ts";
import { writeSide } from "../../host/side_file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("network file systems: those of a network, and FUSE's, but no stand-in", () => {
  for (const type of ["nfs", "nfs4", "cifs", "ceph", "fuse", "fuse.sshfs", "fuseblk"]) {
    assertEquals(isNetworkType(type), true, type);
  }
  for (const type of ["ext4", "tmpfs", "overlay", "proc", "fuse.spfs", "fusectl"]) {
    assertEquals(isNetworkType(type), false, type);
  }
});

Deno.test("network mounts of images: those that a noted file is on", async () => {
  const directory = await Deno.makeTempDir({ prefix: "spfs-images-" });
  try {
    assertEquals(notedNetworkMounts(directory), []);
    const mount = (id: number, mountpoint: string, fstype: string) => ({
      id,
      parent: 1,
      major: 0,
      minor: id,
      root: bytes("/"),
      mountpoint: bytes(mountpoint),
      options: ["rw"],
      fstype,
      source: bytes(`server:${mountpoint}`),
      superOptions: "rw",
    });
    const file = (path: string, mountId: number) => ({ path: bytes(path), mountId, error: "EACCES" });
    writeSide(directory, {
      namespaces: [{
        own: true,
        mounts: [mount(2, "/a", "nfs4"), mount(3, "/b", "nfs4"), mount(4, "/c", "ext4")],
        files: [file("/a/x", 2), file("/a/y", 2), file("/c/x", 4)],
      }],
    });
    assertEquals(notedNetworkMounts(directory), [
      { mountpoint: bytes("/a"), type: "nfs4", source: bytes("server:/a") },
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
