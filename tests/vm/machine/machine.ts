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
  /** After how many seconds the guest has ended the tests by itself. */
  readonly seconds: number;
}

/** What a machine has of memory, in MiB. */
export const MEMORY_MIB = 2048;

/** What the guest needs for starting and for telling the results, in seconds, when its host is busy. */
const MARGIN_S = 120;

/**
 * Starts a machine and waits until it is switched off.
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
  // An emulated machine on a busy one misses ticks, which the kernel takes for a broken timer or a hang.
  const patience = "no_timer_check nowatchdog";
  const parameters = `console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on ${patience}`;
  const limit = seconds + MARGIN_S;
  const { ok, code, stderr } = await capture("timeout", [
    // Ends also when whoever started it has ended.
    ...["--kill-after=10", String(limit)],
    ...[await loaderOf(tree), "--library-path", (await libraryFolders(tree)).join(":")],
    ...[join(tree, "usr/bin/qemu-system-x86_64"), "-L", join(share, "qemu"), "-L", join(share, "seabios")],
    // Guests of Debian do not start on every /dev/kvm that looks usable. One processor: where the host's are busy, two spend most of their
    // time waiting for each other.
    ...["-M", "q35", "-accel", "tcg,tb-size=512", "-cpu", "max", "-smp", "1", "-m", String(MEMORY_MIB)],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", `file:${console}`],
    ...["-kernel", image.kernel, "-initrd", image.initrd],
    ...["-append", parameters],
    ...disk(image.disk, "snapshot=on"),
    ...disk(job, "readonly=on"),
    ...disk(results, "readonly=off"),
  ], { timeoutMs: (limit + 20) * 1000 });
  if (!ok) throw new Error(`the emulator ended with ${code}: ${stderr.trim()}`);
}
