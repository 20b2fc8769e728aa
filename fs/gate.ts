/**
 * The gate: requests that wait. A waiting request costs a map entry and a copy of its message, never a thread.
 *
 * A wait ends by release, by a real signal, or by failing all. Nothing here times out by itself.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { type InterruptPolicy, waitEnded } from "./signals.ts";

/** A request that waits. */
export interface Parked {
  /** The request itself, detached. */
  readonly request: Request;
  /** When it came, in milliseconds of `performance.now()`. */
  readonly since: number;
  /** A signal woke its caller, but none was pending when we looked. */
  interrupted: boolean;
}

/** What the gate needs from outside. */
export interface GateEffects {
  /** Serves a request that waited. Never throws. */
  serve(request: Request): void;
  /** The wait of a request was ended with an errno. */
  ended?(request: Request): void;
  /** The number of waiting requests has changed. Called often: keep it cheap. */
  changed?(): void;
  /** Whether a signal that ends the wait is pending for a thread; `/proc` by default. */
  waitEnded?(tid: number, policy: InterruptPolicy): boolean;
}

const RECHECK_MS = 20;
const RECHECK_BUDGET_MS = 0.4;
const RELEASE_SLICE_MS = 10;

/** The requests that wait at one mount. Single-threaded, on the mount's worker. */
export class Gate {
  readonly #parked = new Map<bigint, Parked>();
  // Interrupted without a signal: the kernel says it once per request, so a later SIGKILL has to be looked for.
  readonly #suspects = new Map<bigint, Parked>();
  readonly #effects: GateEffects;
  readonly #waitEnded: (tid: number, policy: InterruptPolicy) => boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `policy` says which signals end a wait. */
  constructor(effects: GateEffects, readonly policy: InterruptPolicy) {
    this.#effects = effects;
    this.#waitEnded = effects.waitEnded ?? waitEnded;
  }

  /** How many requests wait. */
  get size(): number {
    return this.#parked.size;
  }

  /** The waiting requests, oldest first. */
  parked(): IterableIterator<Parked> {
    return this.#parked.values();
  }

  /** Lets a request wait. */
  park(request: Request): void {
    request.detach();
    this.#parked.set(request.unique, { request, since: performance.now(), interrupted: false });
    this.#effects.changed?.();
  }

  /** Whether a request waits here. */
  holds(request: Request): boolean {
    return this.#parked.has(request.unique);
  }

  /** A request is served by other means: it does not wait any more. */
  leave(request: Request): void {
    this.#parked.delete(request.unique);
    this.#suspects.delete(request.unique);
  }

  /**
   * A signal, or what looks like one, woke the caller: ends the wait with EINTR if a signal is pending, else keeps it and looks again
   * every 20 ms, since the kernel will not tell a second time.
   */
  interrupt(request: Request): void {
    const parked = this.#parked.get(request.unique);
    if (parked === undefined) return;
    if (this.#waitEnded(request.pid, this.policy)) return this.#end(parked, Errno.EINTR);
    parked.interrupted = true;
    this.#suspects.set(request.unique, parked);
    this.#timer ??= setTimeout(() => this.#recheck(), RECHECK_MS);
  }

  /**
   * Serves everything that waits, oldest first, in slices of 10 ms so that the mount keeps answering others. Requests that come
   * meanwhile are not waited for. Returns how many were served.
   */
  async release(): Promise<number> {
    const batch = [...this.#parked.values()];
    let served = 0;
    let slice = performance.now();
    for (const { request } of batch) {
      if (!this.#parked.delete(request.unique)) continue; // interrupted meanwhile
      this.#suspects.delete(request.unique);
      this.#effects.serve(request);
      served++;
      if (performance.now() - slice < RELEASE_SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve, 0));
      slice = performance.now();
    }
    this.#effects.changed?.();
    return served;
  }

  /** Serves, now, what waits and is accepted. Returns how many there were. */
  let(accept: (request: Request) => boolean, serve: (request: Request) => void): number {
    const chosen = [...this.#parked.values()].filter(({ request }) => accept(request));
    for (const { request } of chosen) {
      this.#parked.delete(request.unique);
      this.#suspects.delete(request.unique);
      serve(request);
    }
    if (chosen.length > 0) this.#effects.changed?.();
    return chosen.length;
  }

  /** Ends every wait with an errno. Synchronous. Returns how many there were. */
  fail(errno: number): number {
    const batch = [...this.#parked.values()];
    for (const parked of batch) this.#end(parked, errno);
    return batch.length;
  }

  #end(parked: Parked, errno: number): void {
    this.#parked.delete(parked.request.unique);
    this.#suspects.delete(parked.request.unique);
    parked.request.replyError(errno);
    this.#effects.ended?.(parked.request);
    this.#effects.changed?.();
  }

  /** Looks at the suspects again, for at most 0.4 ms a round: a frozen cgroup of thousands must not cost a core. */
  #recheck(): void {
    this.#timer = undefined;
    const until = performance.now() + RECHECK_BUDGET_MS;
    let left = this.#suspects.size;
    for (const [unique, parked] of this.#suspects) {
      if (left-- === 0 || performance.now() > until) break;
      this.#suspects.delete(unique); // to the end of the queue
      if (this.#waitEnded(parked.request.pid, this.policy)) this.#end(parked, Errno.EINTR);
      else this.#suspects.set(unique, parked);
    }
    if (this.#suspects.size > 0) this.#timer = setTimeout(() => this.#recheck(), RECHECK_MS);
  }

  /** Stops looking at suspects; call it when the mount ends. */
  close(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
