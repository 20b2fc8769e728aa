/**
 * The Debian packages of which the machine is made: the emulator, and what its guest consists of.
 *
 * @module
 */

import { sha256OfTexts } from "../../../tools/digest.ts";
import { unpackPackages } from "../../../tools/debian_packages.ts";

/** The Debian of both. Its emulator is the first one that starts this guest reliably without hardware virtualisation. */
const SUITE = "trixie";

const emulator = ["qemu-system-x86", "seabios"];

const guest = [
  // What starts.
  "linux-image-cloud-amd64",
  "busybox-static",
  "base-files",
  "base-passwd",
  "netbase",
  "bash",
  "dash",
  "coreutils",
  "util-linux",
  "mount",
  "kmod",
  "procps",
  "iproute2",
  "nftables",
  "libc-bin",
  "findutils",
  "hostname",
  "grep",
  "sed",
  "tar",
  "xz-utils",
  // What it is for.
  "criu",
  "libfuse3-4",
  "fuse3",
  "nfs-kernel-server",
  "nfs-common",
  "rpcbind",
  "sshfs",
  "openssh-sftp-server",
  "socat",
];

/** A digest of what the guest consists of. */
export const guestDigest: string = sha256OfTexts(SUITE, ...guest).slice(0, 16);

/** The folder with the emulator; takes seconds when it is not there yet. @throws {Error} when it cannot be had */
export function unpackEmulator(): Promise<string> {
  return unpackPackages(`emulator-${SUITE}`, SUITE, emulator);
}

/** The folder with what the guest consists of; takes seconds when it is not there yet. @throws {Error} when it cannot be had */
export function unpackGuest(): Promise<string> {
  return unpackPackages(`guest-packages-${guestDigest}`, SUITE, guest);
}
