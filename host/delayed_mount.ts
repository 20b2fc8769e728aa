/**
 * One replacement of a stub by a real file system: the state machine, without effects of its own.
 *
 * ```
 * held --release--> mounting <--> waiting          (failed attempts worth repeating)
 *                      |  \------> failed --retry--> mounting
 *                      v
 *                  committing --> done             (<--> waiting, while this machine is short of descriptors or memory)
 *                      | \--> failed --retry--> committing   (the real file system is mounted already)
 *                      \--> held, serving                    (started to serve only)
 * ```
 *
 * Cancelling ends it in every state but `committing` and `done`, with nothing left behind.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { ReplaceState } from "../control/protocol.ts";
import { type BackoffPolicy, pauseAfter } from "./backoff.ts";
import { asControlError } from "./control_errors.ts";
import { shortages } from "./retry_errnos.ts";

/** A step that a replacement reports. */
export type ReplaceStep =
  | "held"
  | "mounting"
  | "waiting"
  | "mounted"
  | "proxy"
  | "commit"
  | "failed"
  | "done"
  | "cancelled";

/** What a replacement does to the world. */
export interface DelayedMountEffects {
  /**
   * Mounts the real file system, attached nowhere. When the signal is aborted it rejects promptly, and whatever the attempt still
   * brings about is undone behind the scenes.
   *
   * @returns a descriptor of the mount, owned by the caller
   */
  attempt(signal: AbortSignal): Promise<number>;
  /**
   * Lets the stub serve from the mount, or serve again when it has been told to wait since. The descriptor stays the caller's. On a
   * rejection nothing has changed.
   */
  proxy(mountFd: number): Promise<void>;
  /**
   * Puts the mount in the stub's place and takes the descriptor over. On a rejection the stub is where it was and the descriptor
   * stays the caller's.
   */
  commit(mountFd: number): Promise<void>;
  /** Closes the descriptor, and with it a mount that is attached nowhere. Does not block. */
  discard(mountFd: number): void;
  /** Milliseconds that only grow. */
  now(): number;
  /** Resolves after a time, or as soon as the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** What a replacement tells its owner. None of these may throw. */
export interface DelayedMountObserver {
  /** It reached a step. */
  step(step: ReplaceStep): void;
  /** An attempt ended: well, or with an error, and then perhaps another follows. A failure to put it in place counts as well. */
  attempted(attempt: number, error?: ControlError, nextRetryMs?: number): void;
  /** It is about to be irrevocable. */
  committing(): void;
  /** It ended: done, or with the error that ended it. A state `failed` is no end. */
  ended(error?: ControlError): void;
}

/** How attempts are repeated. */
export interface RetryRules extends BackoffPolicy {
  /** The names of the errnos that are worth another attempt. */
  readonly errnos: ReadonlySet<string>;
}

/** What status says about it. */
export interface DelayedMountStatus {
  /** Where it stands. */
  readonly state: ReplaceState;
  /** Attempts begun. */
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly lastError?: ControlError;
  /** Milliseconds until the next attempt. */
  readonly nextRetryMs?: number;
}

/** A replacement in progress. Lives on one thread; never blocks it. */
export class DelayedMount {
  readonly #effects: DelayedMountEffects;
  readonly #observer: DelayedMountObserver;
  readonly #rules: RetryRules;
  #state: ReplaceState = "held";
  #attempts = 0;
  #lastError: ControlError | undefined;
  #retryAt = 0;
  #mountFd = -1;
  // From the first successful `proxy` on the file system is the stub's; attempts are over, only `proxy` and the commit are repeated.
  #serving = false;
  // Whether to stop, held, once the stub serves from it.
  #serveOnly = false;
  #cancelled: ControlError | undefined;
  #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #waiters: PromiseWithResolvers<void>[] = [];
  #tried: PromiseWithResolvers<boolean> | undefined;
  #attended: (() => void)[] = [];

  /** Makes a replacement in the state `held`; {@linkcode DelayedMount.start} lets it begin. */
  constructor(effects: DelayedMountEffects, observer: DelayedMountObserver, rules: RetryRules) {
    this.#effects = effects;
    this.#observer = observer;
    this.#rules = rules;
  }

  /** Where it stands. */
  get status(): DelayedMountStatus {
    const state = this.#state;
    const lastError = state === "done" ? undefined : this.#lastError;
    return {
      state,
      attempts: this.#attempts,
      ...(lastError !== undefined && { lastError }),
      ...(state === "waiting" && { nextRetryMs: Math.max(0, this.#retryAt - this.#effects.now()) }),
    };
  }

  /** Whether the stub has the real file system already. */
  get serving(): boolean {
    return this.#serving;
  }

  /** Begins (from `held`) or begins again (from `failed`). In `waiting` it tries at once. In every other state it only goes on to the end. */
  start(): void {
    this.#serveOnly = false;
    this.#begin();
  }

  /**
   * Begins, from `held`, but stops there again once the stub serves from the real file system: {@linkcode DelayedMount.start} then puts it in
   * place. Resolves to whether it serves: true when it does, false as soon as an attempt has failed.
   */
  serve(): Promise<boolean> {
    if (this.#serving) return Promise.resolve(true);
    if (this.#state !== "held" || this.#cancelled !== undefined) return Promise.resolve(false);
    this.#serveOnly = true;
    const tried = this.#tried = Promise.withResolvers<boolean>();
    this.#begin();
    return tried.promise;
  }

  #begin(): void {
    if (this.#cancelled !== undefined) return;
    if (this.#state === "waiting") return this.#abort.abort();
    if (this.#state !== "held" && this.#state !== "failed") return;
    this.#state = this.#serving ? "committing" : "mounting";
    // Assigned before anything of it happens: whoever cancels from within a hook waits for it, too.
    this.#running = Promise.resolve().then(() => this.#run());
  }

  /**
   * Resolves when it is done; rejects when it fails or is cancelled, in the state `failed` at once with the error that led there.
   * Never settles while it is held.
   */
  wait(): Promise<void> {
    if (this.#state === "done") return Promise.resolve();
    const over = this.#cancelled ?? (this.#state === "failed" ? this.#lastError : undefined);
    if (over !== undefined) return Promise.reject(over);
    const waiter = Promise.withResolvers<void>();
    this.#waiters.push(waiter);
    return waiter.promise;
  }

  /** Resolves when it is done or over, or as soon as an attempt that is under way, or the next one, has failed. */
  tried(): Promise<void> {
    if (this.#state === "done" || this.#state === "failed") return Promise.resolve();
    return new Promise((resolve) => this.#attended.push(resolve));
  }

  /**
   * Ends it, unless it is committing or done: resolves to true when nothing of it is left. While it commits, waits for the outcome
   * and then answers false when it is done, or ends what failed.
   *
   * @param reason what waiters are told
   */
  async cancel(reason: ControlError): Promise<boolean> {
    if (this.#state === "committing") await this.#running;
    if (this.#state === "done") return false;
    if (this.#cancelled === undefined) {
      this.#cancelled = reason;
      this.#abort.abort();
      await this.#running;
      if (this.#mountFd >= 0) this.#effects.discard(this.#mountFd);
      this.#mountFd = -1;
      this.#state = "failed";
      this.#lastError = reason;
      this.#observer.step("cancelled");
      this.#settle(reason);
      this.#observer.ended(reason);
    }
    return true;
  }

  async #run(): Promise<void> {
    try {
      if (this.#cancelled !== undefined) return;
      if (!this.#serving) {
        const mounted = await this.#mount();
        if (!mounted || this.#cancelled !== undefined) return;
      }
      await this.#commit();
    } finally {
      this.#tried?.resolve(this.#serving);
    }
  }

  /** Attempts until one succeeds (true), or it is cancelled or failed (false). */
  async #mount(): Promise<boolean> {
    const effects = this.#effects;
    const began = effects.now();
    for (let attempt = 1;; attempt++) {
      this.#attempts++;
      this.#state = "mounting";
      this.#observer.step("mounting");
      if (this.#cancelled !== undefined) return false;
      const error = await this.#attempt(began);
      if (this.#cancelled !== undefined) return false;
      if (error === undefined) {
        this.#observer.attempted(this.#attempts);
        this.#observer.step("mounted");
        return true;
      }
      const elapsed = effects.now() - began;
      const transient = error.data.errno !== undefined && this.#rules.errnos.has(error.data.errno);
      const pause = transient ? pauseAfter(attempt, elapsed, this.#rules) : undefined;
      this.#lastError = error;
      this.#observer.attempted(this.#attempts, error, pause);
      if (pause === undefined) {
        this.#fail(transient ? deadlineError(this.#attempts, elapsed, error) : error);
        return false;
      }
      await this.#pause(pause);
      if (this.#cancelled !== undefined) return false;
    }
  }

  /** One attempt, ended by the deadline if there is one; sets the descriptor on success. */
  async #attempt(began: number): Promise<ControlError | undefined> {
    const { deadlineMs } = this.#rules;
    const abort = this.#abort = new AbortController();
    const timer = new AbortController();
    let late = false;
    if (deadlineMs !== undefined) {
      // An attempt that begins at the deadline is still given the time of a short one.
      const left = Math.max(deadlineMs - (this.#effects.now() - began), 1000);
      this.#effects.sleep(left, timer.signal).then(() => {
        if (timer.signal.aborted) return;
        late = true;
        abort.abort();
      });
    }
    try {
      const mountFd = await this.#effects.attempt(abort.signal);
      if (this.#cancelled !== undefined) this.#effects.discard(mountFd);
      else this.#mountFd = mountFd;
      return undefined;
    } catch (error) {
      if (late) return new ControlError("system", "the attempt did not end in time", { errno: "ETIMEDOUT" });
      return asControlError(error);
    } finally {
      timer.abort();
    }
  }

  /** Puts it in place, again while this machine is short for a moment of what that takes. */
  async #commit(): Promise<void> {
    const began = this.#effects.now();
    for (let attempt = 1;; attempt++) {
      const error = await this.#commitOnce();
      if (error === undefined) return;
      const short = this.#serving && shortages.has(error.data.errno ?? "");
      const pause = short ? pauseAfter(attempt, this.#effects.now() - began, this.#rules) : undefined;
      this.#lastError = error;
      this.#observer.attempted(this.#attempts, error, pause);
      if (pause === undefined) return this.#fail(error);
      await this.#pause(pause);
      if (this.#cancelled !== undefined) return;
    }
  }

  /** Resolves to what failed; what it serves from is kept then. */
  async #commitOnce(): Promise<ControlError | undefined> {
    this.#state = "committing";
    const irrevocable = !this.#serveOnly;
    if (irrevocable) this.#observer.committing();
    try {
      // Every time: after a commit that failed, the mode may have been changed.
      this.#observer.step("proxy");
      await this.#effects.proxy(this.#mountFd);
      this.#serving = true;
      if (this.#serveOnly) {
        this.#state = "held";
        this.#observer.step("held");
        return undefined;
      }
      if (!irrevocable) this.#observer.committing();
      this.#observer.step("commit");
      await this.#effects.commit(this.#mountFd);
    } catch (thrown) {
      if (!this.#serving) {
        this.#effects.discard(this.#mountFd);
        this.#mountFd = -1;
      }
      return asControlError(thrown);
    }
    this.#mountFd = -1;
    this.#state = "done";
    this.#observer.step("done");
    this.#observer.ended();
    this.#settle();
    return undefined;
  }

  /** Waits for the time of the next attempt, or for somebody who wants it now or not at all. */
  async #pause(pause: number): Promise<void> {
    this.#state = "waiting";
    this.#tried?.resolve(this.#serving);
    this.#tell();
    this.#retryAt = this.#effects.now() + pause;
    this.#observer.step("waiting");
    this.#abort = new AbortController();
    await this.#effects.sleep(pause, this.#abort.signal);
  }

  #fail(error: ControlError): void {
    this.#state = "failed";
    this.#lastError = error;
    this.#observer.step("failed");
    this.#settle(error);
  }

  #tell(): void {
    for (const resolve of this.#attended.splice(0)) resolve();
  }

  #settle(error?: ControlError): void {
    this.#tell();
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
  }
}

function deadlineError(attempts: number, elapsedMs: number, last: ControlError): ControlError {
  const tries = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
  const text = `gave up after ${tries} in ${Math.round(elapsedMs)} ms: ${last.message}`;
  return new ControlError("deadline", text, last.data);
}
