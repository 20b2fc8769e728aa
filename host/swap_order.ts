/**
 * Carrying out the orders of the tracer.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { SysError } from "../ffi/errno.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_PATH } from "../ffi/sys/constants.ts";
import { closeFd, openat } from "../ffi/sys/file.ts";
import { nameToHandleAt } from "../ffi/sys/handles.ts";
import { cstr } from "../ffi/sys/libc.ts";
import type { Place } from "../swap/inventory.ts";
import { runSwap, SwapRefused } from "../swap/run.ts";
import type { Step } from "../swap/transaction.ts";
import { type SwapMethod, swapMounts } from "./mount_swap.ts";
import type { MountsOrder, StubOrder, SwapDetail, SwapOutcome, SwapStep } from "./swap_messages.ts";
import { type FollowingMount, type OtherMount, otherMounts } from "./stub_mounts.ts";
import type { Obstacle, SourceMount, SwapResult } from "../swap/types.ts";
import { mountAt, sourceOf } from "./swap_sources.ts";

/** What an order is carried out in. */
export interface SwapSurroundings {
  /** It reached a step. */
  progress(step: SwapStep, detail: SwapDetail): void;
  /** Processes besides this one that are not touched: who ordered. */
  readonly stay: readonly number[];
  /** A file of the stub that has lost its name, see {@linkcode Place}: a descriptor, which passes to the caller, or a negated error number. */
  openNode(nodeid: bigint): number;
  /** For tests, as in {@linkcode runSwap}. */
  readonly step?: Step;
}

/**
 * Carries out an order. Blocks for as long as it takes.
 *
 * @throws {ControlError} when a mountpoint cannot be looked at, or the swap failed for another reason than something in the way; it was
 * undone then
 */
export function runSwapOrder(
  order: MountsOrder,
  { progress, stay, step }: Omit<SwapSurroundings, "openNode">,
): SwapOutcome {
  const source = mountAt(order.source);
  using _source = source.root;
  const target = mountAt(order.target);
  using _target = target.root;
  if (source.entry.id === target.entry.id) {
    throw new ControlError("invalid_params", "source and target are the same mount");
  }
  // The descriptor of the source must not be one of its users.
  source.root.close();
  const { selection, leave, dryRun, deadlineMs } = order;
  const request = {
    sources: [sourceOf(source.entry, target.root.raw)],
    selection,
    stay,
    leave,
    dryRun,
    deadlineMs,
  };
  try {
    const result = runSwap(request, {
      progress: (step, processes, tasks) => progress(step, { processes, tasks }),
      ...(step !== undefined && { step }),
    });
    return { ok: true, result };
  } catch (error) {
    if (error instanceof SwapRefused) {
      return { ok: false, obstacles: error.obstacles, message: error.message };
    }
    throw asFailure(error);
  }
}

/**
 * Moves a stub's users to the real mount and puts that in the stub's place. Blocks for as long as it takes.
 *
 * @throws {ControlError} when the mounts cannot be switched; everything was undone then
 */
export function runStubOrder(
  order: StubOrder,
  { progress, stay, openNode, step }: SwapSurroundings,
): SwapOutcome {
  const { swap, mountId, selection, leave, deadlineMs } = order;
  const { mountpoint, stub: { major, minor }, mountFd } = swap;
  const left: Obstacle[] = [];
  using others = new DisposableStack();
  const { separate, late, following } = otherMounts(swap, mountId, others, left);
  if (!leave) {
    const reason = "can only be replaced after the stub's own mount before Linux 6.15";
    left.push(...late.map(({ mountpoint: path }) => mountObstacle(reason, path)));
  }
  if (left.length > 0 && !leave) return { ok: false, obstacles: left, message: left[0]!.reason };
  const own = { id: mountId, major, minor, mountpoint, targetFd: mountFd };
  const sources = [own, ...separate.map(({ source }) => source)];
  /** Those whose users are moved after the mounts were switched. */
  const switched: FollowingMount[] = [...following];
  let method: SwapMethod | undefined;
  /** The stub's own mount first: nothing has been switched when that fails. What is left of others is told. */
  const switchMounts = () => {
    method = swapMounts(swap);
    const replace = (mount: Pick<OtherMount, "replace" | "mountpoint">) => {
      try {
        mount.replace();
        return true;
      } catch (error) {
        left.push(mountObstacle(`could not be replaced: ${messageOf(error)}`, mount.mountpoint));
        return false;
      }
    };
    separate.forEach(replace);
    switched.push(...late.filter(replace));
  };
  try {
    const result = runSwap({ sources, selection, stay, leave, dryRun: false, deadlineMs }, {
      progress: (step, processes, tasks) => progress(step, { processes, tasks }),
      ...(step !== undefined && { step }),
      unnamed: (place) => unnamedNode(place, openNode),
      switchMounts,
    });
    const whole = moveSwitched(order, stay, switched, result, left);
    return { ok: true, result: { ...whole, left: [...whole.left, ...left] }, method: method! };
  } catch (error) {
    if (!(error instanceof SwapRefused)) throw asFailure(error);
    const { obstacles, message } = error;
    if (!leave) return { ok: false, obstacles, message };
    // Nobody could be moved: everybody stays on the stub, which goes on without a mountpoint.
    progress("moving", { processes: 0, tasks: 0 });
    switchMounts();
    const nobody = { processes: [], left: obstacles, stoppedMs: 0, tasks: 0, descriptions: 0 };
    const whole = moveSwitched(order, stay, switched, nobody, left);
    return { ok: true, result: { ...whole, left: [...whole.left, ...left] }, method: method! };
  }
}

function mountObstacle(reason: string, path?: Uint8Array): Obstacle {
  return { pid: 0, comm: "", kind: "process", ...(path && { path }), reason };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Moves the users of mounts that have been replaced: those for which there was nothing to move to before. */
function moveSwitched(
  { selection, deadlineMs }: StubOrder,
  stay: readonly number[],
  switched: readonly FollowingMount[],
  before: SwapResult,
  left: Obstacle[],
): SwapResult {
  const sources: SourceMount[] = [];
  for (const mount of switched) {
    try {
      sources.push(mount.sourceWhenDetached());
    } catch (error) {
      left.push(mountObstacle(messageOf(error), mount.mountpoint));
    }
  }
  if (sources.length === 0) return before;
  try {
    const more = runSwap({ sources, selection, stay, leave: true, dryRun: false, deadlineMs });
    return {
      processes: [...before.processes, ...more.processes],
      left: [...before.left, ...more.left],
      stoppedMs: Math.max(before.stoppedMs, more.stoppedMs),
      tasks: before.tasks + more.tasks,
      descriptions: before.descriptions + more.descriptions,
    };
  } catch (error) {
    if (error instanceof SwapRefused) left.push(...error.obstacles);
    else left.push(mountObstacle(messageOf(error)));
    return before;
  }
}

/** FUSE's file handles begin with the nodeid, its upper half first; `fs/fuse/inode.c`, fuse_encode_fh. */
function unnamedNode(place: Place, openNode: (nodeid: bigint) => number): number {
  const file = openat(AT_FDCWD, cstr(place.link), O_PATH | O_CLOEXEC);
  if (file < 0) return file;
  const handle = nameToHandleAt(file, null, AT_EMPTY_PATH);
  closeFd(file);
  if (typeof handle === "number") return handle;
  const view = new DataView(handle.bytes.buffer, handle.bytes.byteOffset);
  return openNode(BigInt(view.getUint32(0, true)) << 32n | BigInt(view.getUint32(4, true)));
}

function asFailure(error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  const { message, code, syscall } = error;
  return new ControlError("system", message, { errno: code, syscall, rolledBack: true });
}
