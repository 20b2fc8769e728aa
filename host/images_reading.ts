/**
 * What a mount worker does when it is asked to read CRIU's images. Loaded only then: it is no part of what serves a mount.
 *
 * @module
 */

import { readImageNodes } from "./image_nodes.ts";
import type {
  NodesReply,
  NodesRequest,
  NotedMounts,
  ReadNodesRequest,
  ReadNodesResult,
  ReadNotedRequest,
} from "./images_messages.ts";
import { readNotedMounts } from "./noted_mounts.ts";
import { workerError } from "./worker_error.ts";

/** Carries a request out. Blocks as reading files does. @throws {ControlError} `bad_images`; {SysError} */
export function readForMounts(request: ReadNodesRequest | ReadNotedRequest): ReadNodesResult | NotedMounts {
  return request.type === "readNoted" ? readNotedMounts(request) : readNodes(request.mounts);
}

function readNodes(mounts: readonly NodesRequest[]): ReadNodesResult {
  const nodesOf = readImageNodes(mounts[0]!.images.directory);
  const replies = mounts.map((mount): NodesReply => {
    try {
      return { ok: true, nodes: nodesOf(mount) };
    } catch (error) {
      return { ok: false, error: workerError(error) };
    }
  });
  return { replies };
}
