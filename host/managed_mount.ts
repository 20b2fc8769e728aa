/**
 * One mount, as the main thread knows it.
 *
 * @module
 */

import type {
  MountMode,
  MountStatus,
  Params,
  ParkedRequest,
  ReplaceStatus,
  Result,
} from "../control/protocol.ts";
import type { DelayedMount } from "./delayed_mount.ts";
import { FuseConnection } from "./fuse_connection.ts";
import type { MountHandle } from "./mount_handle.ts";
import { within } from "./time_limit.ts";
import type { CreateResult, GoneEvent, InspectResult } from "./worker_messages.ts";

/** How long `status` waits for a worker, in milliseconds: one that is inside a system call on the real file system cannot answer. */
const inspectWithinMs = 1000;

/** A replacement with what was ordered. */
export interface Replacement {
  /** What was ordered. How processes are moved can be ordered anew while it has failed. */
  params: Params<"mount.replace">;
  /** How it goes. */
  readonly delayed: DelayedMount;
}

/** One mount. Lives from the moment its worker is told to mount until nothing of it is left. */
export class ManagedMount {
  /** What its `mount.create` said. */
  readonly params: Params<"mount.create">;
  /** Its mountpoint without symlinks. */
  readonly path: Uint8Array;
  /** Its worker. */
  readonly handle: MountHandle;
  /** What the kernel calls it. `mountId` changes when the stub had to be put back by a copy. */
  identity: CreateResult;
  /** Its connection in fusectl; undefined where that cannot be had. */
  readonly connection: FuseConnection | undefined;
  /** Its mode. */
  mode: MountMode;
  /** When it came into that mode, in milliseconds after the daemon's start. */
  since: number = performance.now();
  /** What is parked, as its worker last said. */
  parked: { count: number; byOp: Record<string, number> } = { count: 0, byOp: {} };
  /** What was made of images, if there were any. */
  populated: Result<"mount.create">["images"];
  /** Set while its nodes are not made yet, and after: resolves when they are. */
  filling: Promise<void> | undefined;
  /** The replacement that was ordered, if any. */
  replacement: Replacement | undefined;
  /** Whether a replacement has taken it off its mountpoint: it is there only for what is still open on it. */
  replaced = false;
  /** What its replacement moved of running processes, and what it left. */
  swap: ReplaceStatus["swap"];
  /** The first process of the tree that is restored with it, once that is known. */
  tree: number | undefined;
  /** Set once when it is being ended: resolves to the number of requests answered. */
  ending: Promise<number> | undefined;
  /** Resolves when its session is over. */
  readonly gone: PromiseWithResolvers<GoneEvent> = Promise.withResolvers();
  #last: InspectResult | undefined;

  /** Makes a record of a mount that has just been made. */
  constructor(
    params: Params<"mount.create">,
    path: Uint8Array,
    handle: MountHandle,
    identity: CreateResult,
    gone: PromiseWithResolvers<GoneEvent>,
  ) {
    this.params = params;
    this.path = path;
    this.handle = handle;
    this.identity = identity;
    this.connection = openConnection(identity.minor);
    this.mode = params.mode;
    this.gone = gone;
  }

  /** Its name. */
  get id(): string {
    return this.params.id;
  }

  /** Notes a change of mode. */
  setMode(mode: MountMode): void {
    if (mode === this.mode) return;
    this.mode = mode;
    this.since = performance.now();
  }

  /**
   * What `status` says of it. Where its worker does not answer in time, counts are what it last said.
   *
   * @param requests how many parked requests to list
   */
  async status(requests: number): Promise<MountStatus> {
    const answer = within(inspectWithinMs, this.handle.call("inspect", { requests }));
    const inspected = await answer.catch(() => undefined);
    if (inspected !== undefined) this.#last = inspected;
    const known = inspected ?? this.#last;
    const { major, minor } = this.identity;
    const parked = inspected?.parked ?? { ...this.parked, oldestMs: 0 };
    return {
      id: this.id,
      mountpoint: this.params.mountpoint,
      mode: this.mode,
      device: `${major}:${minor}`,
      since: this.since,
      parked,
      ...(requests > 0 && { requests: (inspected?.requests ?? []).map(withCommand) }),
      nodes: known?.nodes ?? 0,
      handles: known?.handles ?? 0,
      ...(this.replacement !== undefined &&
        {
          replace: {
            ...replaceStatus(this.replacement),
            ...(this.swap !== undefined && { swap: this.swap }),
          },
        }),
      served: { count: known?.served ?? 0 },
    };
  }
}

function openConnection(minor: number): FuseConnection | undefined {
  try {
    return FuseConnection.open(minor);
  } catch {
    return undefined;
  }
}

function replaceStatus({ params, delayed }: Replacement): ReplaceStatus {
  const { state, attempts, lastError, nextRetryMs } = delayed.status;
  const errno = lastError?.data.errno;
  return {
    state,
    source: params.source,
    type: params.type,
    attempts,
    ...(lastError !== undefined && {
      lastError: { ...(errno !== undefined && { errno }), message: lastError.message },
    }),
    ...(nextRetryMs !== undefined && { nextRetryMs }),
  };
}

/** A request with the name of the program that waits for it, which /proc tells without asking any file system. */
function withCommand(request: ParkedRequest): ParkedRequest {
  if (request.comm !== "" || request.pid === 0) return request;
  try {
    return { ...request, comm: Deno.readTextFileSync(`/proc/${request.pid}/comm`).trimEnd() };
  } catch {
    return request; // It has ended.
  }
}
