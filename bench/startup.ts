/**
 * How long until a mount is there, what a call costs, and what the daemon weighs.
 *
 * @module
 */
import { mountsBelow, statusNumber } from "../tests/e2e/support/proc.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../tests/e2e/support/spfs.ts";
import { type Figure, figure, round } from "./statistics.ts";

/** From spawn to a mount that is visible in mountinfo, in milliseconds. The first round, which warms the page cache, is left out. */
export async function ready(sandbox: Sandbox, binary: Binary, rounds: number): Promise<Figure> {
  const values: number[] = [];
  for (let n = 0; n <= rounds; n++) {
    const mountpoint = sandbox.directory(`ready${n}`);
    const start = performance.now();
    const spfs = await Spfs.start(sandbox, binary, { socket: false });
    await spfs.call("mount.create", { id: "ready", mountpoint });
    if (mountsBelow(mountpoint).length !== 1) throw new Error(`${mountpoint} is not mounted`);
    const took = performance.now() - start;
    if (n > 0) values.push(took);
    await spfs.quit();
  }
  return figure(values);
}

/** A whole `spfs call status`, from spawn to exit, in milliseconds, with a daemon of the same kind. */
export async function callRoundTrip(sandbox: Sandbox, binary: Binary, rounds: number): Promise<Figure> {
  const spfs = await Spfs.start(sandbox, binary);
  const [program, ...first] = binary.command;
  const values: number[] = [];
  for (let n = 0; n <= rounds; n++) {
    const start = performance.now();
    const { success, stderr } = await new Deno.Command(program, {
      args: [...first, "call", "--socket", spfs.socket, "status", "{}"],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    if (n > 0) values.push(performance.now() - start);
  }
  await spfs.quit();
  return figure(values);
}

/** Resident memory with one mount, what each further one adds (both MB), and how long they took to make (ms). */
export async function memory(sandbox: Sandbox, binary: Binary, mounts: number) {
  const spfs = await Spfs.start(sandbox, binary, { socket: false });
  const make = (n: number) =>
    spfs.call("mount.create", { id: `m${n}`, mountpoint: sandbox.directory(`mounts/${n}`) });
  await make(0);
  const rss = () => statusNumber(spfs.pid, "VmRSS") / 1024;
  const one = rss();
  const start = performance.now();
  await Promise.all(Array.from({ length: mounts - 1 }, (_, n) => make(n + 1)));
  const took = performance.now() - start;
  const result = {
    oneMountMB: round(one),
    perFurtherMountMB: round((rss() - one) / (mounts - 1)),
    threads: statusNumber(spfs.pid, "Threads"),
    allMadeMs: round(took),
  };
  await spfs.quit();
  return result;
}
