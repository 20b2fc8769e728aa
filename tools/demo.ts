/**
 * `deno task demo`: a process is dumped, its file system goes away, CRIU restores it onto spfs, it waits, the file system comes back,
 * the process is moved there and goes on, and spfs is gone. Says what happens and what was checked. Needs root; everything that it makes lies in a temporary directory and is
 * gone afterwards, also after Ctrl-C. Exit code 0: all was as it should be.
 *
 * @module
 */

import { eventLine } from "../cli/event_line.ts";
import { swapText } from "../cli/swap_text.ts";
import { connect } from "../control/client.ts";
import type { WireSwapResult } from "../control/wire_swap.ts";
import { type Child, run } from "../tests/e2e/support/child.ts";
import { Images } from "../tests/e2e/support/criu.ts";
import { patternBytes } from "../tests/e2e/support/pattern.ts";
import { recordTree } from "../tests/e2e/support/placeholder.ts";
import { isAlive, mountsBelow, processState, until, within } from "../tests/e2e/support/proc.ts";
import { mountOf, references } from "../tests/e2e/support/references.ts";
import { Remote } from "../tests/e2e/support/remote.ts";
import { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, compiled, denoRun, isThere } from "../tests/e2e/support/spfs.ts";
import { victim } from "../tests/e2e/support/victims.ts";

const DATA_BYTES = 200_000;
const PAGE_BYTES = 4096;

let step = 0;
let checks = 0;

function title(text: string): void {
  console.log(`\n${++step}. ${text}`);
}

function tell(text: string): void {
  console.log(`   ${text}`);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`this does not hold: ${what}`);
  checks++;
  console.log(`   [ok] ${what}`);
}

/** What the logger wrote about itself, outside of the file system that goes away. */
class Observations {
  constructor(readonly path: string) {}

  /** How many rounds it has done. */
  get ticks(): number {
    return Number(this.last("tick ")?.split(" ")[1] ?? 0);
  }

  /** What it found wrong. */
  get faults(): string[] {
    return this.#lines().filter((line) => line.startsWith("bad "));
  }

  /** The last line that begins so. */
  last(start: string): string | undefined {
    return this.#lines().findLast((line) => line.startsWith(start));
  }

  #lines(): string[] {
    return Deno.readTextFileSync(this.path).split("\n");
  }
}

/** The daemon, as a restore script would use it: started in the background, driven by the command line. */
class Daemon {
  readonly socket: string;
  readonly #binary: Binary;
  readonly #child: Child;

  constructor(sandbox: Sandbox, binary: Binary) {
    const directory = sandbox.directory("run", 0o700);
    this.socket = `${directory}/control.sock`;
    this.#binary = binary;
    const [command, ...first] = binary.command;
    const args = ["serve", "--socket", this.socket, "--log-level", "warn"];
    this.#child = sandbox.start(command, [...first, ...args], { env: { SPFS_RUNTIME_DIR: directory } });
    void this.#child.closeInput(); // no commands come that way
  }

  /** Waits until it listens. */
  async ready(): Promise<void> {
    const ended = this.#child.ended().then(({ stderr }) => {
      throw new Error(`spfs ended: ${stderr}`);
    });
    ended.catch(() => {});
    await Promise.race([until("the daemon's socket", () => exists(this.socket)), ended]);
  }

  /** Runs a command, says so, and returns what that printed. */
  async command(...args: string[]): Promise<string> {
    tell(`$ spfs ${args.join(" ")}`);
    return await this.quietly(...args);
  }

  /** Runs a command and returns what that printed. */
  async quietly(...args: string[]): Promise<string> {
    const [command, ...first] = this.#binary.command;
    return await run(command, [...first, ...args, "--socket", this.socket]);
  }

  /** Waits for its end, which comes by itself, and returns the exit code. */
  async end(): Promise<number> {
    return (await within("the end of spfs", this.#child.status)).code;
  }
}

async function demo(sandbox: Sandbox): Promise<void> {
  const binary = isThere(compiled) ? compiled : denoRun;
  if (binary === denoRun) {
    console.log("dist/spfs is not there: this uses `deno run` (deno task compile makes it)");
  }
  const mountpoint = sandbox.directory("data");
  const seen = new Observations(sandbox.at("observations"));
  Deno.writeFileSync(seen.path, new Uint8Array());

  title("A remote file system: an ext4 image on a loop device");
  const remote = await Remote.make(sandbox);
  const device = await remote.attach();
  await remote.mount(mountpoint);
  tell(`${device} is mounted on ${mountpoint}; ${remote.source} points to the device`);
  Deno.mkdirSync(`${mountpoint}/work`);
  Deno.writeFileSync(`${mountpoint}/data`, patternBytes(1, DATA_BYTES));
  Deno.writeFileSync(`${mountpoint}/private`, patternBytes(2, 3 * PAGE_BYTES));

  title("A process works there: it appends to a log, reads a file and maps two, and has its cwd there");
  const logger = sandbox.start(victim("logger"), [mountpoint, seen.path, "10"]);
  await until("the first rounds of the process", () => seen.ticks >= 20);
  tell(`process ${logger.pid} does its rounds: ${seen.last("tick ")}`);

  title("CRIU dumps the process, and the file system goes away");
  const images = await Images.dump(sandbox, logger.pid);
  await logger.status;
  const before = seen.ticks;
  tell(`the process is gone after round ${before}; its images are in ${images.directory}`);
  const entries = recordTree(mountpoint);
  tell(`names, types, modes and sizes were recorded: ${entries.map(({ path }) => path).join(", ")}`);
  await remote.unmount(mountpoint);
  await remote.detach();
  check(
    mountsBelow(mountpoint).length === 0,
    `nothing is mounted on ${mountpoint}, and ${remote.source} is gone`,
  );

  title("spfs takes its place, with placeholders of the recorded files");
  const daemon = new Daemon(sandbox, binary);
  await daemon.ready();
  await daemon.command("mount", "net", mountpoint);
  const list = sandbox.at("entries.json");
  Deno.writeTextFileSync(list, JSON.stringify(entries));
  tell((await daemon.command("create", "net", "--file", list)).trim());
  const replace = ["replace", "net", "--source", remote.source, "--type", "ext4", "--hold"];
  const more = ["--retry-initial", "50", "--retry-max", "400", "--swap", "require"];
  tell((await daemon.command(...replace, ...more)).trim());
  check(mountsBelow(mountpoint)[0]?.fstype === "fuse.spfs", "the mount is of type fuse.spfs");
  const stub = mountOf(mountpoint);

  title("Stock CRIU restores the process onto it, with spfs as its action script");
  tell(`$ SPFS_SOCKET=${daemon.socket} criu restore --images-dir ... --action-script spfs`);
  const pid = await images.restore(binary, daemon.socket);
  check(pid === logger.pid && isAlive(pid), `process ${pid} runs again, with the same process id`);

  title("The process resumes, and waits");
  const waiting = async () => {
    const { mounts: [mount] } = JSON.parse(await daemon.quietly("status", "--json", "--requests", "10"));
    const tried = mount?.replace?.state === "waiting" && mount.replace.attempts >= 3;
    return tried && mount.parked.count > 0 ? mount : undefined;
  };
  const mount = await until("the process to wait and spfs to have tried three times", waiting);
  console.log((await daemon.command("status", "--requests", "10")).trim().replace(/^/gm, "     "));
  check(mount.mode === "stub" && mount.replace.state === "waiting", "the mount parks requests; spfs retries");
  check(
    mount.requests.length === 1 && mount.requests[0].pid === pid,
    `status names who waits on what: process ${pid}, ${mount.requests[0].op} of ${mount.requests[0].path}`,
  );
  check("SD".includes(processState(pid) ?? "-"), "the process sleeps in the kernel");
  const held = references(pid, stub);
  tell(`what it has on FUSE: ${held.join(", ")}`);
  check(held.includes("cwd") && held.some((what) => what.startsWith("fd ")), "its files are on FUSE");
  check(
    seen.ticks === before && seen.faults.length === 0,
    `it has not come past round ${before}, and saw neither an error nor a wrong byte`,
  );

  title("The file system comes back: spfs finds it at its next attempt, and moves the process there");
  const replaced = Promise.withResolvers<WireSwapResult>();
  replaced.promise.catch(() => {}); // it is waited for below
  using _client = await connect(daemon.socket, {
    name: "demo",
    events: ["replace.done"],
    onEvent(event) {
      if (event.event !== "replace.done") return;
      tell(`event: ${eventLine(event)}`);
      if (event.params.swap !== undefined) replaced.resolve(event.params.swap);
      else replaced.reject(new Error(event.params.error?.message));
    },
  });
  await remote.attach();
  tell(`${remote.source} is there again`);
  const swap = await within("the end of the replacement", replaced.promise);
  console.log(swapText(swap).trim().replace(/^/gm, "     "));
  check(
    swap.left.length === 0 && swap.processes.length === 1 && swap.processes[0]!.pid === pid,
    `process ${pid} was moved as a whole; it stood still for ${swap.stoppedMs.toFixed(1)} ms`,
  );
  await until("further rounds", () => seen.ticks >= before + 20);
  tell(`the process goes on: ${seen.last("tick ")}`);

  title("Nothing of FUSE is left, and the process still runs");
  const mounts = mountsBelow(mountpoint);
  check(
    mounts.length === 1 && mounts[0]!.fstype === "ext4",
    `${mountpoint} is ext4 again, and nothing of spfs is mounted`,
  );
  check(await daemon.end() === 0, "spfs has ended by itself: its last mount had no user left");
  const now = references(pid, mountOf(mountpoint));
  tell(`what the process has on ext4: ${now.join(", ")}`);
  check(
    references(pid, stub).length === 0,
    "no descriptor, fdinfo, mapping, cwd, root, exe or mountinfo of the process refers to FUSE",
  );
  const same = (what: string) => !what.startsWith("map") || now.includes(what);
  check(held.every(same) && now.includes("cwd"), "all of it is on ext4, at the same numbers and addresses");
  const without = seen.ticks;
  await until("rounds without spfs", () => seen.ticks >= without + 20);
  check(isAlive(pid) && seen.faults.length === 0, `it counts on without spfs: ${seen.last("tick ")}`);

  title("The process is told to finish, and everything is verified");
  Deno.kill(pid, "SIGTERM");
  const end = await until("the end of the process", () => isAlive(pid) ? undefined : seen.last("end "));
  const rounds = seen.ticks;
  tell(`the process: ${end}`);
  check(
    end === `end ticks=${rounds} bad=0`,
    "in every round all that it read, mapped and looked up was right",
  );
  let expected = "";
  for (let n = 1; n <= rounds; n++) expected += `${String(n).padStart(8, "0")} line of process ${pid}\n`;
  const log = Deno.readTextFileSync(`${mountpoint}/log`);
  check(log === expected, `its log is right byte by byte: ${rounds} lines, none lost, none twice`);
  const data = Deno.readFileSync(`${mountpoint}/data`);
  check(equal(data, patternBytes(1, DATA_BYTES)), `the data file is what it was: ${data.length} bytes`);

  title("Cleaning up");
  await remote.unmount(mountpoint);
  await remote.detach();
  check(mountsBelow(sandbox.path).length === 0, "nothing is left mounted");
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Runs the demo and returns the exit code. */
async function main(): Promise<number> {
  const started = performance.now();
  const sandbox = new Sandbox("spfs-demo-");
  const interrupted = Promise.withResolvers<never>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.reject(new Error(`interrupted by ${signal}`)));
  }
  let failed = false;
  try {
    await Promise.race([demo(sandbox), interrupted.promise]);
  } catch (error) {
    console.error(`\nFAILED: ${(error as Error).message}`);
    failed = true;
  }
  try {
    await sandbox[Symbol.asyncDispose]();
    check(!exists(sandbox.path), "no process, loop device or file is left");
  } catch (error) {
    console.error(`\nFAILED: ${(error as Error).message}`);
    failed = true;
  }
  if (!failed) {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`\nAll ${checks} checks hold; it took ${seconds} s.`);
  }
  return failed ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
