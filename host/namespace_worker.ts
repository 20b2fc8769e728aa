/**
 * The namespace worker: does one job with mounts at a time. System calls are synchronous here and act on this thread's mount namespace;
 * a job that blocks in the kernel blocks nobody else.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { closeFd } from "../ffi/sys/file.ts";
import { copyFromArea, mountDetached } from "./detached_mount.ts";
import { unmountDead } from "./dead_mounts.ts";
import { forceUnmount } from "./forced_unmount.ts";
import { swapMounts } from "./mount_swap.ts";
import type {
  NamespaceJob,
  NamespaceJobs,
  NamespaceLoaded,
  NamespaceReply,
  NamespaceRequest,
} from "./namespace_messages.ts";
import { inNetwork, NetworkLost } from "./network_namespace.ts";
import { closeArea, openArea } from "./private_area.ts";
import { workerError } from "./worker_error.ts";

const jobs: { readonly [J in NamespaceJob]: (job: NamespaceJobs[J]["job"]) => NamespaceJobs[J]["result"] } = {
  mount: ({ network, ...spec }) => inNetwork(network, () => mountDetached(spec)).release(),
  openArea({ runtimeDirectory, ownerTag }) {
    const { path, target } = openArea(runtimeDirectory, ownerTag);
    return { path, target };
  },
  adopt({ path, target }) {
    try {
      return copyFromArea(path, target).release();
    } finally {
      closeArea(path);
    }
  },
  closeArea({ path }) {
    closeArea(path);
  },
  swap: swapMounts,
  forceUnmount: ({ major, minor, source }) => forceUnmount(major, minor, source),
  unmountDead,
  close({ fd }) {
    closeFd(fd);
  },
};

self.onmessage = ({ data }: MessageEvent<NamespaceRequest>) => {
  let reply: NamespaceReply;
  try {
    const run = jobs[data.name] as (job: typeof data.job) => NamespaceJobs[NamespaceJob]["result"];
    reply = { ok: true, result: run(data.job) };
  } catch (error) {
    // Uncaught, it is the end of this thread, which must not take another job.
    if (error instanceof NetworkLost) throw error;
    reply = { ok: false, error: workerError(error) };
  }
  self.postMessage(reply);
};

/** Does once, for nothing, what most jobs begin with: binding the functions of C takes milliseconds. */
function warmUp(): void {
  try {
    mountDetached({ type: "bind", source: new Uint8Array(0), attributes: 0, parameters: [] }).close();
  } catch {
    // There is no such directory.
  }
}

warmUp();
const loaded: NamespaceLoaded = { loaded: true };
self.postMessage(loaded);
