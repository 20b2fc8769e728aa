/**
 * What many waiting requests cost, and how fast they come back.
 *
 * @module
 */
import { cpuTimeMs, Daemon, processStatus, type Program } from "./daemon.ts";
import { figure, round } from "./statistics.ts";
import { Workspace } from "./workspace.ts";

const IDLE_SECONDS = 3;

interface Returned {
  readonly count: number;
  readonly firstMs: number;
  readonly medianMs: number;
  readonly lastMs: number;
  readonly early: number;
  readonly failed: number;
}

/** A child that prints a line when it is ready and goes on when it is given a byte. */
class Client {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  constructor(program: string, args: string[]) {
    this.#child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async go(): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new Uint8Array([10]));
    writer.releaseLock();
  }

  async line(): Promise<string> {
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error(`the client ended: ${text}`);
      text += value;
    }
    return text.trim();
  }

  async end(): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    await this.#child.status;
  }
}

/** Waits until a number of requests is parked at the mount "w", as the daemon's events say. */
function parked(daemon: Daemon, count: number): Promise<void> {
  return new Promise((resolve) => {
    daemon.onEvent = (event) => {
      if (event.event === "request.parked" && event.params.count >= count) resolve();
    };
  });
}

/** `count` clients wait in stat(2); then the real file system comes. */
export async function waiting(program: Program, count: number) {
  await using workspace = new Workspace();
  const waiters = await workspace.build("waiters.c");
  const mountpoint = workspace.directory("mount");
  const real = workspace.directory("real");
  await using daemon = await Daemon.start(program);
  await daemon.control.call("mount.create", { id: "w", mountpoint, mode: "stub" });
  const before = { threads: processStatus(daemon.pid, "Threads"), rss: processStatus(daemon.pid, "VmRSS") };
  const all = parked(daemon, count);
  const client = new Client(waiters, [mountpoint, String(count)]);
  await client.line();
  await all;
  const rss = processStatus(daemon.pid, "VmRSS");
  const threads = processStatus(daemon.pid, "Threads");
  const cpu = cpuTimeMs(daemon.pid);
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000)); // the measurement itself: CPU used in this time
  const cpuPercent = (cpuTimeMs(daemon.pid) - cpu) / (IDLE_SECONDS * 10);
  await client.go();
  await daemon.control.call("mount.replace", { mount: "w", source: real, type: "bind", wait: true });
  const returned = JSON.parse(await client.line()) as Returned;
  await client.end();
  return {
    count,
    threadsAdded: threads - before.threads,
    rssBytesPerRequest: Math.round((rss - before.rss) * 1024 / count),
    cpuPercentWhileWaiting: round(cpuPercent),
    releaseMs: { first: returned.firstMs, median: returned.medianMs, last: returned.lastMs },
    failed: returned.failed + returned.early,
  };
}

/** Milliseconds from SIGKILL of a waiting client until it can be reaped. */
export async function killed(program: Program, count: number) {
  await using workspace = new Workspace();
  const waiters = await workspace.build("waiters.c");
  const mountpoint = workspace.directory("mount");
  await using daemon = await Daemon.start(program);
  await daemon.control.call("mount.create", { id: "w", mountpoint, mode: "stub" });
  const all = parked(daemon, count);
  const client = new Client(waiters, ["--kill", mountpoint, String(count)]);
  await client.line();
  await all;
  await client.go();
  const times = JSON.parse(await client.line()) as number[];
  await client.end();
  return figure(times);
}
