/**
 * `deno task soak [MINUTES]`, an hour by default: stress-ng and fio check what they write through a mount that leaves proxy mode and
 * comes back every second, round after round. Between two rounds, when all is closed and forgotten, it looks what the mount still has.
 *
 * A line for each round on stderr, a summary as JSON on stdout. Fails on an error of a suite, an error in the mount's log, a node, handle
 * or file that is left, and on memory that grows. Three mounts take turns: `strict` and `cached` over xfs, of whose names and attributes the
 * kernel keeps nothing, and for a second; and `remote` over a FUSE, whose calls other threads make.
 *
 * @module
 */
import type { Ended } from "../tests/e2e/support/child.ts";
import { statusNumber } from "../tests/e2e/support/proc.ts";
import { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { fileSystems } from "../tests/posix/support/file_systems.ts";
import { suites } from "../tests/posix/support/suites.ts";
import { StubMount } from "../tests/support/fuse/stub_mount.ts";
import { median } from "./statistics.ts";

/** How long each mode lasts, in milliseconds. */
const MODE_MS = 500;
/** A round takes a minute or two on a machine that does nothing else; one that takes so long hangs. */
const LIMIT_MS = 1_200_000;
/** Within this time a mount that nobody uses has given memory back (host/memory_return.ts), in milliseconds. */
const MEMORY_MS = 35_000;
/** How long closing what nobody uses may take, in milliseconds. */
const CLOSING_MS = 10_000;
/** Until then the runtime's heap finds its size. */
const WARM_UP_ROUNDS = 4;
/** How much larger the process may be in the last rounds than in the first ones, in MiB. */
const GROWTH_MIB = 16;
const SUITES = ["stress-ng", "fio"] as const;

/** What a mount and its process have when nobody uses it. */
interface Rest {
  readonly nodes: number;
  readonly handles: number;
  readonly files: number;
  readonly rssMib: number;
}

/** Has everything that nobody uses forgotten by the kernel, and looks what is left; `files`: of those below the backing. */
async function restOf(mount: StubMount, backing: string): Promise<Rest> {
  await mount.shell("mount -i -o remount,rw $M");
  const wanted = ({ nodes, handles }: { nodes: number; handles: number }) => nodes === 1 && handles === 0;
  const { nodes, handles } = await mount.until(wanted, "everything to be closed and forgotten");
  const below = (links: Map<string, string>) =>
    [...links.values()].filter((link) => link.startsWith(backing));
  let files = below(await mount.descriptors()).length;
  // The last ones are being closed by another thread when everybody has been answered.
  const until = performance.now() + CLOSING_MS;
  while (files > 1 && performance.now() < until) files = below(await mount.descriptors()).length;
  return { nodes, handles, files, rssMib: await smallestSize(mount.pid) };
}

/** The smallest size of a process within some time in which nobody uses it, in MiB. */
async function smallestSize(pid: number): Promise<number> {
  let smallest = Infinity;
  for (const until = performance.now() + MEMORY_MS; performance.now() < until;) {
    smallest = Math.min(smallest, statusNumber(pid, "VmRSS") / 1024);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  return smallest;
}

/** One round. Returns how often the mode was left, and what the suites said when they failed. */
async function round(mount: StubMount, sandbox: Sandbox): Promise<{ switches: number; failures: string[] }> {
  await mount.shell(`mkdir ${SUITES.map((name) => `$M/${name}`).join(" ")}`);
  const children = SUITES.map((name) => {
    const [program, ...args] = suites[name](mount.path(name));
    return sandbox.start(program!, args, { limitMs: LIMIT_MS });
  });
  let over = false;
  const ended = Promise.all(children.map((child) => child.ended())).finally(() => over = true);
  const switches = await switchModes(mount, ended, () => over);
  const failed = (await ended).map(({ code, stdout, stderr }: Ended, at) =>
    code === 0 ? "" : `${SUITES[at]} ended with ${code}:\n${stdout}${stderr}`
  );
  // stress-ng leaves a file that cannot be removed when its time is over between two of its changes of flags.
  await mount.shell(
    `chattr -R -ia $M/stress-ng || true; rm -r ${SUITES.map((name) => `$M/${name}`).join(" ")}`,
  );
  return { switches, failures: failed.filter((text) => text !== "") };
}

async function switchModes(mount: StubMount, ended: Promise<unknown>, over: () => boolean): Promise<number> {
  let switches = 0;
  const pause = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MODE_MS);
    return Promise.race([promise, ended]).finally(() => clearTimeout(timer));
  };
  for (; !over(); switches++) {
    await mount.stub();
    await pause();
    await mount.proxy();
    await pause();
  }
  return switches;
}

/** What has grown or is left, as lines. */
function leaks(rests: readonly Rest[]): string[] {
  const steady = rests.slice(WARM_UP_ROUNDS);
  if (steady.length < 2) return [];
  const lines: string[] = [];
  const part = Math.ceil(steady.length / 3);
  const size = (some: readonly Rest[]) => median(some.map(({ rssMib }) => rssMib));
  const [early, late] = [size(steady.slice(0, part)), size(steady.slice(-part))];
  if (late > early + GROWTH_MIB) lines.push(`${late.toFixed(1)} MiB, ${early.toFixed(1)} MiB before`);
  return lines;
}

async function soak(minutes: number): Promise<Record<string, unknown>> {
  await using sandbox = new Sandbox("spfs-soak-");
  const backing = await fileSystems.xfs!(sandbox);
  const names = ["strict", "cached", "remote"] as const;
  const rests: Record<typeof names[number], Rest[]> = { strict: [], cached: [], remote: [] };
  const failures: string[] = [];
  const until = performance.now() + minutes * 60_000;
  let [rounds, switches, served] = [0, 0, 0];
  {
    // Who waits in stub mode is not to be woken by the timers of the suites.
    const start = (attrTimeoutMs: number) => StubMount.start({ interrupts: "fatal", attrTimeoutMs });
    await using server = await start(0);
    await using strict = await start(0);
    await using cached = await start(1000);
    await using remote = await start(0);
    for (const name of names) await Deno.mkdir(`${backing}/${name}`);
    await server.proxy(`${backing}/remote`);
    const mounts = { strict, cached, remote };
    const backings = {
      strict: `${backing}/strict`,
      cached: `${backing}/cached`,
      remote: server.mountpoint,
    };
    for (const name of names) await mounts[name].proxy(backings[name]);
    while (performance.now() < until && failures.length === 0) {
      const name = names[rounds++ % names.length]!;
      const mount = mounts[name];
      const result = await round(mount, sandbox);
      const rest = await restOf(mount, backings[name]);
      switches += result.switches;
      failures.push(...result.failures, ...mount.log.filter((line) => line.startsWith("error")));
      if (rest.files > 1) failures.push(`${name}: ${rest.files} files of the backing are open`); // its root is
      rests[name].push(rest);
      const { nodes, handles, files, rssMib } = rest;
      console.error(
        `round ${rounds}, ${name}: ${result.switches} switches, then ${nodes} node, ${handles} handles, ` +
          `${files} open files, ${rssMib.toFixed(1)} MiB`,
      );
    }
    for (const mount of Object.values(mounts)) {
      served += (await mount.inspect()).served;
      await mount.unmount();
    }
  }
  for (const [name, some] of Object.entries(rests)) {
    failures.push(...leaks(some).map((line) => `${name}: ${line}`));
  }
  const ends = Object.fromEntries(
    Object.entries(rests).map(([name, some]) => [name, { warm: some[WARM_UP_ROUNDS], last: some.at(-1) }]),
  );
  return { minutes, rounds, switches, served, ...ends, failures };
}

const minutes = Number(Deno.args[0] ?? 60);
if (!(minutes > 0)) {
  console.error("deno task soak [MINUTES]");
  Deno.exit(2);
}
const report = await soak(minutes);
console.log(JSON.stringify(report, null, 2));
if ((report.failures as string[]).length > 0) Deno.exit(1);
