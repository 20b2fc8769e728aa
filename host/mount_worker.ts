/**
 * The worker of a mount, or of several: owns their FUSE sessions and file systems, and does what the main thread asks by messages.
 *
 * Messages are handled between drains of the sessions, so nothing here is ever concurrent with serving a request.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { Errno, errnoName, SysError } from "../ffi/errno.ts";
import { opcodeName } from "../ffi/fuse/opcode_names.ts";
import { type FuseLibrary, loadFuse } from "../ffi/fuse/library.ts";
import { type MountIdentity, prepareFuseMount } from "../ffi/fuse/mount.ts";
import type { Request } from "../ffi/fuse/request.ts";
import { type ServeEnd, ServeLoop } from "../ffi/fuse/loop.ts";
import { Session } from "../ffi/fuse/session.ts";
import {
  AT_FDCWD,
  AT_STATX_DONT_SYNC,
  AT_SYMLINK_NOFOLLOW,
  CLONE_FS,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  UMOUNT_NOFOLLOW,
} from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { statx } from "../ffi/sys/file.ts";
import { check, cstr, pathText } from "../ffi/sys/libc.ts";
import { fsconfigString, fsopen, umount2 } from "../ffi/sys/mount.ts";
import { unshare } from "../ffi/sys/namespace.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { umask } from "../ffi/sys/dir.ts";
import { spanOf } from "../fs/answers.ts";
import { AdoptionError } from "../fs/adoption.ts";
import { operandPath } from "../fs/operand.ts";
import { createPlaceholder, PopulateError } from "../fs/placeholder.ts";
import { INIT, ModeError, StubFilesystem } from "../fs/stub_filesystem.ts";
import { WorkerThreads } from "./call_threads.ts";
import { MemoryReturn } from "./memory_return.ts";
import { after, type Timer } from "./timer.ts";
import type {
  AbortResult,
  CreateRequest,
  CreateResult,
  FillRequest,
  InspectResult,
  MountNumber,
  SetModeRequest,
  SetModeResult,
  WorkerCalls,
  WorkerError,
  WorkerEvent,
  WorkerMessage,
  WorkerRequest,
} from "./worker_messages.ts";

declare const self: DedicatedWorkerGlobalScope;

const NODE_BUDGET = 2048; // O_PATH descriptors kept for each mount
const PARKED_EVERY_MS = 100;

/** A fault of the caller: a request that does not fit the state of the worker. */
class Refused extends Error {}

/** The mount while it lives. */
class Mount {
  readonly #request: CreateRequest;
  readonly #tell: (event: WorkerEvent) => void;
  readonly #filesystem: StubFilesystem;
  readonly #session: Session;
  readonly #identity: MountIdentity;
  readonly #memory = new MemoryReturn(() => this.#session.served);
  #parkedTimer: Timer | undefined;
  #parkedDirty = false;
  #attached = true;
  #filled = true;
  #serving = false;
  #abortErrno: number | undefined;
  #changes: Promise<unknown> = Promise.resolve();

  /** `tell`: posts an event of this mount. */
  constructor(request: CreateRequest, tell: (event: WorkerEvent) => void) {
    this.#request = request;
    this.#tell = tell;
    // A umask of this thread's own: mount helpers inherit the main thread's.
    check(unshare(CLONE_FS), "unshare");
    umask(0); // files get the mode that the caller's umask has left of it, not what is left of that by ours
    using undo = new DisposableStack();
    const library = openLibrary();
    const size = request.size === undefined ? {} : { size: request.size };
    const placeholder = undo.use(createPlaceholder({ ...request.root, ...size }));
    const span = spanOf(request.attrTimeoutMs);
    this.#filesystem = undo.use(
      new StubFilesystem(placeholder, {
        mode: request.mode,
        times: { entry: span, attributes: span },
        interrupts: request.interrupts,
        budget: NODE_BUDGET,
        threads: (waker) =>
          new WorkerThreads(waker, (text) => this.#tell({ event: "log", level: "error", text })),
        parkedChanged: () => this.#parkedChanged(),
        fault: (parked, error) => this.#fault(parked, error),
      }),
    );
    const { entries } = request;
    if (entries === "later") this.#filled = false;
    else if (entries !== undefined) this.#filesystem.populate(entries, true);
    const target = cstr(request.mountpoint);
    using prepared = prepareFuseMount(target, {
      source: request.source,
      subtype: "spfs",
      dev: request.options.dev,
      suid: request.options.suid,
      exec: request.options.exec,
      readOnly: request.options.readOnly,
    });
    this.#session = undo.use(
      new Session(prepared.device.release(), {
        library,
        loop,
        handlers: this.#filesystem.handlers(),
        direct: true,
        // A page fault that waits must not keep others from being seen, nor the writing back of pages that are to be dropped.
        init: { ...INIT, maxBackground: 0xffff },
        hooks: {
          fault: (failed, error) => this.#fault(failed, error),
          interrupt: (parked) => this.#filesystem.interrupt(parked),
          woken: () => this.#filesystem.collect(),
          idle: () => this.#memory.active(),
        },
      }),
    );
    this.#identity = prepared.attach();
    undo.move();
  }

  get identity(): CreateResult {
    const { mountId, major, minor } = this.#identity;
    return { mountId, major, minor };
  }

  /** Serves it to its end, unless that cannot begin yet or has begun already. */
  async serveWhenFilled(): Promise<"over" | undefined> {
    if (this.#serving || !this.#filled) return undefined;
    this.#serving = true;
    await this.#serve();
    return "over";
  }

  /** Serves to the end, then frees everything and says so. */
  async #serve(): Promise<void> {
    let end: ServeEnd | undefined;
    let failure: unknown;
    try {
      end = await this.#session.serve();
    } catch (error) {
      failure = error;
    }
    this.#parkedTimer?.cancel();
    this.#memory[Symbol.dispose]();
    this.#filesystem.failParked(this.#abortErrno ?? Errno.ENOTCONN); // of a connection that is gone nobody hears it any more
    this.#filesystem.sessionEnded();
    this.#session[Symbol.dispose]();
    await this.#filesystem.settle();
    this.#filesystem[Symbol.dispose]();
    if (end === undefined) {
      const text = failure instanceof Error ? failure.stack ?? failure.message : String(failure);
      this.#tell({ event: "gone", reason: "error", text });
    } else this.#tell({ event: "gone", reason: end === "unmounted" ? "unmounted" : "aborted" });
  }

  fill({ root, entries }: FillRequest): Record<string, never> {
    if (this.#filled) throw new Refused("the mount is filled already");
    this.#filesystem.fill(root, entries);
    this.#filled = true;
    return {};
  }

  populate(
    { entries, parents }: WorkerCalls["populate"]["request"],
  ): Promise<WorkerCalls["populate"]["result"]> {
    return this.#filesystem.populateServed(this.#session, entries, parents);
  }

  /** One change after the other: one that was ordered and the one of a replacement may come at the same time. */
  setMode(request: SetModeRequest): Promise<SetModeResult> {
    const change = this.#changes.then(() => this.#changeMode(request));
    this.#changes = change.catch(() => {});
    return change;
  }

  async #changeMode({ mode, backingFd, mayCross = true, missing }: SetModeRequest): Promise<SetModeResult> {
    const real = backingFd === undefined ? undefined : { root: Fd.own(backingFd), mayCross };
    const change = await this.#filesystem.setMode(this.#session, mode, real, missing);
    const warn = (text: string) => this.#tell({ event: "log", level: "warn", text });
    for (const path of change.stale) warn(`${pathText(path)}: not on the real file system`);
    for (const path of change.litter) {
      warn(`${pathText(path)}: could not be unlinked from the real file system`);
    }
    return { previous: change.previous, waited: change.waited };
  }

  inspect(requests: number): InspectResult {
    const filesystem = this.#filesystem;
    const now = performance.now();
    const listed: InspectResult["requests"][number][] = [];
    let oldestMs = 0;
    for (const { request, since, interrupted } of filesystem.parked()) {
      if (listed.length === 0 && oldestMs === 0) oldestMs = now - since;
      if (listed.length >= requests) break;
      const path = filesystem.pathOf(request.nodeid);
      listed.push({
        unique: request.unique,
        op: opcodeName(request.opcode),
        pid: request.pid,
        comm: "",
        nodeid: request.nodeid,
        path: path === undefined ? new Uint8Array(0) : operandPath(request, path),
        ageMs: now - since,
        interrupted,
      });
    }
    return {
      mode: filesystem.mode,
      parked: { count: filesystem.parkedCount, oldestMs, byOp: this.#byOperation() },
      requests: listed,
      nodes: filesystem.nodeCount,
      handles: filesystem.handleCount,
      served: this.#session.served,
    };
  }

  abort(errno: number): AbortResult {
    this.#abortErrno = errno;
    this.#filled = true; // whoever has come is answered, with the errno
    const answered = this.#filesystem.failParked(errno);
    try {
      if (this.#attached) this.#unmount();
    } finally {
      this.#session.stop(errno);
    }
    return { answered };
  }

  openNode(nodeid: bigint): number {
    return this.#filesystem.openNode(nodeid);
  }

  zap(by: number | undefined): Record<string, never> {
    this.#filesystem.zapBy(by);
    return {};
  }

  detach(): Record<string, never> {
    this.#attached = false;
    return {};
  }

  /** Takes the mount off its mountpoint, and nothing else that may lie there. */
  #unmount(): void {
    const target = cstr(this.#request.mountpoint);
    const top = new StatxBuffer();
    check(statx(AT_FDCWD, target, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, 0, top), "statx", target);
    // Not the mount's id: a replacement that was rolled back may have put the stub back as a copy.
    const { major, minor } = this.#identity;
    if (top.devMajor !== major || top.devMinor !== minor) {
      const text = `${pathText(target)}: another mount lies there; the stub mount ${major}:${minor} stays`;
      return this.#tell({ event: "log", level: "error", text });
    }
    check(umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW), "umount2", target);
    this.#attached = false;
  }

  #fault(request: Request, error: unknown): void {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#tell({
      event: "log",
      level: "error",
      text: `${opcodeName(request.opcode)}: ${text}`,
      request: request.unique,
    });
  }

  #byOperation(): Record<string, number> {
    const count: Record<string, number> = {};
    for (const { request } of this.#filesystem.parked()) {
      const name = opcodeName(request.opcode);
      count[name] = (count[name] ?? 0) + 1;
    }
    return count;
  }

  /** The first change is told at once, later ones at most ten times a second, the last one always. */
  #parkedChanged(): void {
    this.#parkedDirty = true;
    if (this.#parkedTimer !== undefined) return;
    this.#tellParked();
  }

  #tellParked(): void {
    this.#parkedTimer = undefined;
    if (!this.#parkedDirty) return;
    this.#parkedDirty = false;
    this.#tell({ event: "parked", count: this.#filesystem.parkedCount, byOp: this.#byOperation() });
    this.#parkedTimer = after(PARKED_EVERY_MS, () => this.#tellParked());
  }
}

const mounts = new Map<MountNumber, Mount>();
/** Serves them all. */
const loop = new ServeLoop();
let library: FuseLibrary | undefined;

/** libfuse, opened once and for the worker's life. @throws {FuseLibraryError} */
function openLibrary(): FuseLibrary {
  return library ??= loadFuse();
}

/**
 * Does once, for nothing, what every mount begins with: binding the functions of C takes milliseconds, which the first worker has while
 * the daemon is still loading. Nothing is mounted, since taking even a mount that nobody has seen away again waits for all processors.
 * What fails here fails again, and is told, when a mount is asked for.
 */
function warmUp(): void {
  try {
    openLibrary();
    using context = Fd.own(check(fsopen(cstr("tmpfs"), FSOPEN_CLOEXEC), "fsopen"));
    fsconfigString(context.raw, cstr("source"), cstr("spfs"));
    unshare(0);
  } catch {
    // See above.
  }
}

function created(number: MountNumber): Mount {
  const mount = mounts.get(number);
  if (mount === undefined) throw new Refused("the worker has no such mount");
  return mount;
}

function create(request: CreateRequest, number: MountNumber): CreateResult {
  if (mounts.has(number)) throw new Refused("the worker has this mount already");
  const mount = new Mount(request, (event) => post({ ...event, mount: number }));
  mounts.set(number, mount);
  return mount.identity;
}

async function carryOut(request: WorkerRequest): Promise<WorkerCalls[keyof WorkerCalls]["result"]> {
  switch (request.type) {
    case "create":
      return create(request, request.mount);
    case "fill":
      return created(request.mount).fill(request);
    case "populate":
      return await created(request.mount).populate(request);
    case "setMode":
      return await created(request.mount).setMode(request);
    case "inspect":
      return created(request.mount).inspect(request.requests);
    case "abort":
      return created(request.mount).abort(request.errno);
    case "openNode":
      return { fd: created(request.mount).openNode(request.nodeid) };
    case "zap":
      return created(request.mount).zap(request.by);
    case "detach":
      return created(request.mount).detach();
  }
}

function describe(error: unknown): WorkerError {
  if (error instanceof PopulateError) {
    const { index, path, cause } = error;
    const common = { message: error.message, index, path, rolledBack: true };
    if (error.conflict || cause === undefined) return { kind: "conflict", ...common };
    return { kind: "system", ...common, errno: cause.code, syscall: cause.syscall };
  }
  if (error instanceof ModeError) return { kind: "wrong_mode", message: error.message, mode: error.mode };
  if (error instanceof AdoptionError) {
    const { message, path, cause } = error;
    return { kind: "system", message, path, errno: cause.code, syscall: cause.syscall, rolledBack: true };
  }
  if (error instanceof SysError) {
    const path = error.path === undefined ? {} : { path: new TextEncoder().encode(error.path) };
    return {
      kind: "system",
      message: error.message,
      errno: errnoName(error.errno),
      syscall: error.syscall,
      ...path,
    };
  }
  const detail = error instanceof Error ? error.stack : undefined;
  return {
    kind: "internal",
    message: error instanceof Error ? error.message : String(error),
    ...(detail !== undefined && { detail }),
  };
}

function post(message: WorkerMessage): void {
  self.postMessage(message);
}

self.onmessage = async ({ data: request }: MessageEvent<WorkerRequest>) => {
  const { mount, seq } = request;
  try {
    post({ mount, seq, ok: true, result: await carryOut(request) });
  } catch (error) {
    post({ mount, seq, ok: false, error: describe(error) });
  }
  const served = mounts.get(mount);
  if (await served?.serveWhenFilled() === "over") mounts.delete(mount);
};

warmUp();
