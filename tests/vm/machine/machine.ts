/**
 * The emulated machine. There is no network in it but the guest's own: what the tests need of one, the guest makes of namespaces.
 *
 * @module
 */

import { join } from "@std/path";
import { capture } from "../../../tools/command.ts";
import { libraryFolders, loaderOf } from "../../../tools/debian_packages.ts";
import type { GuestImage } from "./image.ts";
import { unpackEmulator } from "./packages.ts";

/** What a machine is started with. */
export interface Boot {
  /** The guest's system. */
  readonly image: GuestImage;
  /** The disk that is /spfs in the guest. Only read. */
  readonly job: string;
  /** The file that the guest's third disk is, onto which it writes its results. */
  readonly results: string;
  /** The file that gets what the guest writes to its console. */
  readonly console: string;
  /** After how many seconds the guest ends the tests by itself. */
  readonly seconds: number;
}

/** What the guest needs for starting and for telling the results, in seconds, when its host is busy. */
const MARGIN_S = 120;

/**
 * Starts a machine, at the lowest priority, and waits until it is switched off.
 *
 * @throws {Error} when there is no emulator, when it fails, or when the machine is not off in time; it is off then
 */
export async function runMachine({ image, job, results, console, seconds }: Boot): Promise<void> {
  const tree = await unpackEmulator();
  const share = join(tree, "usr/share");
  const disk = (file: string, options: string) => [
    "-drive",
    `if=virtio,file=${file},format=raw,cache=unsafe,${options}`,
  ];
  const parameters = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on";
  const limit = seconds + MARGIN_S;
  const { ok, code, stderr } = await capture("timeout", [
    // Ends also when whoever started it has ended.
    ...["--kill-after=10", String(limit), "nice", "-n", "19"],
    ...[await loaderOf(tree), "--library-path", (await libraryFolders(tree)).join(":")],
    ...[join(tree, "usr/bin/qemu-system-x86_64"), "-L", join(share, "qemu"), "-L", join(share, "seabios")],
    // Guests of Debian do not start on every /dev/kvm that looks usable.
    ...["-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2", "-m", "3072"],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", `file:${console}`],
    ...["-kernel", image.kernel, "-initrd", image.initrd],
    ...["-append", `${parameters} SPFS_SECONDS=${seconds}`],
    ...disk(image.disk, "snapshot=on"),
    ...disk(job, "readonly=on"),
    ...disk(results, "readonly=off"),
  ], { timeoutMs: (limit + 20) * 1000 });
  if (!ok) throw new Error(`the emulator ended with ${code}: ${stderr.trim()}`);
}
