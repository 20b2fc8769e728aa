/**
 * The file system of a stub mount: one pass-through over two backings, behind one gate.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import type { WantedInit } from "../ffi/fuse/init.ts";
import * as kernel from "../ffi/fuse/kernel.ts";
import type { Request } from "../ffi/fuse/request.ts";
import type { Handler, Handlers, Session } from "../ffi/fuse/session.ts";
import type { Fd } from "../ffi/sys/fd.ts";
import { closeFd, dup, statx } from "../ffi/sys/file.ts";
import { StatxBuffer } from "../ffi/sys/statx_buffer.ts";
import { AT_EMPTY_PATH } from "../ffi/sys/constants.ts";
import { adopt, type MissingPolicy } from "./adoption.ts";
import { type CacheTimes, UNCACHED } from "./answers.ts";
import { attributeOperations } from "./attribute_operations.ts";
import { ARGS, Context, type Operation } from "./context.ts";
import { directly, useUmask } from "./calls.ts";
import { directoryOperations } from "./directory_operations.ts";
import { fileOperations } from "./file_operations.ts";
import { Gate, type Parked } from "./gate.ts";
import { type BackingKind, type Mode, refusal, verdict } from "./modes.ts";
import { nameOperations } from "./name_operations.ts";
import { ATTRIBUTE_MASK, EMPTY_PATH } from "./node.ts";
import {
  changedBy,
  type Origins,
  type PlaceholderEntry,
  populate,
  type Populated,
  type RootDirectory,
  setRoot,
} from "./placeholder.ts";
import { PlaceholderCaches, WHILE_RESTORING } from "./placeholder_caches.ts";
import type { InterruptPolicy } from "./signals.ts";
import { type CallThreads, mayHang, Tasks } from "./tasks.ts";
import { Zap } from "./zap.ts";

/** How a stub mount's file system behaves. */
export interface StubOptions {
  /** The mode to begin in. */
  readonly mode: Exclude<Mode, "proxy">;
  /** How long the kernel may cache once the real file system answers. */
  readonly times: CacheTimes;
  /** Which signals end a wait. */
  readonly interrupts: InterruptPolicy;
  /** How many O_PATH descriptors the node table keeps. */
  readonly budget: number;
  /** The number of waiting requests has changed. Called often. */
  readonly parkedChanged?: () => void;
  /** Threads for the calls on a real file system that may not answer, which are then made by them; without, all are made by this one.
   * `waker`: what they wake the session by. */
  readonly threads?: (waker: number) => CallThreads;
  /** A request failed with something that is no errno: a bug. */
  readonly fault?: (request: Request, error: unknown) => void;
}

/** The real file system, for the first change to proxy mode. */
export interface RealFilesystem {
  /** Its root. */
  readonly root: Fd;
  /** Whether other file systems may be mounted on it, which would be served as well. */
  readonly mayCross: boolean;
}

/** A mode cannot be entered; nothing has changed. */
export class ModeError extends Error {
  /** `mode` is the one that was asked for. */
  constructor(readonly mode: Mode, reason: string) {
    super(`cannot go to ${mode} mode: ${reason}`);
    this.name = "ModeError";
  }
}

/** What a change of mode did. */
export interface ModeChange {
  /** The mode before. */
  readonly previous: Mode;
  /** How many requests had waited. */
  readonly waited: number;
  /** Paths of open files that the real file system does not have, when that was allowed. */
  readonly stale: readonly Uint8Array[];
  /** Paths of CRIU's link-remaps on the real file system that could not be unlinked. */
  readonly litter: readonly Uint8Array[];
}

/**
 * What to ask of the kernel in FUSE_INIT: that it leaves clearing set-id bits and applying umasks to the backing, looks at POSIX ACLs
 * where it checks permissions, and passes files through.
 */
export const INIT: WantedInit = {
  flags: kernel.FUSE_HANDLE_KILLPRIV_V2 | kernel.FUSE_DONT_MASK | kernel.FUSE_POSIX_ACL,
  flags2: kernel.FUSE_PASSTHROUGH,
  maxStackDepth: 1,
};

/** How long the end of a mount waits for a file system that does not answer, in milliseconds. */
const SETTLE_MS = 1000;

/** One stub mount's file system. Single-threaded, on the mount's worker. */
export class StubFilesystem implements Disposable {
  readonly #context: Context;
  readonly #operations: ReadonlyMap<number, Operation>;
  readonly #gate: Gate;
  readonly #caches: PlaceholderCaches;
  readonly #options: StubOptions;
  readonly #root = new StatxBuffer();
  readonly #origins: Origins = new Map();
  #placeholder: Fd | undefined;
  #tasks: Tasks | undefined;
  #mode: Mode;
  #changing = false;
  #ended = false;

  /** Takes over the placeholder. @param placeholder O_PATH descriptor of its root. */
  constructor(placeholder: Fd, options: StubOptions) {
    this.#options = options;
    this.#mode = options.mode;
    this.#context = new Context(options.budget);
    this.#context.nodes.rebase(placeholder.dup().release(), new Map());
    this.#placeholder = placeholder;
    this.#lookAtRoot();
    this.#operations = new Map([
      ...nameOperations(this.#context),
      ...attributeOperations(this.#context, (root) => this.#root.bytes.set(root.bytes)),
      ...directoryOperations(this.#context),
      ...fileOperations(this.#context),
    ]);
    this.#gate = new Gate({
      serve: (request) => this.#serveParked(request),
      ...(options.parkedChanged && { changed: options.parkedChanged }),
    }, options.interrupts);
    this.#caches = new PlaceholderCaches(
      this.#context.nodes,
      this.#gate,
      (request) => this.#serveParked(request, (request) => this.#serve(request)),
    );
    if (options.mode === "restore") this.#context.answers.times = WHILE_RESTORING;
  }

  /** The mode in force. */
  get mode(): Mode {
    return this.#mode;
  }

  /** How many requests wait. */
  get parkedCount(): number {
    return this.#gate.size;
  }

  /** How many nodes the kernel knows, the root included. */
  get nodeCount(): number {
    return this.#context.nodes.size;
  }

  /** How many files and directories are open. */
  get handleCount(): number {
    return this.#context.handles.size;
  }

  /** The requests that wait, oldest first. */
  parked(): IterableIterator<Parked> {
    return this.#gate.parked();
  }

  /** Where a nodeid was last seen, relative to the mount, as bytes; undefined when the kernel has forgotten it. */
  pathOf(nodeid: bigint): Uint8Array | undefined {
    const node = this.#context.nodes.get(Number(nodeid));
    return node === undefined ? undefined : this.#context.nodes.path(node);
  }

  /** A copy of a descriptor of what a nodeid is in the real file system, or a negated error number; ENOENT when there is no such node. */
  openNode(nodeid: bigint): number {
    const { nodes, caller } = this.#context;
    const node = nodes.get(Number(nodeid));
    if (node === undefined) return -Errno.ENOENT;
    caller.self();
    const fd = directly(nodes.fd(node));
    return fd < 0 ? fd : dup(fd);
  }

  /** The handlers for a session: each looks at the mode first. */
  handlers(): Handlers {
    return new Map([...this.#operations.keys()].map((opcode) => [opcode, (request) => this.#route(request)]));
  }

  /** What a session is to call when the kernel interrupts a waiting request. */
  interrupt(request: Request): void {
    this.#gate.interrupt(request);
    this.#tasks?.interrupt(request);
  }

  /** What a session is to call when it was woken: calls of other threads are over. */
  collect(): void {
    this.#tasks?.collect();
  }

  /** Lets a process zap files (zap.ts), or none any more. @throws {TypeError} unless the mount is in restore mode, and stays there */
  zapBy(pid: number | undefined): void {
    if (pid !== undefined && (this.#mode !== "restore" || this.#changing)) {
      throw new TypeError("only the placeholder's pages are zapped");
    }
    this.#context.zap = pid === undefined ? undefined : new Zap(pid);
  }

  /** Makes nodes in the placeholder as `populate` does, while it is served: the kernel forgets what changes by that. */
  async populateServed(
    session: Session,
    entries: readonly PlaceholderEntry[],
    parents: boolean,
  ): Promise<Populated> {
    try {
      return this.populate(entries, parents);
    } finally {
      if (this.#placeholder !== undefined) {
        await this.#caches.dropAttributes(
          session,
          this.#context.nodes.knownOf(this.#placeholder.raw, changedBy(entries)),
        );
      }
    }
  }

  /**
   * Makes nodes in the placeholder, all or none. What the kernel may have cached of it is another matter, see `populateServed`.
   *
   * @throws {ModeError} once the real file system has been adopted. @throws {PopulateError} naming the entry.
   */
  populate(entries: readonly PlaceholderEntry[], parents: boolean): Populated {
    if (this.#placeholder === undefined) throw new ModeError("restore", refusal("restore", "real")!);
    this.#context.caller.self();
    useUmask(0);
    return populate(this.#placeholder.raw, entries, parents, this.#origins);
  }

  /**
   * Gives the placeholder its root directory's attributes and its nodes, where these were not known when it was made. To be called before anybody is
   * served.
   *
   * @throws {PopulateError} naming the entry; {SysError}
   */
  fill(root: RootDirectory, entries: readonly PlaceholderEntry[]): void {
    this.populate(entries, true);
    setRoot(this.#placeholder!, root);
    this.#lookAtRoot();
  }

  /**
   * Changes the mode. From `restore` on, every page that came from the placeholder is dropped before anybody can see it again. To
   * `proxy` for the first time, `real` is adopted. On failure the mode stays, but for restore, which then has become stub.
   *
   * @param real the real file system, its root owned by us from here on, also on failure; ignored when there is one already.
   * @throws {ModeError}, {AdoptionError}, {SysError}; TypeError while another change is under way.
   */
  async setMode(
    session: Session,
    mode: Mode,
    real?: RealFilesystem,
    missing: MissingPolicy = "refuse",
  ): Promise<ModeChange> {
    using owned = new DisposableStack();
    if (real !== undefined) owned.use(real.root);
    if (this.#changing) throw new TypeError("a change of mode is under way");
    const backing: BackingKind = this.#placeholder === undefined || real !== undefined
      ? "real"
      : "placeholder";
    const reason = refusal(
      mode,
      mode === "proxy" ? backing : this.#placeholder === undefined ? "real" : "placeholder",
    );
    if (reason !== undefined) throw new ModeError(mode, reason);
    this.#changing = true;
    try {
      const previous = this.#mode;
      if (previous === "restore" && mode !== "restore") await this.#leaveRestore(session);
      if (this.#ended) throw new ModeError(mode, "the mount has ended");
      const adopts = mode === "proxy" && this.#placeholder !== undefined;
      const { stale, litter } = adopts ? this.#adopt(session, real!, missing) : { stale: [], litter: [] };
      this.#mode = mode;
      if (mode === "restore") this.#context.answers.times = WHILE_RESTORING;
      const waited = mode === "stub" ? 0 : await this.#gate.release();
      return { previous, waited, stale, litter };
    } finally {
      this.#changing = false;
    }
  }

  /** Answers everything that waits, for a change of mode or for the real file system, with an errno. Returns how many there were. */
  failParked(errno: number): number {
    return this.#gate.fail(errno) + (this.#tasks?.fail(errno) ?? 0);
  }

  /** The session is over, and is about to be disposed of. */
  sessionEnded(): void {
    this.#context.passthrough.end();
  }

  /**
   * Lets other threads come to the end of their calls and close what is open, which on some file systems asks a server. Does not wait for
   * long: what a file system that does not answer keeps open stays so until it does. The session must have been disposed of.
   */
  async settle(): Promise<void> {
    await this.#tasks?.settle(this.#context.handles.clear(), SETTLE_MS);
  }

  /** Closes everything. The session must have ended. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#gate.close();
    this.#tasks?.end();
    this.#context.caller.self();
    for (const fd of this.#context.handles.clear()) closeFd(fd);
    this.#context.nodes.close();
    this.#placeholder?.close();
    this.#placeholder = undefined;
  }

  #route(request: Request): void {
    switch (verdict(this.#mode, request.opcode, request.nodeid, isLaundering(request))) {
      case "serve":
        return this.#serve(request);
      case "park":
        return this.#gate.park(request);
      case "acknowledge":
        return void request.replyOk();
      case "root-attributes":
        return this.#describeRoot(request);
    }
  }

  /** The placeholder's extended attributes are at hand; the real file system, once adopted, might not answer. */
  #describeRoot(request: Request): void {
    const { answers } = this.#context;
    if (request.opcode === kernel.FUSE_GETATTR) answers.attributes(request, this.#root, UNCACHED);
    else if (request.opcode === kernel.FUSE_STATX) answers.extended(request, this.#root, UNCACHED);
    else if (this.#placeholder !== undefined) this.#serve(request);
    else this.#gate.park(request);
  }

  #serve(request: Request): void {
    const operation = this.#operations.get(request.opcode)!;
    if (this.#tasks !== undefined) return this.#tasks.start(request, operation);
    const steps = operation(request);
    if (steps !== undefined) directly(steps);
  }

  /** Serves a request that waited: as the mode says, which may have changed again since, or by `handler`. */
  #serveParked(request: Request, handler: Handler = (request) => this.#route(request)): void {
    try {
      handler(request);
    } catch (error) {
      this.#failed(request, error);
    }
  }

  #failed(request: Request, error: unknown): void {
    if (!(error instanceof SysError)) this.#options.fault?.(request, error);
    if (request.state !== "answered") {
      request.replyError(error instanceof SysError ? error.errno : Errno.EIO);
    }
  }

  #adopt(
    session: Session,
    real: RealFilesystem,
    missing: MissingPolicy,
  ): Pick<ModeChange, "stale" | "litter"> {
    const { stale, litter } = adopt(this.#context, real.root, this.#origins, missing);
    this.#placeholder!.close();
    this.#placeholder = undefined;
    this.#context.answers.times = this.#options.times;
    const { root } = this.#context.nodes;
    const threads = mayHang(root.fd) ? this.#options.threads?.(session.waker) : undefined;
    if (threads !== undefined) {
      this.#tasks = new Tasks(this.#context, threads, {
        failed: (request, error) => this.#failed(request, error),
      });
    } else {
      const agreed = (session.init.flags2 & kernel.FUSE_PASSTHROUGH) !== 0;
      this.#context.passthrough.begin(agreed ? session.device : -1, root.fd, real.mayCross);
    }
    return { stale: stale.map(({ node }) => this.#context.nodes.path(node)), litter };
  }

  #lookAtRoot(): void {
    statx(this.#placeholder!.raw, EMPTY_PATH, AT_EMPTY_PATH, ATTRIBUTE_MASK, this.#root);
  }

  /**
   * Goes to stub mode and drops what the kernel has cached of the placeholder. Pages are dropped twice: first while requests are served, so
   * that dirty pages are written; then again behind the closed gate, where only the writing of pages dirtied in between is still served, and
   * what holds pages that are to be dropped. No page of the placeholder is delivered after that. Attributes come last: none is told any more.
   */
  async #leaveRestore(session: Session): Promise<void> {
    this.#context.answers.times = UNCACHED;
    this.#context.zap = undefined;
    await this.#caches.dropPages(session);
    this.#mode = "stub";
    this.#lookAtRoot();
    await this.#caches.dropPages(session);
    await this.#caches.dropAttributes(session);
  }
}

/** Whether a request writes back cached pages. */
function isLaundering(request: Request): boolean {
  if (request.opcode !== kernel.FUSE_WRITE) return false;
  return (kernel.fuse_write_in.get.write_flags(request.view, ARGS) & kernel.FUSE_WRITE_CACHE) !== 0;
}
