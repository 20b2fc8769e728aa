/**
 * What a restore by CRIU takes longer for spfs: the same images are restored onto the real mounts, and onto stand-ins that are made of the
 * images, by CRIU's action script, by its plugin, starting the daemon or finding it there, and by `spfs restore`, in turn.
 *
 * @module
 */
import { run } from "../tests/e2e/support/child.ts";
import { Images } from "../tests/e2e/support/criu.ts";
import { cpuTimeNs, isAlive, mountsBelow, until } from "../tests/e2e/support/proc.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import type { Binary } from "../tests/e2e/support/spfs.ts";
import { compile } from "../tests/e2e/support/victims.ts";
import { byPlugin, startAhead, ways } from "../tests/e2e/support/ways.ts";
import { exists } from "../tools/cache_directory.ts";
import { pluginPath } from "../tools/plugin.ts";
import { type Figure, figure } from "./statistics.ts";

const SOURCE = new URL("programs/restored.c", import.meta.url).pathname;
/** A daemon is at rest that in so many looks in a row, 5 ms apart, has used less than so many nanoseconds of a processor since the last. */
const [REST_LOOKS, REST_NS] = [20, 1_000_000];
const [PROCESSES, FILES, MOUNTS] = [50, 10, 3];

/** How long `criu restore --restore-detached` ran, in milliseconds. */
export interface RestoreTimes {
  /** The tree. */
  readonly processes: number;
  /** What it has open. */
  readonly files: number;
  /** On so many mounts. */
  readonly mounts: number;
  /** Onto the real mounts, without spfs. */
  readonly withoutMs: Figure;
  /** Onto stand-ins, in each way. */
  readonly ways: Record<string, {
    /** The real file systems being away. */
    readonly awayMs: Figure;
    /** The real file systems being there. */
    readonly thereMs: Figure;
    /** What the medians of the two are longer than that without spfs. */
    readonly addedMs: { readonly away: number; readonly there: number };
  }>;
}

/** Measures. */
export async function restore(sandbox: Sandbox, binary: Binary, rounds: number): Promise<RestoreTimes> {
  const program = sandbox.at("restored");
  compile(SOURCE, program);
  const reals = names("real").map((name) => sandbox.directory(name));
  const mountpoints = names("mnt").map((name) => sandbox.directory(name));
  const runtime = sandbox.directory("run", 0o700);
  for (let n = 0; n < PROCESSES * FILES; n++) Deno.writeTextFileSync(`${reals[n % MOUNTS]}/f${n}`, `${n}\n`);
  const mountReals = async () => {
    for (const [n, real] of reals.entries()) await run("mount", ["--bind", real, mountpoints[n]!]);
  };
  await mountReals();
  // In a pid namespace of its own: with its first process all others end, and their pids are free again.
  const args = ["--pid", "--fork", program, String(PROCESSES), String(FILES), ...mountpoints];
  const parent = sandbox.start("unshare", args, { limitMs: 600_000 });
  await parent.line();
  const init = Number(Deno.readTextFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`));
  const images = await Images.dump(sandbox, init);
  const pidfile = sandbox.at("pid");
  const clear = async () => {
    const pid = Number(Deno.readTextFileSync(pidfile));
    Deno.kill(pid, "SIGKILL");
    await until("the end of the tree", () => !isAlive(pid));
    await until("the end of the daemon", () => [...Deno.readDirSync(runtime)].length === 0, 30_000);
    for (const { mountpoint } of mountsBelow(sandbox.path)) await run("umount", ["--lazy", mountpoint]);
    Deno.removeSync(pidfile);
  };
  for (const mountpoint of mountpoints) await run("umount", [mountpoint]);
  const timed = async (restore: () => Promise<number>) => {
    const began = performance.now();
    await restore();
    return performance.now() - began;
  };
  const options = ["--pidfile", pidfile];
  const hasPlugin = await exists(pluginPath);
  const started = ways.map((way) => ({ name: way.name, way, isAhead: false }));
  const contestants = [...started, { name: "plugin, daemon there before", way: byPlugin, isAhead: true }];
  const usable = contestants.filter(({ way }) => !way.needs.plugin || hasPlugin);
  const configure = (sources: readonly string[]) =>
    Deno.writeTextFileSync(
      `${images.directory}/spfs-restore.json`,
      JSON.stringify({
        mounts: mountpoints.map((mountpoint, n) => ({
          mountpoint,
          replace: { source: sources[n], type: "bind" },
        })),
        replace: { retry: { maxMs: 100, errnos: ["ENOENT"] } },
      }),
    );
  const without: number[] = [];
  const times = usable.map((contestant) => ({ ...contestant, away: [] as number[], there: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    await mountReals();
    without.push(await timed(() => images.restorePlainly(options)));
    await clear();

    for (const { way, isAhead, away, there } of times) {
      const throughSpfs = async () => {
        if (isAhead) await atRest((await startAhead(sandbox, { binary, runtime })).pid);
        return await timed(() => way.restore(images, { binary, runtime, options }));
      };
      configure(reals.map((real) => `${real}.away`));
      away.push(await throughSpfs());
      reals.forEach((real) => Deno.renameSync(real, `${real}.away`));
      const isReplaced = () => mountsBelow(sandbox.path).every(({ fstype }) => fstype !== "fuse.spfs");
      await until("the real file systems", isReplaced);
      await clear();
      reals.forEach((real) => Deno.renameSync(`${real}.away`, real));

      configure(reals);
      there.push(await throughSpfs());
      await clear();
    }
  }
  const withoutMs = figure(without);
  const added = ({ median }: Figure) => Math.round(median - withoutMs.median);
  const results = times.map(({ name, away, there }) => {
    const [awayMs, thereMs] = [figure(away), figure(there)];
    return [name, { awayMs, thereMs, addedMs: { away: added(awayMs), there: added(thereMs) } }] as const;
  });
  return {
    processes: PROCESSES,
    files: PROCESSES * FILES,
    mounts: MOUNTS,
    withoutMs,
    ways: Object.fromEntries(results),
  };
}

/** Waits until a daemon is at rest: what it does ahead would otherwise be measured. */
async function atRest(pid: number): Promise<void> {
  let [used, looks] = [0, 0];
  await until("the daemon's rest", () => {
    const before = used;
    used = cpuTimeNs(pid);
    looks = used - before < REST_NS ? looks + 1 : 0;
    return looks === REST_LOOKS;
  });
}

function names(what: string): string[] {
  return Array.from({ length: MOUNTS }, (_, n) => `${what}${n}`);
}
