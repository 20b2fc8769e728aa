/**
 * The methods about replacing stubs: `mount.replace`, `mount.release`, `mount.retry`.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { RequestContext } from "../control/handler.ts";
import type { Params, Result } from "../control/protocol.ts";
import { asControlError } from "./control_errors.ts";
import type { DaemonContext } from "./daemon_context.ts";
import type { DelayedMount } from "./delayed_mount.ts";
import type { ManagedMount, Replacement } from "./managed_mount.ts";
import { checkReplaceParams, createReplacement } from "./replacement.ts";
import { sameParams } from "./same_params.ts";

/** How the methods find mounts. */
export interface MountLookup {
  /** A mount that is on its mountpoint. @throws {ControlError} unknown_mount, wrong_mode, mount_lost */
  live(id: string): ManagedMount;
  /** The replacement of a mount that it has taken off its mountpoint. */
  replaced(id: string): Replacement | undefined;
  /** The mount of that name, or every mount for "all". @throws {ControlError} as `live` */
  selected(selector: string): ManagedMount[];
}

/** What a request ordered, as far as it lies in its hands. */
interface Order {
  /** Called when the replacement cannot be cancelled any more. */
  readonly committing: () => void;
}

/** The methods about replacing stubs. */
export class ReplaceMethods {
  readonly #context: DaemonContext;
  readonly #lookup: MountLookup;
  /** The request that would be cancelled with a replacement, for those where one waits. */
  readonly #orders = new WeakMap<DelayedMount, Order>();

  /** Makes the methods. */
  constructor(context: DaemonContext, lookup: MountLookup) {
    this.#context = context;
    this.#lookup = lookup;
  }

  /** `mount.replace`. */
  async replace(params: Params<"mount.replace">, request: RequestContext): Promise<Result<"mount.replace">> {
    checkReplaceParams(params);
    const replaced = this.#lookup.replaced(params.mount);
    if (replaced !== undefined && sameOrder(replaced.params, params)) {
      return { mount: params.mount, state: "done", attempts: replaced.delayed.status.attempts };
    }
    const mount = this.#lookup.live(params.mount);
    const { delayed } = this.#ordered(mount, params);
    const { state } = delayed.status;
    if (state === "failed" || (state === "held" && !params.hold)) delayed.start();
    if (params.wait) await this.#waitFor([mount], request);
    const after = delayed.status;
    const told = after.state === "held" || after.state === "done" ? after.state : "running";
    const swap = told === "done" && mount.swap !== undefined ? { swap: mount.swap } : {};
    return { mount: mount.id, state: told, attempts: after.attempts, ...swap };
  }

  /** `mount.release`. */
  async release(params: Params<"mount.release">, request: RequestContext): Promise<Result<"mount.release">> {
    const mounts = this.#replacing(params.mount);
    for (const { replacement } of mounts) {
      if (replacement!.delayed.status.state === "held") replacement!.delayed.start();
    }
    if (params.wait) await this.#waitFor(mounts, request);
    return report(mounts);
  }

  /** `mount.retry`. */
  async retry(params: Params<"mount.retry">, request: RequestContext): Promise<Result<"mount.retry">> {
    const mounts = this.#replacing(params.mount);
    for (const { replacement } of mounts) {
      if (replacement!.delayed.status.state !== "held") replacement!.delayed.start();
    }
    if (params.wait) await this.#waitFor(mounts, request);
    return report(mounts);
  }

  /** The replacement that was ordered with these parameters: the one there is, or a new one. */
  #ordered(mount: ManagedMount, params: Params<"mount.replace">): Replacement {
    const existing = mount.replacement;
    // What failed may be ordered anew, with better parameters; once the stub serves from what it mounted, only those of moving processes.
    const failed = existing?.delayed.status.state === "failed";
    if (existing !== undefined && (!failed || existing.delayed.serving)) {
      if (sameOrder(existing.params, params)) return existing;
      if (failed && sameOrder(existing.params, { ...params, ...swapParams(existing.params) })) {
        existing.params = params;
        return existing;
      }
      const message = `mount ${mount.id} is being replaced with other parameters`;
      throw new ControlError("conflict", message, { mount: mount.id });
    }
    // Made now, so that a commit cannot fail for want of it.
    this.#context.areas();
    const committing = () => this.#orders.get(delayed)?.committing();
    const awaited = (major: number, minor: number) =>
      this.#lookup.selected("all").find(({ identity, replacement }) =>
        replacement !== undefined && identity.major === major && identity.minor === minor
      );
    const delayed = createReplacement(params, mount, this.#context, awaited, committing);
    const replacement = { params, delayed };
    mount.replacement = replacement;
    if (params.hold) this.#context.emit("replace.progress", { mount: mount.id, step: "held" });
    return replacement;
  }

  /** Mounts with a replacement; for "all" those that have one. */
  #replacing(selector: string): ManagedMount[] {
    const mounts = this.#lookup.selected(selector);
    if (selector === "all") return mounts.filter((mount) => mount.replacement !== undefined);
    const [mount] = mounts as [ManagedMount];
    if (mount.replacement !== undefined) return mounts;
    const message = `no replacement of mount ${mount.id} was ordered`;
    throw new ControlError("wrong_mode", message, { mount: mount.id, mode: mount.mode });
  }

  /**
   * Waits until all are done. When the request is cancelled, those that have not begun to commit are cancelled, and their mounts stay
   * stubs.
   */
  async #waitFor(mounts: ManagedMount[], request: RequestContext): Promise<void> {
    const waits = mounts.map(async ({ id, replacement }) => {
      try {
        await replacement!.delayed.wait();
      } catch (error) {
        throw asControlError(error, { mount: id });
      }
    });
    const cancel = () => {
      for (const mount of mounts) void this.#cancel(mount, request.signal.reason as ControlError);
    };
    request.signal.addEventListener("abort", cancel, { once: true });
    // Of several, some may commit while others still wait: such a request can be cancelled to its end.
    const [only] = mounts;
    if (mounts.length === 1 && only?.replacement !== undefined) {
      this.#orders.set(only.replacement.delayed, { committing: () => commitOnce(request) });
    }
    request.letNextBegin();
    const settled = await Promise.allSettled(waits);
    request.signal.removeEventListener("abort", cancel);
    const failed = settled.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #cancel(mount: ManagedMount, reason: ControlError): Promise<void> {
    const { replacement } = mount;
    if (replacement === undefined) return;
    const state = replacement.delayed.status.state;
    if (state === "committing" || state === "done") return;
    if (await replacement.delayed.cancel(reason) && mount.replacement === replacement) {
      mount.replacement = undefined;
    }
  }
}

/** A request that was cancelled at the last moment is cancelled by its signal already. */
function commitOnce(request: RequestContext): void {
  if (!request.signal.aborted) request.beginCommit();
}

/** Whether two orders are the same: whether the client waits is no part of it. */
function sameOrder(a: Params<"mount.replace">, b: Params<"mount.replace">): boolean {
  return sameParams({ ...a, wait: false }, { ...b, wait: false });
}

/** What an order says of moving processes. */
function swapParams({ swap, swapProcesses, swapDeadlineMs }: Params<"mount.replace">) {
  return { swap, swapProcesses, swapDeadlineMs };
}

function report(mounts: ManagedMount[]): Result<"mount.release"> {
  return {
    mounts: mounts.map(({ id, replacement }) => {
      const { state, attempts } = replacement!.delayed.status;
      return { id, state, attempts };
    }),
  };
}
