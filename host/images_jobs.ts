/**
 * The main thread's side of reading CRIU's images. It is done by mount workers that do not serve yet: a directory that does not answer holds up
 * nobody else there, and a worker of its own for it would cost a restore as much as a mount.
 *
 * @module
 */

import { fromWorker } from "./control_errors.ts";
import type { DaemonContext } from "./daemon_context.ts";
import type { ImageNodes, NodesReply, NodesRequest, NotedMounts, NotedRequest } from "./images_messages.ts";
import { MountHandle } from "./mount_handle.ts";
import { unlessAborted } from "./time_limit.ts";

/** The nodes of several mounts of one directory of images, which is read once, by the first worker that can. */
export class NodesReading {
  readonly #mounts: readonly NodesRequest[];
  #replies: Promise<readonly NodesReply[]> | undefined;

  /** Reads nothing yet. @param mounts those that are going to be asked about, all of one directory */
  constructor(mounts: readonly NodesRequest[]) {
    this.#mounts = mounts;
  }

  /**
   * The nodes of a mount.
   *
   * @param at which of the mounts
   * @param worker its own, which reads for all unless another one does already
   * @throws {ControlError} through the promise: `bad_images`, `system`; `mount_lost` when the worker that reads ends first
   */
  async of(at: number, worker: MountHandle): Promise<ImageNodes> {
    this.#replies ??= worker.call("readNodes", { mounts: this.#mounts }).then(({ replies }) => replies);
    const reply = (await this.#replies)[at]!;
    if (!reply.ok) throw fromWorker(reply.error);
    return reply.nodes;
  }
}

/**
 * Reads what was noted of mounts, by a worker that the next mount then gets.
 *
 * @param signal when it is aborted, the promise rejects at once with its reason
 * @throws {ControlError} through the promise: `bad_images`, `system`
 */
export async function readNoted(
  request: NotedRequest,
  signal: AbortSignal,
  context: Pick<DaemonContext, "takeMountThread" | "keepMountThread">,
): Promise<NotedMounts> {
  signal.throwIfAborted();
  const thread = context.takeMountThread();
  const handle = new MountHandle(undefined, thread, { parked() {}, gone() {}, log() {}, lost() {} });
  try {
    const noted = await unlessAborted(handle.call("readNoted", request), signal);
    handle.part();
    context.keepMountThread(thread);
    return noted;
  } catch (error) {
    handle.end("its request has failed");
    throw error;
  }
}
