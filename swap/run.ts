/**
 * A swap from beginning to end: processes are stopped, what they hold on the sources is collected, everything is opened on the targets, the
 * processes are changed, the mounts are switched, and the processes go on. Until the mounts are switched, anything that fails leaves every
 * process as it was.
 *
 * Runs on one thread, which is the tracer; nothing else may run on it meanwhile. It must not be the thread that serves a source: closing
 * and unmapping files asks the source's server.
 *
 * @module
 */
import { F_GETOWN_EX, F_GETSIG } from "../ffi/sys/constants.ts";
import { fcntlGet, fcntlLock } from "../ffi/sys/file.ts";
import { Actor } from "./actor.ts";
import { Candidates } from "./candidates.ts";
import { Collector } from "./collect.ts";
import type { Owner } from "./descriptors.ts";
import type { Description, Hindrance, Inventory, Place } from "./inventory.ts";
import { sharedWithOutsiders } from "./outsiders.ts";
import { lookAhead } from "./look_ahead.ts";
import { pause } from "./pause.ts";
import { blockedProcesses, leftForOthers, movedProcesses, without } from "./plan.ts";
import { TaskGone } from "./remote_call.ts";
import { Replacements } from "./replacements.ts";
import { roomHindrances } from "./room.ts";
import { SocketRefused } from "./socket_holders.ts";
import { findSockets, SocketMoves } from "./sockets.ts";
import { releaseLate, StopError, StoppedSet } from "./stop.ts";
import type { Tracee } from "./tracee.ts";
import { type Step, Transaction } from "./transaction.ts";
import type { Obstacle, Selection, SourceMount, SwapResult } from "./types.ts";
import { Wakefulness } from "./wakefulness.ts";
import { describe } from "./words.ts";

/** What is to be done. */
export interface SwapRequest {
  /** The mounts whose users are moved. */
  readonly sources: readonly SourceMount[];
  /** Which processes. */
  readonly selection: Selection;
  /** Processes besides this one that are never stopped: those it works for. */
  readonly stay: readonly number[];
  /** Whether what cannot be moved is left; otherwise anything in the way is a refusal. */
  readonly leave: boolean;
  /** Whether to only look. */
  readonly dryRun: boolean;
  /** How long stopping, and waiting for what is in the way only for a moment, may take, in milliseconds. */
  readonly deadlineMs: number;
}

/** What takes part in a swap. None of these may wait for the stopped processes. */
export interface SwapHooks {
  /** It reached a step. */
  progress?(step: "stopping" | "collecting" | "moving" | "swapped", processes: number, tasks: number): void;
  /** Switches the mounts, when all processes have been changed. When it throws, they are changed back. */
  switchMounts?(): void;
  /** See {@linkcode Replacements}. */
  unnamed?(place: Place): number;
  /** For tests: called before each step of the change; what it throws makes that step fail. */
  step?: Step;
}

/** A swap that was not made: nothing has changed. */
export class SwapRefused extends Error {
  override readonly name = "SwapRefused";
  /** `obstacles` are what stood in the way. */
  constructor(readonly obstacles: readonly Obstacle[]) {
    const [first] = obstacles;
    const more = obstacles.length > 1 ? ` (and ${obstacles.length - 1} more)` : "";
    super(first === undefined ? "refused" : `${describe(first)}${more}`);
  }
}

/** How long to wait before looking again at what is in the way only for a moment, in milliseconds: first and at most. */
const RETRY_MS = { first: 2, most: 100 };
/** How long tasks may take to stop at the first attempt, in milliseconds; twice as long at each further one: others stand still meanwhile. */
const STOP_MS = { first: 200, most: 1600 };

/**
 * Makes a swap. What is in the way only for a moment is waited for, the processes running meanwhile, until the deadline.
 *
 * @throws {SwapRefused} when something is in the way; {SysError} and what `switchMounts` throws when it failed and was undone; {UndoError}
 * when undoing failed as well
 */
export function runSwap(request: SwapRequest, hooks: SwapHooks = {}): SwapResult {
  const until = performance.now() + request.deadlineMs;
  for (let wait = RETRY_MS.first, stopMs = STOP_MS.first;; wait *= 2, stopMs *= 2) {
    const last = performance.now() + Math.min(wait, RETRY_MS.most) > until;
    releaseLate();
    try {
      return attempt(request, hooks, Math.min(stopMs, STOP_MS.most), wait === RETRY_MS.first, last);
    } catch (error) {
      const refused = error instanceof StopError ? new SwapRefused(error.obstacles) : error;
      if (!(refused instanceof SwapRefused) || !refused.obstacles.some(({ transient }) => transient)) {
        throw refused;
      }
      if (last) throw refused;
      pause(Math.min(wait, RETRY_MS.most));
    }
  }
}

/**
 * @param stopMs how long the tasks may take to stop
 * @param first whether it is the first attempt
 * @param last whether what is in the way only for a moment counts like anything else
 */
function attempt(
  request: SwapRequest,
  hooks: SwapHooks,
  stopMs: number,
  first: boolean,
  last: boolean,
): SwapResult {
  const candidates = new Candidates(request.selection, request.sources, [Deno.pid, ...request.stay]);
  const found = candidates.next();
  if (first) lookAhead(found, request.sources);
  hooks.progress?.("stopping", found.length, 0);
  using late = new DisposableStack(); // what is closed when the tasks run again
  let result: Omit<SwapResult, "stoppedMs">;
  let began: number | undefined;
  {
    using _awake = new Wakefulness();
    using stopped = new StoppedSet();
    // Before they stop, so that the tasks that did not stop in time go on.
    stopped.stop(found, () => candidates.next(), performance.now() + stopMs);
    began = stopped.began;
    hooks.progress?.("collecting", found.length, stopped.taskCount);
    result = move(request, hooks, stopped, late, last);
  }
  const stoppedMs = found.length === 0 || began === undefined ? 0 : performance.now() - began;
  hooks.progress?.("swapped", result.processes.length, result.tasks);
  return { ...result, stoppedMs };
}

function move(
  request: SwapRequest,
  hooks: SwapHooks,
  stopped: StoppedSet,
  late: DisposableStack,
  last: boolean,
): Omit<SwapResult, "stoppedMs"> {
  const tasks = stopped.taskCount;
  const collector = new Collector(request.sources);
  for (const process of stopped.processes) collector.add(process);
  const actors = new Map<Tracee, Actor>();
  late.defer(() => actors.forEach((actor) => actor[Symbol.dispose]()));
  const actorOf = (task: Tracee) => {
    let actor = actors.get(task);
    if (actor === undefined) actors.set(task, actor = Actor.of(task));
    return actor;
  };
  const found = findSockets(
    collector.sockets,
    collector.inventory,
    request.sources,
    ({ task }) => actorOf(task),
    request.selection.kind === "referring",
  );
  let inventory = collector.finish();
  const replacements = late.use(
    new Replacements(inventory, request.sources, ({ task }) => actorOf(task), hooks.unnamed),
  );
  replacements.open();
  // Making them leaves traces on the target, if only for a moment.
  using sockets = request.dryRun ? new SocketMoves([], []) : new SocketMoves(found.moves, found.connections);
  const oldOf = (description: Description) => replacements.old.get(description);
  const unbound = sockets.make(inventory, oldOf, (one, fd) => replacements.next.set(one, fd));
  // When everybody is moved who refers to the sources, nobody is outside.
  const outsiders = request.selection.kind === "referring"
    ? []
    : sharedWithOutsiders(inventory, (pid) =>
      pid === Deno.pid || request.stay.includes(pid) || stopped.has(pid));
  const hindrances: Hindrance[] = [
    ...outsiders,
    ...inventory.hindrances,
    ...replacements.hindrances,
    ...found.hindrances,
    ...unbound,
    ...roomHindrances(inventory),
  ];
  const left = hindrances.map(({ obstacle }) => obstacle);
  if (left.length > 0) {
    const mayPass = !last && left.some(({ transient }) => transient);
    if ((!request.leave || mayPass) && !request.dryRun) throw new SwapRefused(left);
    const blocked = blockedProcesses(inventory, hindrances);
    left.push(...leftForOthers(inventory, blocked, left));
    inventory = without(inventory, blocked);
    stopped.release(blocked);
  }
  const processes = movedProcesses(inventory);
  const told = { processes, left, tasks, descriptions: inventory.descriptions.length };
  if (request.dryRun) return told;
  hooks.progress?.("moving", processes.length, tasks);
  const moved = new Set(inventory.descriptions);
  const isMoved = (description: Description) => moved.has(description);
  const owners = ownersOf(inventory, replacements);
  const step = hooks.step ?? (() => {});
  const transaction = new Transaction(inventory, replacements, actorOf, owners, step);
  try {
    transaction.prepare();
    sockets.listen(isMoved, ({ task }) => actorOf(task));
    sockets.connect(inventory, {
      isMoved,
      old: oldOf,
      actorOf: ({ task }) => actorOf(task),
      made: (one, fd) => replacements.next.set(one, fd),
      step,
    });
    transaction.commit();
    sockets.place(inventory, isMoved, oldOf, ({ task }) => actorOf(task));
    hooks.step?.("placed", 0);
    hooks.switchMounts?.();
  } catch (error) {
    try {
      transaction.undo();
    } finally {
      transaction.leave();
    }
    if (error instanceof SocketRefused) throw new SwapRefused([error.obstacle]);
    throw error instanceof TaskGone ? new SwapRefused([gone(error)]) : error;
  }
  sockets.keep();
  left.push(...transaction.finish());
  transaction.leave();
  return told;
}

function gone({ tid }: TaskGone): Obstacle {
  return { pid: tid, comm: "", kind: "process", reason: "has ended meanwhile", transient: true };
}

/** Who is signalled for descriptions, as this process sees them; in another pid namespace the numbers are others. */
function ownersOf(inventory: Inventory, { old }: Replacements): Map<Description, Owner> {
  const owners = new Map<Description, Owner>();
  const bytes = new Uint8Array(new ArrayBuffer(32));
  const view = new DataView(bytes.buffer);
  for (const description of inventory.descriptions) {
    const fd = old.get(description);
    if (fd === undefined) continue;
    const signal = fcntlGet(fd, F_GETSIG);
    if (fcntlLock(fd, F_GETOWN_EX, bytes) < 0 || signal < 0) continue; // an O_PATH descriptor has none
    const [type, pid] = [view.getInt32(0, true), view.getInt32(4, true)];
    if (pid !== 0 || signal !== 0) owners.set(description, { type, pid, signal });
  }
  return owners;
}
