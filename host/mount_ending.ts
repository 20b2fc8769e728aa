/**
 * How mounts end: as ordered, by themselves, or by a worker that broke. Whatever happened, nothing that hangs is left on a mountpoint.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { pathText } from "../ffi/sys/libc.ts";
import { readMountinfo } from "../ffi/sys/mountinfo.ts";
import type { DaemonContext } from "./daemon_context.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { within } from "./time_limit.ts";
import type { GoneEvent } from "./worker_messages.ts";

/** How long an orderly end may take before the mount is taken away by force, in milliseconds. */
const orderlyWithinMs = 5000;

/** How long taking it away by force may take, in milliseconds, before it is given up. */
const forcedWithinMs = 5000;

/** How long a worker may take to end when its connection is gone, in milliseconds. */
const lastWordsMs = 1000;

/**
 * Ends a mount as ordered: a replacement that has not begun to commit is cancelled, one that has is waited for; parked requests are
 * answered with the errno; the mount is taken off. Resolves when nothing of it is left, to the number of requests answered.
 */
export async function endMount(mount: ManagedMount, errno: number, context: DaemonContext): Promise<number> {
  const orderly = async () => {
    const reason = new ControlError("cancelled", `mount ${mount.id} was aborted`, { mount: mount.id });
    await mount.replacement?.delayed.cancel(reason);
    const { answered } = await mount.handle.call("abort", { errno });
    await mount.gone.promise;
    return answered;
  };
  const answered = await within(orderlyWithinMs, orderly()).catch((error) => {
    context.log.write("warn", `ending it: ${error.message}`, { mount: mount.id });
    return undefined;
  });
  await removeRest(mount, context);
  // A worker that is on its way out is let out; one that hangs in a system call has lost its connection by now.
  if (answered === undefined) await within(lastWordsMs, mount.gone.promise);
  mount.handle.end("it was aborted");
  return answered ?? mount.parked.count;
}

/**
 * Sees to a mount whose session ended, or whose worker broke, without an order.
 *
 * @returns why it is lost; undefined when it ended as mounts do: unmounted, with its last user gone
 */
export async function mountEnded(
  mount: ManagedMount,
  gone: GoneEvent,
  context: DaemonContext,
): Promise<string | undefined> {
  // A swap takes the last reference away and then tells so: that comes first.
  if (mount.replacement?.delayed.status.state === "committing") {
    await mount.replacement.delayed.wait().catch(() => {});
  }
  const lost = gone.reason === "unmounted" ? undefined : gone.text ??
    (gone.reason === "aborted" ? "its FUSE connection was aborted" : "serving it failed");
  const message = `mount ${mount.id}: ${lost ?? "it was unmounted"}`;
  await mount.replacement?.delayed.cancel(new ControlError("mount_lost", message, { mount: mount.id }));
  if (lost !== undefined) await removeRest(mount, context);
  mount.handle.end(lost ?? "it was unmounted");
  return lost;
}

/** Takes away by force what is left of a mount: off its mountpoint it may still have users, who must not wait for ever. */
async function removeRest(mount: ManagedMount, context: DaemonContext): Promise<void> {
  const { major, minor } = mount.identity;
  try {
    if (mount.connection?.abort() === false) return;
  } catch (error) {
    context.log.write("error", `aborting its connection: ${(error as Error).message}`, { mount: mount.id });
  }
  await forceUnmount(mount.id, major, minor, context);
}

async function forceUnmount(id: string, major: number, minor: number, context: DaemonContext): Promise<void> {
  try {
    const unmounted = await within(
      forcedWithinMs,
      context.run("forceUnmount", { major, minor, source: context.ownerTag }),
    );
    if (unmounted === undefined) context.log.write("error", "taking it away by force hangs", { mount: id });
    for (const { mountpoint, error } of unmounted ?? []) {
      const text = `${pathText(mountpoint)}: ${error ?? "taken away by force"}`;
      context.log.write(error === undefined ? "warn" : "error", text, { mount: id });
    }
  } catch (error) {
    context.log.write("error", `taking it away by force: ${(error as Error).message}`, { mount: id });
  }
}

/**
 * Takes away what a worker may have left that broke while it mounted.
 *
 * @param path the mountpoint without symlinks
 */
export async function removeUnfinished(id: string, path: Uint8Array, context: DaemonContext): Promise<void> {
  const left = readMountinfo().filter((entry) =>
    entry.fstype === "fuse.spfs" && pathText(entry.source) === context.ownerTag &&
    pathText(entry.mountpoint) === pathText(path)
  );
  for (const { major, minor } of left) await forceUnmount(id, major, minor, context);
}
