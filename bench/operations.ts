/**
 * What an operation costs in proxy mode, beside the native file system and beside libfuse's own passthrough_ll.
 *
 * The contestants take turns within each round, all pinned to one CPU with their client: what a wake-up across CPUs costs on a virtual
 * machine would otherwise drown what is compared. spfs has the kernel check permissions (`default_permissions`), which costs a GETATTR after
 * each change of a directory; passthrough_ll by its defaults has not, so it is measured with and without. What is measured is what both
 * servers come to: each has had two seconds of every operation before.
 *
 * @module
 */
import type { Sandbox } from "../tests/e2e/support/sandbox.ts";
import type { Binary } from "../tests/e2e/support/spfs.ts";
import { compile } from "../tests/e2e/support/victims.ts";
import {
  type Compared,
  compared,
  type Contestant,
  CONTESTANTS,
  Contestants,
  inTurn,
  type Times,
} from "./contestants.ts";

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
    ["pread4k"],
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

/** How long each group of operations is done before it is measured, in milliseconds: V8 compiles what has been called some thousand times. */
const WARM_UP_MS = 2000;

/** How many files the listed directory has. */
const ENTRIES = 10_000;

const SOURCE = new URL("programs/operations.c", import.meta.url).pathname;
const PIN = ["taskset", "-c", "1"];

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
  const conditions = { cacheSeconds, checks, prefix: PIN };
  const contestants = await Contestants.start(sandbox, binary, conditions, (real) => {
    Deno.mkdirSync(`${real}/many`);
    for (let n = 0; n < ENTRIES; n++) Deno.createSync(`${real}/many/entry-${n}`).close();
  });
  const times: Record<string, Times> = {};
  const turn = (name: Contestant, group: readonly string[], milliseconds: number) =>
    contestants.ask(name, [...PIN, client, ".", String(milliseconds / 1000), ...group].join(" "));
  for (const groups of PHASES) {
    for (const group of groups) {
      for (const name of CONTESTANTS) if (name !== "native") await turn(name, group, WARM_UP_MS);
    }
    for (let n = 0; n < rounds; n++) {
      for (const group of groups) {
        for (const name of inTurn(n)) {
          const result = JSON.parse(await turn(name, group, milliseconds)) as Record<string, number>;
          for (const [operation, value] of Object.entries(result)) {
            (times[operation] ??= { native: [], passthrough_ll: [], spfs: [] })[name].push(value);
          }
        }
      }
    }
  }
  await contestants.end();
  const figures: Record<string, Compared> = {};
  for (const [operation, taken] of Object.entries(times)) {
    figures[operation] = compared(operation, taken, "us");
  }
  return { cacheSeconds, checks, unit: "us", note: noteOf(cacheSeconds), figures };
}

function noteOf(cacheSeconds: number): string {
  return cacheSeconds === 0
    ? "nothing of names and attributes is kept by the kernel: every stat, open, create and unlink asks the server"
    : "both servers let the kernel keep names and attributes: stat is answered by the kernel for both";
}
