/**
 * The supervisor: the daemon's mounts by their names, and what the control protocol's methods do with them.
 *
 * Runs on the main thread, which never touches a mount: no path below a mountpoint is ever looked at here.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import type { HostMethods, RequestContext } from "../control/handler.ts";
import type { MountMode, Params, Result } from "../control/protocol.ts";
import { version } from "../control/version.ts";
import { Errno } from "../ffi/errno.ts";
import { pathText } from "../ffi/sys/libc.ts";
import { asControlError } from "./control_errors.ts";
import type { DaemonContext } from "./daemon_context.ts";
import { NodesReading, readNoted } from "./images_jobs.ts";
import { ManagedMount } from "./managed_mount.ts";
import { endMount, mountEnded } from "./mount_ending.ts";
import { MountHandle } from "./mount_handle.ts";
import { defaultRoot, Mountpoints, mountWith, type Together } from "./mount_making.ts";
import type { MountThread } from "./mount_thread.ts";
import { ReplaceMethods } from "./replace_methods.ts";
import { RestoreMethods } from "./restore_methods.ts";
import { sameParams } from "./same_params.ts";
import { SwapMethods } from "./swap_methods.ts";
import { unlessAborted } from "./time_limit.ts";
import type { GoneEvent } from "./worker_messages.ts";

/** What the supervisor tells the daemon. */
export interface SupervisorHooks {
  /** A mount or a request ended: the daemon may have nothing left to do. */
  idle(): void;
  /** `quit` was carried out. */
  quit(): void;
}

/** The daemon's mounts. */
export class Supervisor {
  readonly #context: DaemonContext;
  readonly #hooks: SupervisorHooks;
  readonly #mounts = new Map<string, ManagedMount>();
  readonly #mountpoints = new Mountpoints(() => this.#mounts.values());
  // What the end waits for: the making of mounts, and swaps.
  readonly #unfinished = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  readonly #ready: Promise<unknown>;
  #active = 0;
  #made = 0;

  /**
   * Makes a supervisor without mounts.
   *
   * @param ready mounts are made after it has resolved
   */
  constructor(context: DaemonContext, hooks: SupervisorHooks, ready: Promise<unknown>) {
    this.#context = context;
    this.#hooks = hooks;
    this.#ready = ready;
  }

  /** How many mounts there are, and how many requests are being carried out. */
  get busy(): { readonly mounts: number; readonly requests: number } {
    return { mounts: this.#mounts.size, requests: this.#active };
  }

  /** How many mounts there have been. */
  get made(): number {
    return this.#made;
  }

  /** The methods, for the control server. */
  get methods(): HostMethods {
    const replace = new ReplaceMethods(this.#context, {
      live: (id) => this.#live(id),
      replaced: (id) => {
        const mount = this.#mounts.get(id);
        return mount?.replaced ? mount.replacement : undefined;
      },
      selected: (selector) => this.#selected(selector),
    });
    const swap = new SwapMethods(this.#context, () => this.#mounts.values(), this.#stop.signal);
    const restore = new RestoreMethods(this.#context, {
      create: (params, request, together) => this.#tracked(this.#create(params, request, together)),
      setMode: (params) => this.#setMode(params),
      replace: (params, request) => replace.replace(params, request),
      noted: (request, signal) =>
        readNoted(request, AbortSignal.any([signal, this.#stop.signal]), this.#context),
      selected: () => this.#selected("all"),
      end: (mount, errno) => this.#end(mount, errno),
    });
    const methods: HostMethods = {
      "mount.create": (params, request) => this.#tracked(this.#create(params, request)),
      "file.create": (params) => this.#populate(params),
      "mount.setMode": (params) => this.#setMode(params),
      "mount.replace": (params, request) => replace.replace(params, request),
      "mount.release": (params, request) => replace.release(params, request),
      "mount.retry": (params, request) => replace.retry(params, request),
      "mount.abort": (params) => this.#abort(params),
      "restore.prepare": (params, request) => restore.prepare(params, request),
      "restore.check": (params) => restore.check(params),
      "restore.block": (params) => restore.block(params),
      "restore.release": (params) => restore.release(params),
      "swap.plan": (params, request) => this.#tracked(swap.plan(params, request)),
      "swap.run": (params, request) => this.#tracked(swap.run(params, request)),
      "status": (params) => this.#status(params),
      "quit": (params) => this.#quit(params),
    };
    const counted = Object.entries(methods).map((
      [name, method],
    ) => [name, this.#counted(method as AnyMethod)]);
    return Object.fromEntries(counted) as HostMethods;
  }

  /**
   * Ends every mount, also those that are being made, and lets no other be made. Parked requests are answered with the errno. Resolves
   * when nothing is left. Never rejects.
   */
  async endAll(errno: number): Promise<void> {
    this.#stop.abort(new ControlError("shutting_down", "spfs is shutting down"));
    const endMounts = () => Promise.all([...this.#mounts.values()].map((mount) => this.#end(mount, errno)));
    await Promise.all([endMounts(), Promise.allSettled(this.#unfinished)]);
    await endMounts();
  }

  /** Ends the stubs that wait for an order when nobody can give one any more. */
  endOrphans(errno: number): void {
    for (const mount of this.#mounts.values()) {
      if (mount.replaced || mount.ending !== undefined) continue;
      const state = mount.replacement?.delayed.status.state ?? "not ordered";
      // One that serves but is held waits for an order as well.
      if (mount.mode !== "stub" && !(state === "held" && mount.replacement?.delayed.serving)) continue;
      if (state !== "not ordered" && state !== "held" && state !== "failed") continue;
      const text = `its replacement is ${state}, and nobody is left who could order anything: it ends`;
      this.#context.log.write("warn", text, { mount: mount.id });
      void this.#end(mount, errno);
    }
  }

  #counted(method: AnyMethod): AnyMethod {
    return async (params, request) => {
      this.#active++;
      try {
        return await method(params, request);
      } finally {
        this.#active--;
        this.#hooks.idle();
      }
    };
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#unfinished.add(work);
    return work.finally(() => this.#unfinished.delete(work));
  }

  /** @param together a mount of a restore; undefined for one by itself, which has a worker of its own and its nodes at once */
  async #create(
    given: Params<"mount.create">,
    request: RequestContext,
    together?: Together,
  ): Promise<Result<"mount.create">> {
    const { id, mountpoint, images } = given;
    // Without images the attributes are the same whether they are said or not.
    const params = images === undefined ? { ...given, root: given.root ?? defaultRoot } : given;
    const existing = this.#mounts.get(id);
    if (existing !== undefined && existing.ending === undefined) {
      if (sameParams(existing.params, params)) {
        void together?.layer.checked();
        return createResult(existing, false);
      }
      throw new ControlError("conflict", `mount ${id} exists with other parameters`, { mount: id });
    }
    await existing?.ending;
    this.#mountpoints.refuseInsideStub(params);
    const data = { mount: id, path: pathText(mountpoint) };
    const signal = AbortSignal.any([request.signal, this.#stop.signal]);
    const gone = Promise.withResolvers<GoneEvent>();
    const handle = this.#join(together?.thread ?? this.#context.takeMountThread(), id, gone);
    let key: string | undefined;
    try {
      await this.#ready;
      const { path } = await unlessAborted(handle.call("check", { mountpoint }), signal);
      const reading = together === undefined && images !== undefined
        ? new NodesReading([{ images, mountpoint: path }]).of(0, handle)
        : undefined;
      const populated = reading && await unlessAborted(reading, signal);
      if (together !== undefined) await unlessAborted(together.layer.checked(), signal);
      key = this.#mountpoints.reserve(path, { handle, layer: together?.layer });
      const root = params.root ?? populated?.root ?? defaultRoot;
      const entries = together === undefined ? populated?.entries : "later";
      const identity = await mountWith(handle, { ...params, root }, path, entries, this.#context);
      const mount = new ManagedMount(params, path, handle, identity, gone);
      mount.populated = populated && { nodes: populated.entries.length, noted: populated.noted };
      this.#mounts.set(id, mount);
      this.#made++;
      void gone.promise.then((event) => this.#ended(mount, event));
      if (signal.aborted) {
        await this.#end(mount, Errno.EINTR);
        throw signal.reason;
      }
      this.#context.emit("mount.ready", { mount: id, mountpoint, mode: mount.mode });
      return createResult(mount, true);
    } catch (error) {
      if (!this.#mounts.has(id)) handle.end("it was not made");
      throw asControlError(error, data);
    } finally {
      if (key !== undefined) this.#mountpoints.letGo(key);
    }
  }

  #join(thread: MountThread, id: string, gone: PromiseWithResolvers<GoneEvent>): MountHandle {
    return new MountHandle(id, thread, {
      parked: ({ count, byOp }) => {
        const mount = this.#mounts.get(id);
        if (mount === undefined) return;
        mount.parked = { count, byOp };
        this.#context.emit("request.parked", { mount: id, count, byOp });
      },
      gone: (event) => gone.resolve(event),
      log: ({ level, text, request }) => {
        this.#context.log.write(level, text, { mount: id, ...(request !== undefined && { request }) });
      },
      lost: (reason) => gone.resolve({ event: "gone", reason: "error", text: reason }),
    });
  }

  async #populate({ mount: id, entries, parents }: Params<"file.create">): Promise<Result<"file.create">> {
    const mount = this.#live(id);
    await mount.filling;
    return await mount.handle.call("populate", { entries, parents });
  }

  async #setMode({ mount: selector, mode }: Params<"mount.setMode">): Promise<Result<"mount.setMode">> {
    const selected = this.#selected(selector);
    const settled = await Promise.allSettled(selected.map((mount) => this.#setModeOf(mount, mode)));
    const failed = settled.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      const changed = selected.filter((_, at) => settled[at]!.status === "fulfilled").map(({ id }) => id);
      throw asControlError(
        failed.reason,
        changed.length === 0 ? {} : { detail: `changed: ${changed.join(", ")}` },
      );
    }
    return { mounts: settled.filter((result) => result.status === "fulfilled").map(({ value }) => value) };
  }

  async #setModeOf(mount: ManagedMount, mode: MountMode): Promise<Result<"mount.setMode">["mounts"][number]> {
    const { id } = mount;
    if (mount.replacement?.delayed.status.state === "committing") {
      throw new ControlError("busy", `mount ${id} is being replaced`, { mount: id, mode: mount.mode });
    }
    const { previous, waited } = await mount.handle.call("setMode", { mode });
    mount.setMode(mode);
    if (mode !== previous) this.#context.emit("mode.changed", { mount: id, mode, previous, waited });
    return { id, mode, previous, waited };
  }

  async #abort({ mount: selector, errno }: Params<"mount.abort">): Promise<Result<"mount.abort">> {
    const number = errnoNumber(errno);
    const selected = selector === "all" ? [...this.#mounts.values()] : [this.#known(selector)];
    return {
      mounts: await Promise.all(
        selected.map(async (mount) => ({ id: mount.id, answered: await this.#end(mount, number) })),
      ),
    };
  }

  async #status({ mount: id, requests }: Params<"status">): Promise<Result<"status">> {
    const selected = id === undefined ? [...this.#mounts.values()] : [this.#known(id)];
    return {
      program: { name: "spfs", version },
      pid: Deno.pid,
      uptimeMs: performance.now(),
      memory: { rssBytes: Deno.memoryUsage().rss },
      mounts: await Promise.all(selected.map((mount) => mount.status(requests))),
    };
  }

  async #quit({ force, errno }: Params<"quit">): Promise<Result<"quit">> {
    const number = errnoNumber(errno ?? "EIO");
    const count = this.#mounts.size;
    if (!force && count > 0) {
      const message = `there ${count === 1 ? "is 1 mount" : `are ${count} mounts`}; force ends them`;
      throw new ControlError("busy", message);
    }
    this.#hooks.quit();
    await this.endAll(number);
    return {};
  }

  #known(id: string): ManagedMount {
    const mount = this.#mounts.get(id);
    if (mount === undefined) {
      throw new ControlError("unknown_mount", `there is no mount ${id}`, { mount: id });
    }
    return mount;
  }

  /** A mount that is on its mountpoint and is to stay there. */
  #live(id: string): ManagedMount {
    const mount = this.#known(id);
    if (mount.ending !== undefined) {
      throw new ControlError("mount_lost", `mount ${id} is being ended`, { mount: id });
    }
    if (mount.replaced) {
      const message = `mount ${id} has been replaced; it is there only for what is still open on it`;
      throw new ControlError("wrong_mode", message, { mount: id, mode: mount.mode });
    }
    return mount;
  }

  #selected(selector: string): ManagedMount[] {
    if (selector !== "all") return [this.#live(selector)];
    return [...this.#mounts.values()].filter((mount) => mount.ending === undefined && !mount.replaced);
  }

  /** Ends a mount, once. */
  #end(mount: ManagedMount, errno: number): Promise<number> {
    mount.ending ??= endMount(mount, errno, this.#context).then((answered) => {
      this.#forget(mount);
      this.#context.emit("mount.gone", { mount: mount.id });
      return answered;
    });
    return mount.ending;
  }

  /** A mount's session is over. When that was ordered, the order's end is waited for elsewhere. */
  #ended(mount: ManagedMount, gone: GoneEvent): void {
    mount.ending ??= mountEnded(mount, gone, this.#context).then((lost) => {
      this.#forget(mount);
      if (lost === undefined) this.#context.emit("mount.gone", { mount: mount.id });
      else {
        this.#context.log.write("error", `lost: ${lost}`, { mount: mount.id });
        this.#context.emit("mount.lost", { mount: mount.id, reason: lost });
      }
      return mount.parked.count;
    });
  }

  #forget(mount: ManagedMount): void {
    mount.connection?.[Symbol.dispose]();
    this.#mounts.delete(mount.id);
    this.#hooks.idle();
  }
}

type AnyMethod = (params: never, request: RequestContext) => Promise<unknown>;

function createResult(
  { id, params, mode, identity, populated }: ManagedMount,
  createdNow: boolean,
): Result<"mount.create"> {
  const { mountId, major, minor } = identity;
  const device = `${major}:${minor}`;
  const images = populated === undefined ? {} : { images: populated };
  return { id, mountpoint: params.mountpoint, mode, mountId, device, createdNow, ...images };
}

function errnoNumber(name: string): number {
  if (!Object.hasOwn(Errno, name)) throw new ControlError("invalid_params", `there is no errno ${name}`);
  return Errno[name as keyof typeof Errno];
}
