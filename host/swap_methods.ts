/**
 * The methods about moving processes between any two mounts: `swap.plan`, `swap.run`.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { RequestContext } from "../control/handler.ts";
import type { Params, Result } from "../control/protocol.ts";
import { pathText } from "../ffi/sys/libc.ts";
import type { SwapResult } from "../swap/types.ts";
import { summarize } from "../swap/words.ts";
import { asControlError } from "./control_errors.ts";
import type { DaemonContext } from "./daemon_context.ts";
import type { ManagedMount } from "./managed_mount.ts";
import type { MountsOrder } from "./swap_messages.ts";
import { swapRefused } from "./swap_refusal.ts";

/** The methods about moving processes between any two mounts. */
export class SwapMethods {
  readonly #context: Pick<DaemonContext, "runSwap" | "emit" | "log">;
  readonly #mounts: () => Iterable<Pick<ManagedMount, "id" | "mode" | "path" | "replaced">>;

  readonly #stop: AbortSignal;

  /**
   * Makes the methods.
   *
   * @param mounts the daemon's mounts at the moment of the call
   * @param stop aborted when what has not begun is not to begin any more
   */
  constructor(
    context: Pick<DaemonContext, "runSwap" | "emit" | "log">,
    mounts: () => Iterable<Pick<ManagedMount, "id" | "mode" | "path" | "replaced">>,
    stop: AbortSignal,
  ) {
    this.#context = context;
    this.#mounts = mounts;
    this.#stop = stop;
  }

  /** `swap.plan`. */
  async plan(params: Params<"swap.plan">, request: RequestContext): Promise<Result<"swap.plan">> {
    const { processes, left } = await this.#run({ ...params, leave: true }, true, request);
    return { processes: [...processes], obstacles: [...left] };
  }

  /** `swap.run`. */
  async run(params: Params<"swap.run">, request: RequestContext): Promise<Result<"swap.run">> {
    const result = await this.#run(params, false, request);
    return { ...result, processes: [...result.processes], left: [...result.left] };
  }

  async #run(params: Params<"swap.run">, dryRun: boolean, request: RequestContext): Promise<SwapResult> {
    const { source, target, processes, leave, deadlineMs } = params;
    this.#check(source, target);
    const order: MountsOrder = {
      kind: "mounts",
      source,
      target,
      selection: processes,
      leave,
      dryRun,
      deadlineMs,
    };
    const { log, emit, runSwap } = this.#context;
    const subject = { request: dryRun ? "swap.plan" : "swap.run" };
    const what = `from ${pathText(source)} to ${pathText(target)}`;
    let outcome;
    try {
      outcome = await runSwap(order, {
        signal: AbortSignal.any([request.signal, this.#stop]),
        begun: () => request.beginCommit(),
        progress: (step, detail) => {
          log.write("debug", `${what}: ${step}`, subject);
          emit("swap.progress", { source, target, step, ...detail });
        },
      });
    } catch (error) {
      throw asControlError(error);
    }
    if (!outcome.ok) throw swapRefused(outcome);
    if (!dryRun) log.write("info", `${what}: ${summarize(outcome.result)}`, subject);
    return outcome.result;
  }

  /** Refuses what the schema cannot, and paths that lead through a stub, where looking at them would be one more request that waits. */
  #check(source: Uint8Array, target: Uint8Array): void {
    const paths = { source: pathText(source), target: pathText(target) };
    if (paths.source === paths.target) {
      throw new ControlError("invalid_params", "source and target are the same", { path: paths.source });
    }
    for (const mount of this.#mounts()) {
      if (mount.mode !== "stub" || mount.replaced) continue;
      const mountpoint = pathText(mount.path);
      for (const path of Object.values(paths)) {
        if (path !== mountpoint && !path.startsWith(mountpoint + "/")) continue;
        const message = `${path} is in mount ${mount.id}, which is in stub mode`;
        throw new ControlError("wrong_mode", message, { mount: mount.id, path, mode: "stub" });
      }
    }
  }
}
