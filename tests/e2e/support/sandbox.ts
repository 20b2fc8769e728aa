/**
 * Where a test happens: a temporary directory, and everything started, attached and mounted for it, all of which is gone afterwards.
 *
 * @module
 */

import { Child, type ChildOptions, run } from "./child.ts";
import { isAlive, mountsBelow, until, within } from "./proc.ts";

/** Thrown when something is left behind. */
export class LeakError extends Error {
  /** The error's name. */
  override readonly name = "LeakError";
}

/** A temporary directory with what belongs to it. */
export class Sandbox implements AsyncDisposable {
  /** The directory. */
  readonly path: string;
  /** A command by which every program is started such as nsenter(1) with its options. None at first. */
  enter: readonly string[] = [];
  readonly #children = new Set<Child>();
  readonly #adopted = new Set<number>();
  readonly #loops = new Map<string, string>();
  readonly #deferred: (() => Promise<unknown>)[] = [];
  #closing = false;

  /** Makes one, whose name begins so. */
  constructor(prefix = "spfs-e2e-") {
    this.path = Deno.makeTempDirSync({ prefix });
    Deno.chmodSync(this.path, 0o755); // other users go through it
  }

  /** The path of a name in it. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Makes a directory in it. */
  directory(name: string, mode = 0o755): string {
    const path = this.at(name);
    Deno.mkdirSync(path, { recursive: true });
    Deno.chmodSync(path, mode);
    return path;
  }

  /** Starts a program that ends with the sandbox at the latest. @throws {Error} when the sandbox is being taken down */
  start(command: string, args: readonly string[] = [], options: ChildOptions = {}): Child {
    if (this.#closing) throw new Error(`${command}: the sandbox is being taken down`);
    const [program, ...all] = [...this.enter, command, ...args];
    const child = Child.start(program!, all, options);
    this.#children.add(child);
    return child;
  }

  /** Makes a process that somebody else started end with the sandbox. */
  adopt(pid: number): void {
    this.#adopted.add(pid);
  }

  /** Forgets a process that was adopted and has ended: its number may be another one's by now. */
  disown(pid: number): void {
    this.#adopted.delete(pid);
  }

  /** Has something that somebody else keeps account of taken down with the sandbox, before mounts are; the last one first. */
  defer(takeDown: () => Promise<unknown>): void {
    this.#deferred.unshift(takeDown);
  }

  /** Attaches a file to a free loop device and returns that. */
  async attachLoop(file: string): Promise<string> {
    const device = (await run("losetup", ["--find", "--show", file])).trim();
    this.#loops.set(device, file);
    return device;
  }

  /**
   * Detaches a loop device. The kernel does it when the device's last user is gone, which a file system that is mounted in a copy of
   * this mount namespace still is; attached a second time meanwhile, the file would be written by two.
   */
  async detachLoop(device: string): Promise<void> {
    const file = this.#loops.get(device)!;
    await run("losetup", ["--detach", device]);
    const free = async () => (await run("losetup", ["--associated", file])) === "";
    await until(`the end of ${device}'s last user`, free, 30_000);
    this.#loops.delete(device);
  }

  /** Fails if something that spfs mounted is still there. */
  checkNoStubMounts(): void {
    const left = mountsBelow(this.path).filter(({ fstype }) => fstype === "fuse.spfs");
    if (left.length > 0) throw new LeakError(`left mounted: ${left.map((m) => m.mountpoint).join(", ")}`);
  }

  /**
   * Ends and removes all of it. Daemons go first: that frees whoever waits in a mount of theirs.
   *
   * @throws {LeakError} naming what could not be removed
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    const left: string[] = [];
    for (const child of this.#children) child.kill("SIGKILL");
    for (const pid of this.#adopted) {
      if (isAlive(pid)) Deno.kill(pid, "SIGKILL");
    }
    for (const takeDown of this.#deferred) await takeDown().catch((error) => left.push(error.message));
    for (const { mountpoint } of mountsBelow(this.path).reverse()) {
      await run("umount", ["--lazy", mountpoint]).catch((error) => left.push(error.message));
    }
    const ended: Promise<unknown>[] = [...this.#children].map((child) =>
      within(`the end of process ${child.pid}`, child.status)
    );
    for (const pid of this.#adopted) ended.push(until(`the end of process ${pid}`, () => !isAlive(pid)));
    for (const result of await Promise.allSettled(ended)) {
      if (result.status === "rejected") left.push(result.reason.message);
    }
    for (const device of this.#loops.keys()) {
      await this.detachLoop(device).catch((error) => left.push(error.message));
    }
    for (const { mountpoint } of mountsBelow(this.path)) left.push(`${mountpoint} is mounted`);
    if (left.length === 0) {
      await run("rm", ["-r", "--one-file-system", this.path]).catch((error) => left.push(error.message));
    }
    if (left.length > 0) throw new LeakError(`left behind: ${left.join("; ")}`);
  }
}
