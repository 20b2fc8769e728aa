/**
 * What many waiting requests cost, and how fast they come back.
 *
 * @module
 */
import { cpuTimeNs, statusNumber } from "../tests/e2e/support/proc.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../tests/e2e/support/spfs.ts";
import { victim } from "../tests/e2e/support/victims.ts";
import { type Figure, figure, round } from "./statistics.ts";

const IDLE_MS = 3000;
const SIGKILL = 9;

/** The n-th file that the clients ask for; its name and a newline are its contents. */
function nameOf(n: number): string {
  return `f${String(n).padStart(5, "0")}`;
}

/** `count` clients wait in stat(2) or open(2), each for a file of its own; then the real file system comes. */
export async function waiting(sandbox: Sandbox, binary: Binary, operation: "stat" | "open", count: number) {
  const mountpoint = sandbox.directory("mount");
  const real = sandbox.directory("real");
  for (let n = 0; n < count; n++) Deno.writeTextFileSync(`${real}/${nameOf(n)}`, `${nameOf(n)}\n`);
  const spfs = await Spfs.start(sandbox, binary, { socket: false });
  await spfs.call("mount.create", { id: "w", mountpoint, mode: "stub" });
  const clients = sandbox.start(victim("blocked"), [operation, String(count), mountpoint]);
  await clients.line();
  const before = { threads: statusNumber(spfs.pid, "Threads"), rss: statusNumber(spfs.pid, "VmRSS") };
  await clients.ask("go");
  await spfs.parked("w", count);
  const rss = statusNumber(spfs.pid, "VmRSS");
  const threads = statusNumber(spfs.pid, "Threads");
  const cpu = cpuTimeNs(spfs.pid);
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS)); // the measurement itself: CPU used in this time
  const cpuMs = (cpuTimeNs(spfs.pid) - cpu) / 1e6;
  const idleMs = performance.now() - from;
  await clients.ask("mark");
  await spfs.call("mount.replace", { mount: "w", source: real, type: "bind", wait: true });
  const returned = JSON.parse(await clients.line()) as {
    firstNs: number;
    medianNs: number;
    lastNs: number;
    returned: number;
    early: number;
    wrong: number;
  };
  await spfs.quit();
  return {
    operation,
    count,
    threadsAdded: threads - before.threads,
    rssBytesPerRequest: Math.round((rss - before.rss) * 1024 / count),
    cpuPercentWhileWaiting: round(cpuMs / idleMs * 100),
    releaseMs: {
      first: round(returned.firstNs / 1e6),
      median: round(returned.medianNs / 1e6),
      last: round(returned.lastNs / 1e6),
    },
    failed: count - returned.returned + returned.early + returned.wrong,
  };
}

/** Milliseconds from SIGKILL of a client that waits in stat(2) until it can be reaped. */
export async function killed(sandbox: Sandbox, binary: Binary, count: number): Promise<Figure> {
  const mountpoint = sandbox.directory("mount");
  const spfs = await Spfs.start(sandbox, binary, { socket: false });
  await spfs.call("mount.create", { id: "w", mountpoint, mode: "stub" });
  const clients = sandbox.start(victim("signalled"), ["stat", String(count), mountpoint]);
  await clients.line();
  await clients.ask("go");
  await spfs.parked("w", count);
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    times.push(Number((await clients.ask(`reap ${n} ${SIGKILL}`)).split(" ")[1]) / 1e6);
  }
  await spfs.quit();
  return figure(times);
}
