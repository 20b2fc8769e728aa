/**
 * What an operation costs in proxy mode, beside the native file system and beside libfuse's own passthrough_ll.
 *
 * The contestants take turns, all pinned to one CPU with their client: what a wake-up across CPUs costs on a virtual machine would
 * otherwise drown what is compared. Both FUSE servers run with `default_permissions` and the same cache times.
 *
 * @module
 */
import { Daemon, type Program } from "./daemon.ts";
import { type Figure, figure, round } from "./statistics.ts";
import { run, Workspace } from "./workspace.ts";

/** What is measured: microseconds, but MiB/s for the two of 1 MiB. */
export const OPERATIONS = [
  "stat",
  "open",
  "create",
  "unlink",
  "read4k",
  "write4k",
  "read1m",
  "write1m",
] as const;

const PASSTHROUGH_LL = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c";
const PIN = ["taskset", "-c", "1"];

type Contestant = "native" | "passthrough_ll" | "spfs";

/** One comparison. `cacheSeconds` is how long the kernel may cache names and attributes; 0: it asks every time. */
export async function operations(
  program: Program,
  cacheSeconds: number,
  rounds: number,
  secondsEach: number,
) {
  await using workspace = new Workspace();
  const client = await workspace.build("operations.c");
  const real = workspace.directory("real");
  const directories: Record<Contestant, string> = {
    native: real,
    passthrough_ll: workspace.directory("passthrough_ll.mnt"),
    spfs: workspace.directory("spfs.mnt"),
  };
  const flags = (await run("pkg-config", ["--cflags", "--libs", "fuse3"])).trim().split(/\s+/);
  const passthrough = await workspace.build(PASSTHROUGH_LL, flags);
  const options = `source=${real},timeout=${cacheSeconds},default_permissions,allow_other`;
  const [command, ...args] = [...PIN, passthrough, "-f", "-o", options, directories.passthrough_ll];
  const other = new Deno.Command(command!, { args, stdout: "null", stderr: "null" }).spawn();
  await using daemon = await Daemon.start(program, { prefix: PIN });
  try {
    const attrTimeoutMs = cacheSeconds * 1000;
    await daemon.control.call("mount.create", { id: "o", mountpoint: directories.spfs, attrTimeoutMs });
    // Whoever stood on the stub when it was replaced stays there, in proxy mode: that is where spfs is measured.
    await using holder = new Holder(directories.spfs);
    await holder.run("pwd");
    await daemon.control.call("mount.replace", { mount: "o", source: real, type: "bind", wait: true });
    await mounted(directories.passthrough_ll);
    const times: Record<Contestant, Record<string, number[]>> = { native: {}, passthrough_ll: {}, spfs: {} };
    for (let n = 0; n < rounds; n++) {
      for (const name of Object.keys(directories) as Contestant[]) {
        const words = [
          ...PIN,
          client,
          name === "spfs" ? "." : directories[name],
          String(secondsEach),
          ...OPERATIONS,
        ];
        const result = JSON.parse(await holder.run(words.join(" "))) as Record<string, number>;
        for (const [operation, value] of Object.entries(result)) (times[name][operation] ??= []).push(value);
      }
    }
    return { cacheSeconds, unit: "us; MiB/s for read1m and write1m", ...summary(times) };
  } finally {
    await run("umount", ["-l", directories.passthrough_ll]).catch(() => {});
    await other.status; // it ends when it is unmounted
  }
}

function summary(times: Record<Contestant, Record<string, number[]>>) {
  const figures: Record<
    string,
    Record<Contestant, Figure> & { costToPassthroughLl: number; costToNative: number }
  > = {};
  for (const operation of OPERATIONS) {
    const of = (name: Contestant) => figure(times[name][operation]!);
    const all = { native: of("native"), passthrough_ll: of("passthrough_ll"), spfs: of("spfs") };
    const rate = operation === "read1m" || operation === "write1m"; // more is better: turn the ratio round
    const cost = (against: Contestant) => {
      const ratio = all.spfs.median / all[against].median;
      return round(rate ? 1 / ratio : ratio);
    };
    figures[operation] = {
      ...all,
      costToPassthroughLl: cost("passthrough_ll"),
      costToNative: cost("native"),
    };
  }
  return { figures };
}

/** A shell whose working directory is a directory, whatever is mounted over it later. */
class Holder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(directory: string) {
    const script = 'cd "$0" && while read -r line; do $line; done';
    this.#child = new Deno.Command("sh", { args: ["-c", script, directory], stdin: "piped", stdout: "piped" })
      .spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#input = this.#child.stdin.getWriter();
  }

  /** Runs a command of words without quotes, which prints one line. */
  async run(line: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`${line}: the shell ended: ${text}`);
      text += value;
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }
}

async function mounted(path: string): Promise<void> {
  const until = performance.now() + 10_000;
  while (!Deno.readTextFileSync("/proc/self/mountinfo").includes(` ${path} `)) {
    if (performance.now() > until) throw new Error(`${path}: not mounted after 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
