/**
 * The guest's system: a kernel, a disk and what the kernel starts from memory, made of Debian packages and kept in the cache under a
 * digest of all that it is made of.
 *
 * @module
 */

import { join } from "@std/path";
import { cachedFolder } from "../../../tools/cache_directory.ts";
import { output } from "../../../tools/command.ts";
import { sha256OfTexts } from "../../../tools/digest.ts";
import { guestDigest, unpackGuest } from "./packages.ts";

/** The files that the emulator starts. */
export interface GuestImage {
  /** The kernel. */
  readonly kernel: string;
  /** The file system that the kernel starts with. */
  readonly initrd: string;
  /** The disk with the system. Never written to. */
  readonly disk: string;
}

/** What is missing in unpacked packages because their installation scripts were not run. Run in the guest's tree by chroot. */
const finish = `
set -e
cp /usr/share/base-passwd/passwd.master /etc/passwd
cp /usr/share/base-passwd/group.master /etc/group
echo '_rpc:x:101:65534::/run/rpcbind:/usr/sbin/nologin' >>/etc/passwd
echo 'statd:x:102:65534::/var/lib/nfs:/usr/sbin/nologin' >>/etc/passwd
echo 'victim:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd
echo 'victim:x:1000:' >>/etc/group
echo '127.0.0.1 localhost guest' >/etc/hosts
ln -sfn /proc/self/mounts /etc/mtab
mkdir -p /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/rpc_pipefs /var/lib/nfs/nfsdcld /spfs /results /srv
touch /var/lib/nfs/state /var/lib/nfs/etab /var/lib/nfs/rmtab
find /usr/lib/modules -name '*.xz' -exec xz -d {} +
depmod -a "$(ls /usr/lib/modules)"
ldconfig
rm -rf /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info /usr/share/i18n /var/cache
mkdir -p /first/bin /first/proc /first/sys /first/dev /first/new /first/modules
cp /usr/bin/busybox /first/bin/
ln -s busybox /first/bin/sh
find /usr/lib/modules -name virtio_blk.ko -exec cp {} /first/modules/ ';'
cd /first && find . | busybox cpio -o -H newc >/first.cpio
rm -r /first
`;

/**
 * The guest's image; made when it is not there yet, which takes seconds when the packages are there.
 *
 * @throws {Error} when it cannot be made, with what the programs said that make it
 */
export async function guestImage(): Promise<GuestImage> {
  const here = new URL(".", import.meta.url).pathname;
  const scripts = ["first.sh", "init.sh"];
  const texts = await Promise.all(scripts.map((name) => Deno.readTextFile(join(here, name))));
  const digest = sha256OfTexts(guestDigest, finish, ...texts).slice(0, 16);
  const folder = await cachedFolder(`guest-${digest}`, async (draft) => {
    const tree = join(draft, "tree");
    await output("cp", ["--archive", await unpackGuest(), tree]);
    await Deno.mkdir(join(tree, "first"));
    await output("install", ["-m", "755", join(here, "first.sh"), join(tree, "first/init")]);
    await output("install", ["-m", "755", join(here, "init.sh"), join(tree, "sbin/guest-init")]);
    await output("chroot", [tree, "/bin/sh", "-c", finish], { timeoutMs: 180_000 });
    await Deno.rename(join(tree, "first.cpio"), join(draft, "initrd"));
    const [kernel] = [...Deno.readDirSync(join(tree, "boot"))].filter(({ name }) =>
      name.startsWith("vmlinuz-")
    );
    await Deno.rename(join(tree, "boot", kernel!.name), join(draft, "kernel"));
    await makeDisk(tree, join(draft, "disk"), 1024);
    await Deno.remove(tree, { recursive: true });
  });
  return { kernel: join(folder, "kernel"), initrd: join(folder, "initrd"), disk: join(folder, "disk") };
}

/** Makes a disk of so many MiB with the files of a folder. @throws {Error} with what mke2fs said */
export async function makeDisk(folder: string, disk: string, mebibytes: number): Promise<void> {
  const options = ["-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0,nodiscard", "-m", "0"];
  await output("mke2fs", [...options, "-d", folder, disk, `${mebibytes}M`], { timeoutMs: 180_000 });
}
