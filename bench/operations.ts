/**
 * What an operation costs in proxy mode, beside the native file system and beside libfuse's own passthrough_ll.
 *
 * The file system behind is a tmpfs, so that what is measured is the way to it. The contestants take turns within each round, all
 * pinned to one CPU with their client: what a wake-up across CPUs costs on a virtual machine would otherwise drown what is compared.
 * spfs has the kernel check permissions (`default_permissions`), which costs a GETATTR after each change of a directory; passthrough_ll by
 * its defaults has not, so it is measured with and without.
 *
 * @module
 */
import { run } from "../tests/e2e/support/child.ts";
import { mountsBelow, until } from "../tests/e2e/support/proc.ts";
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../tests/e2e/support/spfs.ts";
import { compile } from "../tests/e2e/support/victims.ts";
import { type Figure, figure } from "./statistics.ts";

/**
 * What is measured together; `unlink` removes what `create` made. Listing comes when all else has been measured: passthrough_ll looks for
 * each inode in a list of all that it knows, and a listing makes that long.
 */
const PHASES = [
  [
    ["stat"],
    ["open"],
    ["create", "unlink"],
    ["read4k"],
    ["write4k"],
    ["read1m"],
    ["write1m"],
    ["8:stat"],
    ["8:open"],
    ["8:create", "8:unlink"],
    ["8:read4k"],
    ["8:write4k"],
  ],
  [["readdir"], ["8:readdir"]],
] as const;

/** How many files the listed directory has. */
const ENTRIES = 10_000;

const SOURCE = new URL("programs/operations.c", import.meta.url).pathname;
const PASSTHROUGH_LL = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c";
const PIN = ["taskset", "-c", "1"];
const LIMIT_MS = 600_000;

const CONTESTANTS = ["native", "passthrough_ll", "spfs"] as const;
type Contestant = typeof CONTESTANTS[number];

/** How a comparison is made. */
export interface Comparison {
  /** How long the kernel may keep names and attributes, in seconds; 0: every operation asks the server. */
  readonly cacheSeconds: number;
  /** Whether the kernel checks permissions for passthrough_ll, too. */
  readonly checks: boolean;
  /** How often each contestant has its turn. */
  readonly rounds: number;
  /** How long a turn is. */
  readonly milliseconds: number;
}

/** One comparison: microseconds for each operation, and what spfs costs compared with the others in the same round. */
export async function operations(sandbox: Sandbox, binary: Binary, comparison: Comparison) {
  const { cacheSeconds, checks, rounds, milliseconds } = comparison;
  const client = sandbox.at("operations");
  compile(SOURCE, client);
  const real = sandbox.directory("real");
  await run("mount", ["-t", "tmpfs", "tmpfs", real]);
  Deno.mkdirSync(`${real}/many`);
  for (let n = 0; n < ENTRIES; n++) Deno.createSync(`${real}/many/entry-${n}`).close();
  const directories: Record<Contestant, string> = {
    native: real,
    passthrough_ll: await startPassthrough(sandbox, real, comparison),
    spfs: sandbox.directory("spfs"),
  };
  const spfs = await Spfs.start(sandbox, binary, { socket: false, prefix: PIN, limitMs: LIMIT_MS });
  await spfs.call("mount.create", {
    id: "o",
    mountpoint: directories.spfs,
    attrTimeoutMs: cacheSeconds * 1000,
  });
  const shells = {} as Record<Contestant, Awaited<ReturnType<typeof startShell>>>;
  for (const name of CONTESTANTS) shells[name] = await startShell(sandbox, directories[name]);
  // Whoever stood on the stub when it was replaced stays there without the swap, in proxy mode: that is where spfs is measured.
  await spfs.call("mount.replace", { mount: "o", source: real, type: "bind", swap: "none", wait: true });

  const times: Record<Contestant, Record<string, number[]>> = { native: {}, passthrough_ll: {}, spfs: {} };
  for (const groups of PHASES) {
    for (let n = 0; n < rounds; n++) {
      for (const group of groups) {
        for (const name of CONTESTANTS) {
          const words = [...PIN, client, ".", String(milliseconds / 1000), ...group];
          const result = JSON.parse(await shells[name].ask(words.join(" "))) as Record<string, number>;
          for (const [operation, value] of Object.entries(result)) {
            (times[name][operation] ??= []).push(value);
          }
        }
      }
    }
  }
  for (const shell of Object.values(shells)) await shell.closeInput();
  await Promise.all(Object.values(shells).map((shell) => shell.status));
  await spfs.quit();
  return { cacheSeconds, checks, unit: "us", note: noteOf(cacheSeconds), ...summary(times) };
}

function noteOf(cacheSeconds: number): string {
  return cacheSeconds === 0
    ? "nothing of names and attributes is kept by the kernel: every stat, open, create and unlink asks the server"
    : "both servers let the kernel keep names and attributes: stat is answered by the kernel for both";
}

/** A shell that stands in a directory, whatever is mounted over it later, and runs each line that it gets. */
async function startShell(sandbox: Sandbox, directory: string) {
  const script = 'cd "$0" && echo ready && while read -r line; do $line; done';
  const shell = sandbox.start("sh", ["-c", script, directory], { limitMs: LIMIT_MS });
  await shell.line();
  return shell;
}

/** Mounts passthrough_ll beside spfs and returns where. */
async function startPassthrough(
  sandbox: Sandbox,
  source: string,
  { cacheSeconds, checks }: Comparison,
): Promise<string> {
  const mountpoint = sandbox.directory("passthrough_ll");
  const program = sandbox.at("passthrough_ll.bin");
  const flags = (await run("pkg-config", ["--cflags", "--libs", "fuse3"])).trim().split(/\s+/);
  compile(PASSTHROUGH_LL, program, [...flags, "-w"]);
  const options = `source=${source},timeout=${cacheSeconds}${
    checks ? ",default_permissions,allow_other" : ""
  }`;
  const [command, ...args] = [...PIN, program, "-f", "-o", options, mountpoint];
  sandbox.start(command!, args, { limitMs: LIMIT_MS });
  await until("passthrough_ll's mount", () => mountsBelow(mountpoint).length > 0);
  return mountpoint;
}

function summary(times: Record<Contestant, Record<string, number[]>>) {
  const figures: Record<string, Record<Contestant | "ofPassthroughLl" | "ofNative", Figure>> = {};
  for (const operation of Object.keys(times.spfs)) {
    const values = (name: Contestant) => times[name][operation]!;
    // Of turns that follow each other: what else the machine does is then the same for both.
    const ratio = (against: Contestant) =>
      figure(values("spfs").map((value, n) => value / values(against)[n]!));
    const told = figures[operation] = {
      native: figure(values("native")),
      passthrough_ll: figure(values("passthrough_ll")),
      spfs: figure(values("spfs")),
      ofPassthroughLl: ratio("passthrough_ll"),
      ofNative: ratio("native"),
    };
    const spread = ({ median, min, max }: Figure) => `${median} (${min} to ${max})`;
    console.error(
      `    ${operation}: ${CONTESTANTS.map((name) => `${name} ${told[name].median} us`).join(", ")}; ` +
        `spfs takes ${spread(told.ofPassthroughLl)} x passthrough_ll, ${spread(told.ofNative)} x native`,
    );
  }
  return { figures };
}
