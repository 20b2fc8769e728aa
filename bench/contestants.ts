/**
 * What is compared: the native file system, libfuse's own passthrough_ll over it, and spfs in proxy mode over it.
 *
 * The file system behind is a tmpfs, so that what is measured is the way to it.
 *
 * @module
 */
import { type Child, run } from "../tests/e2e/support/child.ts";
import { mountsBelow, until } from "../tests/e2e/support/proc.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../tests/e2e/support/spfs.ts";
import { compile } from "../tests/e2e/support/victims.ts";
import { type Figure, figure } from "./statistics.ts";

const PASSTHROUGH_LL = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c";
const LIMIT_MS = 600_000;
/** What a shell writes before what a command wrote that failed. */
const FAILED = "failed:";

/** Who is compared, in the order in which they have their turns. */
export const CONTESTANTS = ["native", "passthrough_ll", "spfs"] as const;

/** One of them. */
export type Contestant = typeof CONTESTANTS[number];

/** They take turns at being first, so that what the machine does from one turn to the next falls on all alike. */
export function inTurn(round: number): Contestant[] {
  const first = round % CONTESTANTS.length;
  return [...CONTESTANTS.slice(first), ...CONTESTANTS.slice(0, first)];
}

/** How the servers are run. */
export interface Conditions {
  /** How long the kernel may keep names and attributes, in seconds; 0: every operation asks the server. */
  readonly cacheSeconds: number;
  /** Whether the kernel checks permissions for passthrough_ll, too, as it does for spfs. */
  readonly checks: boolean;
  /** What the servers are started by: a command that keeps them on a CPU, or nothing. */
  readonly prefix: readonly string[];
}

/** All of them, each with a shell that stands in its directory. */
export class Contestants {
  readonly #shells: Readonly<Record<Contestant, Child>>;
  readonly #spfs: Spfs;

  private constructor(shells: Readonly<Record<Contestant, Child>>, spfs: Spfs) {
    this.#shells = shells;
    this.#spfs = spfs;
  }

  /** Starts them over one directory, which `fill` fills. They end with the sandbox at the latest. */
  static async start(
    sandbox: Sandbox,
    binary: Binary,
    conditions: Conditions,
    fill: (directory: string) => void = () => {},
  ): Promise<Contestants> {
    const { cacheSeconds, prefix } = conditions;
    const real = sandbox.directory("real");
    await run("mount", ["-t", "tmpfs", "tmpfs", real]);
    fill(real);
    const directories: Record<Contestant, string> = {
      native: real,
      passthrough_ll: await startPassthrough(sandbox, real, conditions),
      spfs: sandbox.directory("spfs"),
    };
    const spfs = await Spfs.start(sandbox, binary, { socket: false, prefix, limitMs: LIMIT_MS });
    await spfs.call("mount.create", {
      id: "o",
      mountpoint: directories.spfs,
      attrTimeoutMs: cacheSeconds * 1000,
    });
    // As at the end of a restore: the real file system is there, and not in the stub's place yet.
    await spfs.call("mount.replace", { mount: "o", source: real, type: "bind", hold: true });
    const { mounts: [mount] } = await spfs.call("restore.block", { serveWithinMs: LIMIT_MS });
    if (mount?.mode !== "proxy") throw new Error(`the stub is in ${mount?.mode} mode`);
    const shells = {} as Record<Contestant, Child>;
    for (const name of CONTESTANTS) shells[name] = await startShell(sandbox, directories[name]);
    return new Contestants(shells, spfs);
  }

  /** Has a command run in a contestant's directory, and answers with the line that it writes. @throws {Error} with that, when it fails */
  async ask(name: Contestant, command: string): Promise<string> {
    const told = await this.#shells[name].ask(command);
    if (told.startsWith(FAILED)) throw new Error(`${name}: ${command}: ${told}`);
    return told;
  }

  /** Ends the shells and spfs. */
  async end(): Promise<void> {
    const shells = Object.values(this.#shells);
    for (const shell of shells) await shell.closeInput();
    await Promise.all(shells.map((shell) => shell.status));
    await this.#spfs.quit();
  }
}

/** A shell that stands in a directory, whatever is mounted over it later, and runs each line that it gets. */
async function startShell(sandbox: Sandbox, directory: string): Promise<Child> {
  const failed = `echo ${FAILED} $told`; // in one line
  const script =
    `cd "$0" && echo ready && while read -r line; do told=$($line 2>&1) && echo "$told" || ${failed}; done`;
  const shell = sandbox.start("sh", ["-c", script, directory], { limitMs: LIMIT_MS });
  await shell.line();
  return shell;
}

/** Mounts passthrough_ll beside spfs and returns where. */
async function startPassthrough(
  sandbox: Sandbox,
  source: string,
  { cacheSeconds, checks, prefix }: Conditions,
): Promise<string> {
  const mountpoint = sandbox.directory("passthrough_ll");
  const program = sandbox.at("passthrough_ll.bin");
  const flags = (await run("pkg-config", ["--cflags", "--libs", "fuse3"])).trim().split(/\s+/);
  compile(PASSTHROUGH_LL, program, [...flags, "-w"]);
  const options = `source=${source},timeout=${cacheSeconds}${
    checks ? ",default_permissions,allow_other" : ""
  }`;
  const [command, ...args] = [...prefix, program, "-f", "-o", options, mountpoint];
  sandbox.start(command!, args, { limitMs: LIMIT_MS });
  await until("passthrough_ll's mount", () => mountsBelow(mountpoint).length > 0);
  return mountpoint;
}

/** What each of them took, turn by turn: the same turn of all of them is compared. */
export type Times = Record<Contestant, number[]>;

/** A comparison: figures of each, and how many times the others' that of spfs is. */
export type Compared = Record<Contestant | "ofPassthroughLl" | "ofNative", Figure>;

/** Compares, and says what was measured. @param unit what the times are in */
export function compared(what: string, times: Times, unit: string): Compared {
  // Of turns that follow each other: what else the machine does is then the same for all.
  const ratio = (against: Contestant) => figure(times.spfs.map((value, n) => value / times[against][n]!));
  const told: Compared = {
    native: figure(times.native),
    passthrough_ll: figure(times.passthrough_ll),
    spfs: figure(times.spfs),
    ofPassthroughLl: ratio("passthrough_ll"),
    ofNative: ratio("native"),
  };
  const spread = ({ median, min, max }: Figure) => `${median} (${min} to ${max})`;
  console.error(
    `    ${what}: ${CONTESTANTS.map((name) => `${name} ${told[name].median} ${unit}`).join(", ")}; ` +
      `spfs takes ${spread(told.ofPassthroughLl)} x passthrough_ll, ${spread(told.ofNative)} x native`,
  );
  return told;
}
