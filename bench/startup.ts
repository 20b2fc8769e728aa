/**
 * How long until a mount is there, what a call costs, and what the daemon weighs.
 *
 * @module
 */
import { Daemon, processStatus, type Program } from "./daemon.ts";
import { type Figure, figure, round } from "./statistics.ts";
import { Workspace } from "./workspace.ts";

/** From spawn to a mount that is visible in mountinfo, in milliseconds. */
export async function ready(program: Program, rounds: number): Promise<Figure> {
  await using workspace = new Workspace();
  const values: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const mountpoint = workspace.directory(`ready${n}`);
    const start = performance.now();
    await using daemon = await Daemon.start(program);
    await daemon.control.call("mount.create", { id: "ready", mountpoint });
    if (!Deno.readTextFileSync("/proc/self/mountinfo").includes(` ${mountpoint} `)) {
      throw new Error("no mount");
    }
    values.push(performance.now() - start);
  }
  return figure(values);
}

/** A whole `spfs call status`, from spawn to exit, in milliseconds. */
export async function callRoundTrip(program: Program, rounds: number): Promise<Figure> {
  await using workspace = new Workspace();
  const socket = `${workspace.directory("run")}/control.sock`;
  Deno.chmodSync(`${workspace.path}/run`, 0o700);
  await using _daemon = await Daemon.start(program, { socket });
  const values: number[] = [];
  for (let n = 0; n <= rounds; n++) {
    const start = performance.now();
    const { success, stderr } = await new Deno.Command(program.command, {
      args: [...program.args, "call", "--socket", socket, "status", "{}"],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    if (n > 0) values.push(performance.now() - start); // the first one warms the page cache
  }
  return figure(values);
}

/** Resident memory with one mount, what each further one adds (both MB), and how long they took to make (ms). */
export async function memory(program: Program, mounts: number) {
  await using workspace = new Workspace();
  await using daemon = await Daemon.start(program);
  const make = (n: number) =>
    daemon.control.call("mount.create", { id: `m${n}`, mountpoint: workspace.directory(`m${n}`) });
  await make(0);
  const rss = () => processStatus(daemon.pid, "VmRSS") / 1024;
  const one = rss();
  const start = performance.now();
  await Promise.all(Array.from({ length: mounts - 1 }, (_, n) => make(n + 1)));
  const took = performance.now() - start;
  return {
    mounts,
    oneMountMB: round(one),
    perFurtherMountMB: round((rss() - one) / (mounts - 1)),
    threads: processStatus(daemon.pid, "Threads"),
    allMadeMs: round(took),
  };
}
