import { defaultSwapDeadlineMs } from "../control/swap_words.ts";
import type { SwapPlanResult, WireSwapResult } from "../control/wire_swap.ts";
import { exitCodes } from "../host/exit_codes.ts";
import type { MountsOrder, RunSwap, SwapOutcome } from "../host/swap_messages.ts";
import { absolute } from "./mount.ts";
import { obstaclesText, planText, swapText } from "./swap_text.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

/** The options of `spfs swap`. */
export interface SwapCommandOptions {
  /** These processes instead of every one that refers to the source. */
  pids?: number[];
  /** Whether their descendants are moved, too. */
  tree?: boolean;
  /** The processes of a cgroup: its directory. */
  cgroup?: string;
  /** The processes of the pid namespace of this process. */
  pidNamespace?: number;
  /** Whether what cannot be moved is left. */
  leave?: boolean;
  /** Whether to only tell what would be done. */
  dryRun?: boolean;
  /** How long stopping the tasks may take, in milliseconds. */
  deadline?: number;
  /** Whether to print JSON. */
  json?: boolean;
}

/** What the command line orders. @throws {UsageError} for options that do not go together */
export function swapOrder(source: string, target: string, options: SwapCommandOptions): MountsOrder {
  const [from, to] = [absolute(source), absolute(target)];
  if (from === to) throw new UsageError("the source and the target are the same");
  const encoder = new TextEncoder();
  return {
    kind: "mounts",
    source: encoder.encode(from),
    target: encoder.encode(to),
    selection: selection(options),
    leave: options.leave === true,
    dryRun: options.dryRun === true,
    deadlineMs: options.deadline ?? defaultSwapDeadlineMs,
  };
}

function selection({ pids, tree, cgroup, pidNamespace }: SwapCommandOptions): MountsOrder["selection"] {
  if (tree === true && pids === undefined) throw new UsageError("--tree needs --pids");
  if (pids !== undefined) return { kind: "pids", pids, tree: tree === true };
  if (cgroup !== undefined) return { kind: "cgroup", path: absolute(cgroup) };
  if (pidNamespace !== undefined) return { kind: "pid-namespace", pid: pidNamespace };
  return { kind: "referring" };
}

/**
 * `spfs swap`: moves running processes from one mount to another, in this program, without a daemon.
 *
 * @param runSwap carries the order out; by a tracer of this program when absent
 * @returns "failed" when it was refused, or would be
 */
export async function swap(
  source: string,
  target: string,
  options: SwapCommandOptions,
  terminal: Terminal,
  runSwap?: RunSwap,
): Promise<number> {
  const order = swapOrder(source, target, options);
  const run = runSwap ?? await ownRunSwap();
  const outcome = await holdingSignals(terminal, () => run(order));
  return await report(order, outcome, options.json === true, terminal);
}

async function ownRunSwap(): Promise<RunSwap> {
  const { createRunSwap } = await import("../host/swap_jobs.ts");
  const { startTracer } = await import("../host/tracer_process.ts");
  return createRunSwap(startTracer, 0);
}

async function report(
  order: MountsOrder,
  outcome: SwapOutcome,
  json: boolean,
  terminal: Terminal,
): Promise<number> {
  const { wireObstacle } = await import("../host/swap_refusal.ts");
  if (!outcome.ok) {
    const obstacles = outcome.obstacles.map(wireObstacle);
    terminal.out(json ? JSON.stringify({ obstacles }) + "\n" : obstaclesText(obstacles));
    terminal.err(`spfs: swap_refused: ${outcome.message}\n`);
    return exitCodes.failed;
  }
  const { result } = outcome;
  const processes = result.processes.map((process) => ({ ...process }));
  const left = result.left.map(wireObstacle);
  if (order.dryRun) {
    const plan: SwapPlanResult = { processes, obstacles: left };
    terminal.out(json ? JSON.stringify(plan) + "\n" : planText(plan));
    return left.length === 0 || order.leave ? exitCodes.ok : exitCodes.failed;
  }
  const done: WireSwapResult = { ...result, processes, left };
  terminal.out(json ? JSON.stringify(done) + "\n" : swapText(done));
  return exitCodes.ok;
}

/** A signal in the middle would leave processes half moved: the first of each kind is not heeded until the swap is over. */
async function holdingSignals<T>(terminal: Terminal, work: () => Promise<T>): Promise<T> {
  const held = new Map<Deno.Signal, () => void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const listener = () => {
      Deno.removeSignalListener(signal, listener);
      held.delete(signal);
      terminal.err(`spfs: ${signal}: ends with the swap; once more ends it at once\n`);
    };
    held.set(signal, listener);
    Deno.addSignalListener(signal, listener);
  }
  try {
    return await work();
  } finally {
    for (const [signal, listener] of held) Deno.removeSignalListener(signal, listener);
  }
}
