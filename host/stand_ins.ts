/**
 * The stand-ins of one restore: they are mounted, and get their nodes, all of them or none.
 *
 * They are served by one worker, since a worker costs a restore 70 ms of a processor. A thread must not wait for itself, so
 * - what lies on another stand-in has a worker of its own and is made when that one answers: who looks for its mountpoint waits for that;
 * - what is to be replaced by something on another stand-in has a worker of its own as well.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { RequestContext } from "../control/handler.ts";
import type { Params, Result } from "../control/protocol.ts";
import { encodePath } from "../control/values.ts";
import { Errno } from "../ffi/errno.ts";
import { asControlError } from "./control_errors.ts";
import type { DaemonContext } from "./daemon_context.ts";
import { NodesReading } from "./images_jobs.ts";
import type { ManagedMount } from "./managed_mount.ts";
import { defaultRoot, Layer, type Together } from "./mount_making.ts";
import type { MountThread } from "./mount_thread.ts";
import { isFromAnother, layersOf, type MountOrders } from "./restore_plan.ts";
import { unlessAborted, within } from "./time_limit.ts";

/** What stand-ins are made by. */
export interface StandInParts {
  /** `mount.create` of a mount that is filled later; it tells the layer that its mountpoint is checked, or fails. */
  create(
    params: Params<"mount.create">,
    request: RequestContext,
    together: Together,
  ): Promise<Result<"mount.create">>;
  /** `mount.replace`. */
  replace(params: Params<"mount.replace">, request: RequestContext): Promise<Result<"mount.replace">>;
  /** Every mount that is on its mountpoint. */
  selected(): ManagedMount[];
  /** Ends a mount; answers what waits with the error. */
  end(mount: ManagedMount, errno: number): Promise<number>;
}

/** A stand-in, and what is told of it. */
export interface StandIn {
  readonly mount: ManagedMount;
  /** Whether it was not there before. */
  readonly createdNow: boolean;
  readonly told: Pick<Result<"restore.prepare">["mounts"][number], "id" | "mountpoint" | "source" | "type">;
}

/** Stand-ins that are mounted. */
export interface StandIns {
  /** They, in the order of the orders. */
  readonly made: readonly StandIn[];
  /** Resolves when they have their nodes; when they cannot have them, rejects when they have ended. Need not be waited for. */
  readonly filling: Promise<void>;
}

/**
 * Mounts stand-ins, orders what is to replace them, and begins to make their nodes. The images are read only then, so that CRIU need not wait
 * for that.
 *
 * @param withinMs how long it may take until they have their nodes, where the client does not see to that
 * @throws {ControlError} through the promise, when all that was made has ended
 */
export async function makeStandIns(
  orders: readonly MountOrders[],
  request: RequestContext,
  parts: StandInParts,
  context: Pick<DaemonContext, "log" | "takeMountThread">,
  withinMs: number | undefined,
): Promise<StandIns> {
  return await new Making(orders, request, parts, context, withinMs).make();
}

class Making {
  readonly #orders: readonly MountOrders[];
  readonly #request: RequestContext;
  readonly #parts: StandInParts;
  readonly #context: Pick<DaemonContext, "log" | "takeMountThread">;
  readonly #withinMs: number | undefined;
  readonly #reading: NodesReading;
  readonly #made = new Map<MountOrders, StandIn>();

  constructor(
    orders: readonly MountOrders[],
    request: RequestContext,
    parts: StandInParts,
    context: Pick<DaemonContext, "log" | "takeMountThread">,
    withinMs: number | undefined,
  ) {
    this.#orders = orders;
    this.#request = request;
    this.#parts = parts;
    this.#context = context;
    this.#withinMs = withinMs;
    this.#reading = new NodesReading(
      orders.map(({ create: { images, mountpoint } }) => ({ images: images!, mountpoint })),
    );
  }

  async make(): Promise<StandIns> {
    const [first, ...others] = layersOf(this.#orders);
    const shared = this.#context.takeMountThread();
    {
      using _whole = shared.hold(); // mounts of it come and go while this is not over
      await this.#mount(
        first!,
        (order) => isFromAnother(order, this.#orders) ? this.#context.takeMountThread() : shared,
      );
    }
    let filling = this.#fill(first!);
    for (const layer of others) {
      await filling;
      await this.#mount(layer, this.#context.takeMountThread);
      filling = this.#fill(layer);
    }
    filling.catch(() => {}); // who asks later is told
    return { made: this.#orders.map((order) => this.#made.get(order)!), filling };
  }

  async #mount(
    orders: readonly MountOrders[],
    threadFor: (order: MountOrders) => MountThread,
  ): Promise<void> {
    const layer = new Layer(orders.length);
    const settled = await Promise.allSettled(
      orders.map((order) => this.#mountOne(order, { thread: threadFor(order), layer })),
    );
    const failed = settled.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    await this.#undo();
    throw asControlError(layer.failure ?? failed.reason);
  }

  /** Makes a stand-in and orders its replacement; when the latter fails, the stand-in is taken away again. */
  async #mountOne(order: MountOrders, together: Together): Promise<void> {
    const { create, replace } = order;
    using _thread = together.thread.hold(); // it ends if nothing comes of it
    const creating = this.#parts.create(create, this.#request, together);
    creating.catch((error) => together.layer.fail(error));
    const { id, mountpoint, createdNow } = await creating;
    const mount = this.#parts.selected().find((mount) => mount.id === id);
    if (mount === undefined) throw new ControlError("mount_lost", `mount ${id} is gone`, { mount: id });
    try {
      await this.#parts.replace(replace, this.#request);
    } catch (error) {
      if (createdNow) await this.#parts.end(mount, Errno.EIO);
      throw error;
    }
    const { source, type } = replace;
    this.#made.set(order, { mount, createdNow, told: { id, mountpoint, source, type } });
  }

  /** Makes the nodes of mounted stand-ins. When it fails, all end. */
  async #fill(orders: readonly MountOrders[]): Promise<void> {
    const filled = Promise.all(orders.map((order) => this.#fillOne(order))).then(() => "filled" as const);
    try {
      if (this.#withinMs === undefined) return void await unlessAborted(filled, this.#request.signal);
      if (await within(this.#withinMs, filled) === "filled") return;
      const { directory } = orders[0]!.create.images!;
      throw new ControlError("system", `the images were not read within ${this.#withinMs} ms`, {
        errno: "ETIMEDOUT",
        path: encodePath(directory),
      });
    } catch (error) {
      const text = `a stand-in cannot have its nodes, and all end: ${(error as Error).message}`;
      this.#context.log.write("error", text);
      await this.#undo();
      throw asControlError(error);
    }
  }

  #fillOne(order: MountOrders): Promise<void> | undefined {
    const { mount, createdNow } = this.#made.get(order)!;
    const fill = async () => {
      const { root, entries, noted } = await this.#reading.of(this.#orders.indexOf(order), mount.handle);
      await mount.handle.call("fill", { root: mount.params.root ?? root ?? defaultRoot, entries });
      mount.populated = { nodes: entries.length, noted };
    };
    return createdNow ? mount.filling = fill() : mount.filling;
  }

  /** Ends those that were made. */
  async #undo(): Promise<void> {
    const undone = [...this.#made.values()].filter(({ createdNow }) => createdNow);
    await Promise.all(undone.map(({ mount }) => this.#parts.end(mount, Errno.EIO)));
  }
}
