/**
 * What the daemon and its tracer tell each other, as plain data. Types only.
 *
 * @module
 */

import type { Obstacle, Selection, SwapResult } from "../swap/types.ts";
import type { Swap, SwapMethod } from "./mount_swap.ts";
import type { WorkerError } from "./worker_messages.ts";

/** A swap of one mount's users to another mount, both of which are in place. */
export interface MountsOrder {
  readonly kind: "mounts";
  /** The mountpoint of the mount whose users are moved: an absolute path. */
  readonly source: Uint8Array;
  /** The mountpoint of the mount that they are moved to: an absolute path. */
  readonly target: Uint8Array;
  /** Which processes. */
  readonly selection: Selection;
  /** Whether what cannot be moved is left on the source; otherwise nothing is moved when anything cannot be. */
  readonly leave: boolean;
  /**
   * Whether to only look. The outcome then is the result that moving would have with `leave`: `left` is what stands in the way,
   * `stoppedMs` is for how long tasks were stopped to look at them.
   */
  readonly dryRun: boolean;
  /** How long stopping the tasks may take, in milliseconds. */
  readonly deadlineMs: number;
}

/** The replacement of a stub: its users are moved to the real mount, which takes its place. */
export interface StubOrder {
  readonly kind: "stub";
  /** The mounts. */
  readonly swap: Swap;
  /** The stub's id in mountinfo. */
  readonly mountId: number;
  /** Which processes. */
  readonly selection: Selection;
  /** Whether what cannot be moved is left on the stub, which then goes on without a mountpoint. */
  readonly leave: boolean;
  /** As in {@linkcode MountsOrder}. */
  readonly deadlineMs: number;
}

/** An order to the tracer. */
export type SwapOrder = MountsOrder | StubOrder;

/** A step of a swap. "swapped" comes last, when the tasks run again. */
export type SwapStep = "stopping" | "collecting" | "moving" | "swapped";

/** What is known at a step. */
export interface SwapDetail {
  /** How many processes are moved. */
  readonly processes?: number;
  /** How many tasks (threads) are stopped. */
  readonly tasks?: number;
}

/** An order that was not carried out: nothing was changed, or all of it undone. */
export interface SwapRefusal {
  readonly ok: false;
  /** What stood in the way. */
  readonly obstacles: readonly Obstacle[];
  /** The first of them, for people. */
  readonly message: string;
}

/** How an order ended. */
export type SwapOutcome =
  | {
    readonly ok: true;
    readonly result: SwapResult;
    /** How the real mount was put in the stub's place. */
    readonly method?: SwapMethod;
  }
  | SwapRefusal;

/** What whoever orders a swap may want to know and to do meanwhile. None of these may throw. */
export interface SwapHooks {
  /** It reached a step. */
  progress?(step: SwapStep, detail: SwapDetail): void;
  /** The tracer takes the order now: from here on it is carried out to its end. */
  begun?(): void;
  /**
   * A file of the stub that has lost its name, by its nodeid: a descriptor of the real file, which passes to the caller, or a negated error
   * number. The swap waits for it.
   */
  openNode?(nodeid: bigint): Promise<number>;
  /** While the order waits for its turn: aborting takes it back, and it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Carries an order out, after those that came before: there is one tracer.
 *
 * @throws {ControlError} `system` when a mountpoint cannot be looked at, `internal` when the tracer failed
 */
export type RunSwap = (order: SwapOrder, hooks?: SwapHooks) => Promise<SwapOutcome>;

/** What the tracer is sent. */
export type TracerRequest =
  | { readonly order: SwapOrder }
  /** Answers `openNode`: a descriptor of the sender's, open until the order ends, or a negated error number. */
  | { readonly node: number };

/** What the tracer sends: any number of steps and questions, then how the order ended or why it could not be carried out. */
export type SwapReply =
  | { readonly progress: { readonly step: SwapStep; readonly detail: SwapDetail } }
  /** Asks for a file, see {@linkcode SwapHooks.openNode}, and waits for the answer. */
  | { readonly openNode: bigint }
  | { readonly outcome: SwapOutcome }
  | { readonly error: WorkerError };

/** A running tracer. */
export interface Tracer {
  /** Sends it something. */
  send(request: TracerRequest): void;
  /** Lets it end when it has carried out what it was sent. */
  end(): void;
}

/** Who listens to a tracer. */
export interface TracerEvents {
  /** It sent something. */
  replied(reply: SwapReply): void;
  /**
   * It has ended, or is ended because it is in no known state. Called last.
   *
   * @param refusal how its order ended, when it was ended because it did not get on, and nothing had been changed
   */
  failed(message: string, refusal?: SwapRefusal): void;
}
