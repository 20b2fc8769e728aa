/**
 * The methods that take a restore by CRIU from stage to stage: `restore.prepare`, `restore.check`, `restore.block`, `restore.release`. What
 * they do is made of the other methods; here is in which order, and what a failure undoes.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { RequestContext } from "../control/handler.ts";
import type { Params, Result } from "../control/protocol.ts";
import { Errno } from "../ffi/errno.ts";
import type { DaemonContext } from "./daemon_context.ts";
import type { NotedMounts, NotedRequest } from "./images_messages.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { watchProcess } from "./process_watch.ts";
import { needsNoted, nothingNoted, planRestore } from "./restore_plan.ts";
import { makeStandIns, type StandIn, type StandInParts } from "./stand_ins.ts";
import { resumeTree } from "./stopped_tree.ts";
import { within } from "./time_limit.ts";
import { type UntracedWait, whenUntraced } from "./traced_tree.ts";
import { zapLocked } from "./zap.ts";

/** What the methods are made of. */
export interface RestoreParts extends StandInParts {
  /** `mount.setMode`. */
  setMode(params: Params<"mount.setMode">): Promise<Result<"mount.setMode">>;
  /** What was noted at dump of mounts. */
  noted(request: NotedRequest, signal: AbortSignal): Promise<NotedMounts>;
}

/** How long after its beginning a restore may be so far that it leaves a processor free, in milliseconds. */
const AHEAD_AFTER_MS = 200;

/** The methods of restores. */
export class RestoreMethods {
  readonly #context: Pick<DaemonContext, "log" | "run" | "takeMountThread">;
  readonly #parts: RestoreParts;
  /** Ends the watch over the process that restores. */
  #unwatch: (() => void) | undefined;
  /** The wait for CRIU to let the tree go, with which it is released. */
  #releasing: UntracedWait | undefined;
  /** What was made, which must be there when CRIU asks. */
  #prepared: readonly ManagedMount[] = [];
  /** Settles when the stand-ins have their nodes, or have ended because they cannot have them. */
  #filling: Promise<void> | undefined;
  /** How many orders to prepare are being carried out. */
  #preparing = 0;
  /** The restored tree's first process. */
  #init: number | undefined;

  /** Makes the methods. */
  constructor(context: Pick<DaemonContext, "log" | "run" | "takeMountThread">, parts: RestoreParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** `restore.prepare`: all of the stand-ins, or none. */
  async prepare(
    params: Params<"restore.prepare">,
    request: RequestContext,
  ): Promise<Result<"restore.prepare">> {
    if (params.alone === true && (this.#preparing > 0 || this.#parts.selected().length > 0)) {
      const message =
        "the daemon has mounts already, or is making some, and this restore needs one of its own";
      throw new ControlError("conflict", message);
    }
    this.#preparing++;
    try {
      return await this.#prepare(params, request);
    } finally {
      this.#preparing--;
    }
  }

  async #prepare(
    params: Params<"restore.prepare">,
    request: RequestContext,
  ): Promise<Result<"restore.prepare">> {
    const { images, config, process, fillWithinMs } = params;
    const asked = { directory: images, mounts: config.mounts, types: config.types };
    const noted = needsNoted(config) ? await this.#parts.noted(asked, request.signal) : nothingNoted;
    const orders = planRestore(images, config, noted);
    if (orders.length === 0) {
      const why = config.types.length === 0
        ? ""
        : `, and none of type ${config.types.join(" or ")} was noted at dump`;
      throw new ControlError("invalid_params", `config: names no mount${why}`);
    }
    const watch = process === undefined ? undefined : this.#watch(process);
    let made: readonly StandIn[];
    try {
      const signal = watch === undefined ? request.signal : AbortSignal.any([request.signal, watch.ended]);
      const making = { ...request, signal };
      const standIns = await makeStandIns(orders, making, this.#parts, this.#context, fillWithinMs);
      made = standIns.made;
      if (fillWithinMs === undefined) await standIns.filling;
      this.#filling = standIns.filling;
    } catch (error) {
      // What was prepared before is as it was.
      watch?.stop();
      throw error;
    }
    if (watch !== undefined) {
      this.#endWatch();
      this.#unwatch = watch.stop;
    }
    this.#prepared = this.#parts.selected();
    // For the real file systems, which are looked for as soon as CRIU is done. CRIU needs the processors first.
    setTimeout(() => this.#context.run.ahead(), AHEAD_AFTER_MS);
    return { mounts: made.map(({ mount, told }) => ({ ...told, ...mount.populated })) };
  }

  /** `restore.check`. */
  async check({ init }: Params<"restore.check">): Promise<Result<"restore.check">> {
    await this.#filling;
    const there = this.#parts.selected();
    const lost = this.#prepared.find((mount) => !there.includes(mount));
    if (lost !== undefined) {
      throw new ControlError("mount_lost", `mount ${lost.id} is gone`, { mount: lost.id });
    }
    const mounts = this.#mounts();
    const wrong = mounts.find((mount) => mount.mode !== "restore");
    if (wrong !== undefined) {
      const message = `mount ${wrong.id} is in ${wrong.mode} mode, not in restore mode`;
      throw new ControlError("wrong_mode", message, { mount: wrong.id, mode: wrong.mode });
    }
    const zapped = init === undefined ? undefined : await zapLocked(init, mounts);
    if (zapped !== undefined && zapped.dropped > 0) {
      const { files, dropped, kept } = zapped;
      const whose = files === 1 ? "1 file" : `${files} files`;
      const text = `locked memory of ${whose}: ${dropped} pages of the placeholder dropped, ${kept} kept`;
      this.#context.log.write("info", text);
    }
    this.#init = init;
    for (const mount of mounts) mount.tree = init;
    return { mounts: mounts.map(({ id, mode }) => ({ id, mode })) };
  }

  /** `restore.block`. */
  async block({ serveWithinMs }: Params<"restore.block">): Promise<Result<"restore.block">> {
    this.#mounts();
    await this.#parts.setMode({ mount: "all", mode: "stub" });
    const serving = this.#mounts().map(({ replacement }) => replacement?.delayed.serve());
    await within(serveWithinMs, Promise.all(serving));
    return { mounts: this.#mounts().map(({ id, mode }) => ({ id, mode })) };
  }

  /** `restore.release`. */
  // deno-lint-ignore require-await -- it fails by rejecting
  async release({ init, resume }: Params<"restore.release">): Promise<Result<"restore.release">> {
    const mounts = this.#mounts();
    const tree = init ?? this.#init;
    if (resume && tree === undefined) {
      throw new ControlError("wrong_mode", "restore.check was not told which tree is restored");
    }
    this.#releasing?.cancel();
    const release = () => this.#release(resume ? tree : undefined);
    this.#releasing = init === undefined ? undefined : whenUntraced(init, release);
    if (init === undefined) release();
    return { mounts: mounts.map(({ id, mode }) => ({ id, mode })) };
  }

  /** @param stopped the tree that is to go on when its mounts are in place, or cannot be mounted */
  #release(stopped: number | undefined): void {
    const mounts = this.#parts.selected();
    this.#prepared = [];
    this.#endWatch();
    for (const { replacement } of mounts) replacement?.delayed.start();
    if (stopped === undefined) return;
    void Promise.all(mounts.map(({ replacement }) => replacement?.delayed.tried())).then(() => {
      const count = resumeTree(stopped);
      const text = `the restored tree goes on: ${count === 1 ? "1 process" : `${count} processes`}`;
      this.#context.log.write("info", text);
    });
  }

  /** @throws {ControlError} when there are none */
  #mounts(): ManagedMount[] {
    const mounts = this.#parts.selected();
    if (mounts.length === 0) throw new ControlError("unknown_mount", "the daemon has no mounts");
    return mounts;
  }

  /**
   * A restore that fails tells nobody: it is over when the process that restores has ended.
   *
   * @returns `ended`: aborted by that, for what is still being made
   */
  #watch(process: number): { ended: AbortSignal; stop: () => void } {
    const over = new AbortController();
    const stop = watchProcess(process, () => {
      // With its end it has let the tree go.
      if (this.#releasing?.now()) return;
      const text = `process ${process} has ended before the restore was released`;
      over.abort(new ControlError("cancelled", text));
      this.#endWatch();
      for (const mount of this.#parts.selected()) {
        this.#context.log.write("warn", `${text}: the stand-in ends`, { mount: mount.id });
        void this.#parts.end(mount, Errno.EIO);
      }
    });
    return { ended: over.signal, stop };
  }

  #endWatch(): void {
    this.#unwatch?.();
    this.#releasing?.cancel();
    this.#unwatch = this.#releasing = undefined;
  }
}
