/**
 * The swap, run by a process of its own: `swap_main.ts`.
 *
 * @module
 */

import { assert, fail } from "@std/assert";
import type { Obstacle, Selection, SwapResult } from "../../../swap/types.ts";
import { Child } from "../../e2e/support/child.ts";

/** What is asked of it. */
export interface SwapOrder {
  /** The mountpoint that is left. */
  readonly source: string;
  /** The mountpoint that is moved to. */
  readonly target: string;
  /** Whose references are moved; everybody's by default. */
  readonly processes?: Selection;
  /** Whether what cannot be moved may stay. */
  readonly leave?: boolean;
  /** Whether nothing is to be changed. */
  readonly dryRun?: boolean;
  /** The step at which it is made to fail. */
  readonly fault?: string;
  /** How many swaps, there and back in turns; 1 by default. */
  readonly repeat?: number;
  /** Within how many milliseconds all tasks have to be stopped. */
  readonly deadlineMs?: number;
}

/** What it says of one swap. */
export type SwapReport =
  | { readonly ok: true; readonly result: SwapResult }
  | { readonly ok: false; readonly obstacles: readonly Obstacle[]; readonly message: string };

const root = new URL("../../../", import.meta.url).pathname;
const program = new URL("./swap_main.ts", import.meta.url).pathname;

/** Starts it. It writes a line for each swap, see `SwapReport`. */
export function startSwap(order: SwapOrder): Child {
  const json = JSON.stringify({
    processes: { kind: "referring" },
    leave: false,
    dryRun: false,
    repeat: 1,
    deadlineMs: 2000,
    ...order,
  });
  const args = ["run", "--no-check", "-A", `--config=${root}deno.json`, program, json];
  return Child.start(Deno.execPath(), args, { limitMs: 120_000 });
}

/** Runs it to its end. @throws {AssertionError} when it does not say as much as it was asked, with what it says instead. */
export async function runSwap(order: SwapOrder): Promise<SwapReport[]> {
  const child = startSwap(order);
  await child.closeInput();
  const { code, stdout, stderr } = await child.ended();
  const reports = stdout.split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line) as SwapReport
  );
  const succeeded = reports.length === (order.repeat ?? 1) && reports.every(({ ok }) => ok);
  assert(reports.length > 0 && succeeded === (code === 0), `swap ended with ${code}: ${stdout}${stderr}`);
  return reports;
}

/** Runs it and returns what it did. @throws {AssertionError} when it did not succeed, with what was in its way. */
export async function swap(order: SwapOrder): Promise<SwapResult[]> {
  return (await runSwap(order)).map((report) => {
    if (!report.ok) fail(`${report.message}: ${JSON.stringify(report.obstacles)}`);
    return report.result;
  });
}
