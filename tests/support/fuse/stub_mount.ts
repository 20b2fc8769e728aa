/**
 * A stub mount for a test: a mount worker in a process of its own, its mountpoint and a directory that stands for the real file system,
 * and agents that use the mount. The test's own process never touches it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { FileEntry } from "../../../control/entries.ts";
import { NURSERY } from "../../../host/runtime_flags.ts";
import type {
  CreateRequest,
  CreateResult,
  InspectResult,
  WorkerCall,
  WorkerCalls,
  WorkerError,
  WorkerMessage,
} from "../../../host/worker_messages.ts";
import { Agent } from "./agent.ts";
import { decode, encode, lines } from "./wire.ts";

/** A request that the worker refused. */
export class WorkerFailure extends Error {
  /** `error` is what it said. */
  constructor(readonly error: WorkerError) {
    super(`${error.kind}: ${error.message}`);
    this.name = "WorkerFailure";
  }
}

/** What a mount is made with, all of it optional. */
export type StubMountOptions =
  & Partial<Pick<CreateRequest, "mode" | "root" | "size" | "attrTimeoutMs" | "interrupts">>
  & {
    /** Capabilities that the process that serves does without, such as "-dac_override": setpriv(1) `--bounding-set`. */
    readonly without?: string;
  };

const TIMEOUT_MS = 20_000;
const encoder = new TextEncoder();
const child = new URL("./mount_process.ts", import.meta.url).pathname;
const config = new URL("../../../deno.json", import.meta.url).pathname;

/** Bytes of a relative path. */
export const bytes = (path: string): Uint8Array => encoder.encode(path);

/** An entry of `populate`: a file of a size, of zeros. */
export function file(
  path: string,
  size: number,
  more: { mode?: number; uid?: number; gid?: number } = {},
): FileEntry {
  return {
    type: "file",
    path: bytes(path),
    size: BigInt(size),
    mode: 0o644,
    uid: 0,
    gid: 0,
    ...more,
  } as FileEntry;
}

/** An entry of `populate`: a directory. */
export function directory(path: string, more: { mode?: number; uid?: number; gid?: number } = {}): FileEntry {
  return { type: "directory", path: bytes(path), mode: 0o755, uid: 0, gid: 0, ...more } as FileEntry;
}

/** A mount that lives as long as its scope. */
export class StubMount implements AsyncDisposable {
  /** Holds the two others. */
  readonly base: string;
  /** The mountpoint. */
  readonly mountpoint: string;
  /** The real file system. */
  readonly real: string;
  /** Lines of the worker's log. */
  readonly log: string[] = [];
  /** Lines of level error that the test expects: a bug that the test provokes. */
  expectedErrors = 0;
  /** Where it is mounted. */
  identity!: CreateResult;
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  readonly #agents: Agent[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #gone = Promise.withResolvers<string>();
  readonly #ended: Promise<void>;
  #errors = 0;
  #seq = 0;

  private constructor(base: string, without: string | undefined) {
    this.base = base;
    this.mountpoint = `${base}/mnt`;
    this.real = `${base}/real`;
    const args = ["run", NURSERY, "--allow-all", "--no-check", "--no-lock", "--config", config, child];
    const [program, ...rest] = [
      ...(without === undefined ? [] : ["setpriv", "--bounding-set", without]),
      Deno.execPath(),
      ...args,
    ];
    this.#process = new Deno.Command(program!, { args: rest, stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#ended = this.#read();
  }

  /** Makes one, in restore mode unless told otherwise. */
  static async start({ without, ...options }: StubMountOptions = {}): Promise<StubMount> {
    const base = await Deno.makeTempDir({ prefix: "spfs-test-" });
    await Deno.chmod(base, 0o755);
    await Deno.mkdir(`${base}/mnt`);
    await Deno.mkdir(`${base}/real`);
    const mount = new StubMount(base, without);
    try {
      mount.identity = await mount.call("create", {
        type: "create",
        mountpoint: bytes(mount.mountpoint),
        mode: "restore",
        source: "spfs:test",
        root: { mode: 0o755, uid: 0, gid: 0 },
        attrTimeoutMs: 1000,
        options: { dev: true, suid: true, exec: true, readOnly: false },
        interrupts: "any",
        ...options,
      });
      return mount;
    } catch (error) {
      await mount.#kill();
      await mount.#remove();
      throw error;
    }
  }

  /** The process of the mount. */
  get pid(): number {
    return this.#process.pid;
  }

  /** A path in the mount. */
  path(relative: string): string {
    return `${this.mountpoint}/${relative}`;
  }

  /** Why the mount ended; resolves once it has. */
  get gone(): Promise<string> {
    return this.#gone.promise;
  }

  /** Another process that uses the mount. */
  agent(): Agent {
    const agent = new Agent();
    this.#agents.push(agent);
    return agent;
  }

  /** Asks the worker. @throws {WorkerFailure} */
  call<C extends WorkerCall>(
    _call: C,
    request: WorkerCalls[C]["request"] & { backing?: string },
  ): Promise<WorkerCalls[C]["result"]> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const seq = ++this.#seq;
    this.#waiting.set(seq, { resolve, reject });
    this.#writer.write(encoder.encode(`${encode({ mount: 1, seq, ...request })}\n`)).catch(() => {}); // told by #read
    return within(promise as Promise<WorkerCalls[C]["result"]>, request.type);
  }

  /** Makes nodes in the placeholder. */
  populate(...entries: FileEntry[]): Promise<WorkerCalls["populate"]["result"]> {
    return this.call("populate", { type: "populate", entries, parents: true });
  }

  /** To stub mode. */
  stub(): Promise<WorkerCalls["setMode"]["result"]> {
    return this.call("setMode", { type: "setMode", mode: "stub" });
  }

  /** To restore mode. */
  restore(): Promise<WorkerCalls["setMode"]["result"]> {
    return this.call("setMode", { type: "setMode", mode: "restore" });
  }

  /** To proxy mode, onto a directory the first time. `mayCross`: whether other file systems may be mounted on it. */
  proxy(backing?: string, mayCross = true): Promise<WorkerCalls["setMode"]["result"]> {
    return this.call("setMode", {
      type: "setMode",
      mode: "proxy",
      ...(backing !== undefined && { backing, mayCross }),
    });
  }

  /** How the mount is. */
  inspect(requests = 0): Promise<InspectResult> {
    return this.call("inspect", { type: "inspect", requests });
  }

  /** Waits until the mount is as wanted; it is looked at whenever the worker tells that something is parked or let go. */
  async until(
    wanted: (state: InspectResult) => boolean,
    what = "the mount to be as wanted",
  ): Promise<InspectResult> {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const { promise: changed, resolve } = Promise.withResolvers<void>();
      this.#watchers.add(resolve);
      const state = await this.inspect(64);
      if (wanted(state)) return state;
      if (performance.now() > deadline) throw new Error(`waited for ${what}: ${encode(state)}`);
      // What does not touch the number of parked requests is not told: looked at once more every 50 ms.
      const timer = setTimeout(resolve, 50);
      await changed;
      clearTimeout(timer);
      this.#watchers.delete(resolve);
    }
  }

  /** Waits until so many requests are parked. */
  parked(count: number): Promise<InspectResult> {
    return this.until((state) => state.parked.count === count, `${count} parked requests`);
  }

  /** What the descriptors of the mount's process are, by number. */
  async descriptors(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for await (const { name } of Deno.readDir(`/proc/${this.pid}/fd`)) {
      found.set(name, await Deno.readLink(`/proc/${this.pid}/fd/${name}`).catch(() => "gone"));
    }
    return found;
  }

  /** Runs a shell script in a process of its own; $M is the mountpoint, $R the real file system, and $B holds both. Returns what it prints. */
  async shell(script: string): Promise<string> {
    const { stdout, stderr, success, code } = await new Deno.Command("timeout", {
      args: ["-s", "KILL", "20", "bash", "-euc", script],
      cwd: "/",
      env: { M: this.mountpoint, R: this.real, B: this.base, LC_ALL: "C" },
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    if (!success) throw new Error(`exit ${code} of: ${script}\n${text.decode(stderr)}`);
    return text.decode(stdout);
  }

  /** Unmounts, from outside, and waits until the worker has noticed. */
  async unmount(): Promise<string> {
    await this.#umount([]);
    return await within(this.gone, "the end after umount");
  }

  /** Ends everything. Fails when somebody hung, and when the worker logged an error that was not expected. */
  async [Symbol.asyncDispose](): Promise<void> {
    const killed = Promise.all(this.#agents.map((agent) => agent[Symbol.asyncDispose]())); // the mount must live for those that wait
    try {
      await within(killed, "the end of the agents", 5000);
      await this.#kill();
    } finally {
      await this.#kill();
      await killed;
      await this.#remove();
    }
    assertEquals(this.#errors, this.expectedErrors, `errors in the log:\n${this.log.join("\n")}`);
  }

  /** Kills the process; closing /dev/fuse frees whoever waits. @throws {Error} when it hung and the connection had to be aborted. */
  async #kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    try {
      await within(this.#ended, "the end of the mount's process", 5000);
    } catch (error) {
      await this.abortConnection();
      await this.#ended;
      throw error;
    }
  }

  /** By the kernel's own means: a process with a thread in an uninterruptible wait does not close its descriptors. */
  async abortConnection(): Promise<void> {
    await this.shell("mkdir -p $B/control; mount -t fusectl none $B/control");
    await this.shell(`echo 1 > $B/control/${this.identity.minor}/abort || true; umount -l $B/control`);
  }

  async #umount(flags: string[]): Promise<void> {
    await new Deno.Command("umount", { args: [...flags, this.mountpoint], stderr: "null" }).output();
  }

  async #remove(): Promise<void> {
    await this.#umount(["-l"]);
    const mounts = await Deno.readTextFile("/proc/self/mountinfo");
    if (mounts.includes(` ${this.base}/`)) throw new Error(`still mounted below ${this.base}`);
    await Deno.remove(this.base, { recursive: true });
  }

  async #read(): Promise<void> {
    for await (const line of lines(this.#process.stdout)) this.#receive(decode(line));
    await this.#process.status;
    const error = new Error("the process of the mount has ended");
    this.#gone.resolve("process ended");
    for (const { reject } of this.#waiting.values()) reject(error);
    await this.#writer.abort().catch(() => {});
  }

  #receive(message: WorkerMessage): void {
    if (!("event" in message)) {
      const waiting = this.#waiting.get(message.seq)!;
      this.#waiting.delete(message.seq);
      if (message.ok) waiting.resolve(message.result);
      else waiting.reject(new WorkerFailure(message.error));
    } else if (message.event === "gone") {
      if (message.reason === "error") this.#fail(message.text ?? "");
      this.#gone.resolve(message.reason);
    } else if (message.event === "log") {
      if (message.level === "error") this.#fail(message.text);
      else this.log.push(`${message.level}: ${message.text}`);
    } else for (const watcher of this.#watchers) watcher();
  }

  #fail(text: string): void {
    this.#errors++;
    this.log.push(`error: ${text}`);
  }
}

/** A promise that must be settled in time. */
export async function within<T>(promise: Promise<T>, what: string, ms: number = TIMEOUT_MS): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
