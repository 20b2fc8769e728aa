/**
 * The effects of a replacement: where the state machine of delayed_mount.ts meets workers, mount helpers and events.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { Params } from "../control/protocol.ts";
import { Errno, SysError } from "../ffi/errno.ts";
import { AT_STATX_DONT_SYNC, STATX_BASIC_STATS } from "../ffi/sys/constants.ts";
import { closeFd, dup, fstat, StatxBuffer } from "../ffi/sys/file.ts";
import { pathText } from "../ffi/sys/libc.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import type { DaemonContext } from "./daemon_context.ts";
import { DelayedMount, type DelayedMountEffects, type DelayedMountObserver } from "./delayed_mount.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { findHelper, mountByHelper, type MountHelper, mountProgram } from "./mount_helper.ts";
import { sortOptions } from "./mount_options.ts";
import { transientErrnos } from "./retry_errnos.ts";
import { describe, summarize } from "../swap/words.ts";
import type { Swap } from "./mount_swap.ts";
import { swapRefused } from "./swap_refusal.ts";
import { pause } from "./time_limit.ts";

type ReplaceParams = Params<"mount.replace">;

/** Whether a type is a copy of a directory that can be seen already. */
function isBind(type: string): boolean {
  return type === "bind" || type === "rbind";
}

/**
 * Checks what the schema cannot: that options can be sorted, errnos exist, a bind source is an absolute path, and has no network.
 *
 * @throws {ControlError} kind `invalid_params`
 */
export function checkReplaceParams(params: ReplaceParams): void {
  const refuse = (message: string) => {
    throw new ControlError("invalid_params", message, { mount: params.mount });
  };
  try {
    sortOptions(params.flags, params.options);
  } catch (error) {
    refuse(`options: ${(error as Error).message}`);
  }
  const unknown = params.retry.errnos?.find((name) => !Object.hasOwn(Errno, name));
  if (unknown !== undefined) refuse(`retry.errnos: there is no errno ${unknown}`);
  if (isBind(params.type) && params.source[0] !== 0x2f) refuse("source: must begin with / for a bind mount");
  if (isBind(params.type) && params.network !== undefined) refuse("network: a bind mount has none");
}

/**
 * Makes a replacement of a mount, in the state `held`. The parameters have been checked.
 *
 * @param awaited the stand-in that a device belongs to, if that is to be replaced as well
 */
export function createReplacement(
  params: ReplaceParams,
  mount: ManagedMount,
  context: DaemonContext,
  awaited: (major: number, minor: number) => ManagedMount | undefined,
  committing: () => void,
): DelayedMount {
  const { retry } = params;
  return new DelayedMount(effects(params, mount, context, awaited), observer(mount, context, committing), {
    initialMs: retry.initialMs,
    maxMs: retry.maxMs,
    factor: retry.factor,
    ...(retry.deadlineMs !== undefined && { deadlineMs: retry.deadlineMs }),
    errnos: retry.errnos === undefined ? transientErrnos : new Set(retry.errnos),
  });
}

function effects(
  params: ReplaceParams,
  mount: ManagedMount,
  context: DaemonContext,
  awaited: (major: number, minor: number) => ManagedMount | undefined,
): DelayedMountEffects {
  const { run } = context;
  const sorted = sortOptions(params.flags, params.options);
  const discard = (fd: number) => {
    run("close", { fd }).catch((error) => {
      context.log.write("error", `closing a mount: ${error.message}`, { mount: mount.id });
    });
  };
  return {
    async attempt(signal) {
      const { type, source } = params;
      const network = networkOf(params, mount);
      const helper = await helperOf(params);
      signal.throwIfAborted();
      if (helper !== undefined) {
        const request = {
          helper,
          source: utf8(source, "the source"),
          options: sorted.text,
          network: network && utf8(network, "the path"),
          place: context.areas(),
        };
        return await mountByHelper(request, run, signal);
      }
      const { attributes, parameters } = sorted;
      const job = { type, source, attributes, parameters, network };
      const mountFd = await run("mount", job, { signal, late: discard });
      const other = isBind(type) ? standInOf(mountFd, awaited) : undefined;
      if (other === undefined) return mountFd;
      discard(mountFd);
      const message = `${pathText(source)} is on the stand-in ${other.id}, which is to be replaced first`;
      throw new ControlError("system", message, { errno: "EBUSY" });
    },
    async proxy(mountFd) {
      const mayCross = params.type === "rbind" || await helperOf(params) !== undefined;
      const backingFd = dup(mountFd);
      if (backingFd < 0) throw new SysError("fcntl", -backingFd);
      const { previous, waited } = await mount.handle.call("setMode", {
        mode: "proxy",
        backingFd,
        mayCross,
        missing: params.missing,
      });
      mount.setMode("proxy");
      if (previous !== "proxy") {
        context.emit("mode.changed", { mount: mount.id, mode: "proxy", previous, waited });
      }
    },
    async commit(mountFd) {
      const { path: mountpoint, identity: { major, minor } } = mount;
      const swap = { mountFd, mountpoint, stub: { major, minor }, ...context.areas() };
      // What was ordered last.
      const last = mount.replacement?.params ?? params;
      let method: string;
      try {
        method = last.swap === "none"
          ? await run("swap", swap)
          : await moveAndSwap(last, mount, context, swap);
      } catch (error) {
        // The stub may have been put back by a copy, which has another id.
        const entry = readMountinfo().find((entry) => entry.major === major && entry.minor === minor);
        if (entry !== undefined) mount.identity = { ...mount.identity, mountId: BigInt(entry.id) };
        throw error;
      }
      mount.replaced = true;
      // Attached by now, so that this unmounts nothing.
      closeFd(mountFd);
      if (method !== "beneath") {
        const text = `replaced by way of "${method}": the bare mountpoint could be seen for a moment`;
        context.log.write("warn", text, { mount: mount.id });
      }
      // Fails when nobody used the stub: its session is over then, and nothing is left to be told.
      await mount.handle.call("detach", {}).catch(() => {});
    },
    discard,
    now: () => performance.now(),
    sleep: pause,
  };
}

/** Which stand-in a mount is of. Asks no file system. */
function standInOf(
  mountFd: number,
  awaited: (major: number, minor: number) => ManagedMount | undefined,
): ManagedMount | undefined {
  const stat = new StatxBuffer();
  const looked = fstat(mountFd, STATX_BASIC_STATS, stat, AT_STATX_DONT_SYNC);
  return looked < 0 ? undefined : awaited(stat.devMajor, stat.devMinor);
}

/** Moves the stub's users and puts the real mount in its place. @throws {ControlError} `swap_refused`, or as `swapMounts` does */
async function moveAndSwap(
  params: ReplaceParams,
  mount: ManagedMount,
  context: DaemonContext,
  swap: Swap,
): Promise<string> {
  const outcome = await context.runSwap({
    kind: "stub",
    swap,
    mountId: Number(mount.identity.mountId),
    selection: params.swapProcesses,
    leave: params.swap === "auto",
    deadlineMs: params.swapDeadlineMs,
  }, {
    progress: (step) => context.emit("replace.progress", { mount: mount.id, step }),
    openNode: async (nodeid) => (await mount.handle.call("openNode", { nodeid })).fd,
  });
  if (!outcome.ok) throw swapRefused(outcome, { mount: mount.id });
  const { result } = outcome;
  mount.swap = { ...result, processes: [...result.processes], left: [...result.left] };
  context.log.write("info", summarize(result), { mount: mount.id });
  for (const obstacle of result.left) {
    context.log.write("warn", `stays on the stub: ${describe(obstacle)}`, { mount: mount.id });
  }
  return outcome.method!;
}

/** @throws {ControlError} `system`, ENOENT, which is attempted again: the tree is not known yet */
function networkOf({ network }: ReplaceParams, { tree }: ManagedMount): Uint8Array | undefined {
  if (network !== "tree") return network;
  if (tree !== undefined) return new TextEncoder().encode(`/proc/${tree}/ns/net`);
  const message = "network: the restored tree is not known (restore.check)";
  throw new ControlError("system", message, { errno: "ENOENT" });
}

async function helperOf({ type, helper }: ReplaceParams): Promise<MountHelper | undefined> {
  if (helper === "never" || isBind(type)) return undefined;
  return await findHelper(type) ?? (helper === "always" ? mountProgram(type) : undefined);
}

function utf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const message = `${what} ${pathText(bytes)} is not UTF-8, which a mount helper needs`;
    throw new ControlError("system", message, { errno: "EILSEQ" });
  }
}

function observer(mount: ManagedMount, context: DaemonContext, committing: () => void): DelayedMountObserver {
  const subject = { mount: mount.id };
  return {
    step(step) {
      context.log.write("info", `replacement: ${step}`, subject);
      context.emit("replace.progress", { mount: mount.id, step });
    },
    attempted(attempt, error, nextRetryMs) {
      if (error !== undefined) {
        const next = nextRetryMs === undefined ? "" : `, next in ${Math.round(nextRetryMs)} ms`;
        const detail = error.data.detail === undefined ? "" : ` [${error.data.detail}]`;
        context.log.write("warn", `attempt ${attempt}: ${error.message}${detail}${next}`, subject);
      }
      context.emit("mount.attempt", {
        mount: mount.id,
        attempt,
        ...(error !== undefined && { error: faultOf(error) }),
        ...(nextRetryMs !== undefined && { nextRetryMs }),
      });
    },
    committing,
    ended(error) {
      context.emit("replace.done", {
        mount: mount.id,
        ok: error === undefined,
        ...(error === undefined && mount.swap !== undefined && { swap: mount.swap }),
        ...(error !== undefined && { error: faultOf(error) }),
      });
    },
  };
}

/** An attempt's failure as an event tells it. */
function faultOf(error: ControlError): { kind: string; message: string; errno?: string } {
  const { kind, message, data: { errno } } = error;
  return { kind, message, ...(errno !== undefined && { errno }) };
}
