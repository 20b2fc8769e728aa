/**
 * Where a test happens: a temporary directory, and everything started, attached and mounted for it, all of which is gone afterwards.
 *
 * @module
 */

import { Child, type ChildOptions, run } from "./child.ts";
import { isAlive, mountsBelow, until } from "./proc.ts";

/** Thrown when something is left behind. */
export class LeakError extends Error {
  /** The error's name. */
  override readonly name = "LeakError";
}

/** A temporary directory with what belongs to it. */
export class Sandbox implements AsyncDisposable {
  /** The directory. */
  readonly path: string;
  readonly #children = new Set<Child>();
  readonly #adopted = new Set<number>();
  readonly #loops = new Set<string>();
  #closing = false;

  /** Makes one. */
  constructor() {
    this.path = Deno.makeTempDirSync({ prefix: "spfs-e2e-" });
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
    const child = Child.start(command, args, options);
    this.#children.add(child);
    return child;
  }

  /** Makes a process that somebody else started end with the sandbox. */
  adopt(pid: number): void {
    this.#adopted.add(pid);
  }

  /** Attaches a file to a loop device, a free one unless one is named, and returns that. */
  async attachLoop(file: string, wanted?: string): Promise<string> {
    const device =
      (await run("losetup", wanted === undefined ? ["--find", "--show", file] : [wanted, file])).trim() ||
      wanted!;
    this.#loops.add(device);
    return device;
  }

  /** Detaches a loop device. */
  async detachLoop(device: string): Promise<void> {
    await run("losetup", ["--detach", device]);
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
    const pids = [...this.#adopted, ...[...this.#children].map((child) => child.pid)];
    for (const { mountpoint } of mountsBelow(this.path).reverse()) {
      await run("umount", ["--lazy", mountpoint]).catch((error) => left.push(error.message));
    }
    for (const pid of pids) {
      await until(`the end of process ${pid}`, () => !isAlive(pid)).catch((error) =>
        left.push(error.message)
      );
    }
    for (const device of this.#loops) {
      await run("losetup", ["--detach", device]).catch((error) => left.push(error.message));
    }
    // The kernel detaches a device when its last user is gone: a file system that was unmounted lazily takes a moment.
    const detached = async () =>
      !(await run("losetup", ["--list", "--output", "BACK-FILE"])).includes(`${this.path}/`);
    await until("loop devices without an image of this sandbox", detached).catch((error) =>
      left.push(error.message)
    );
    for (const { mountpoint } of mountsBelow(this.path)) left.push(`${mountpoint} is mounted`);
    if (left.length === 0) {
      await run("rm", ["-r", "--one-file-system", this.path]).catch((error) => left.push(error.message));
    }
    if (left.length > 0) throw new LeakError(`left behind: ${left.join("; ")}`);
  }
}
