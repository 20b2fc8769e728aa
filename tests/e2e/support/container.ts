/**
 * A process in a container: mount and pid namespaces of its own, and a root directory that is a mount, but no container engine.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { run } from "./child.ts";
import { Images } from "./criu.ts";
import { patternBytes } from "./pattern.ts";
import { isAlive, until } from "./proc.ts";
import { references } from "./references.ts";
import type { Remote } from "./remote.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Binary } from "./spfs.ts";
import { victim } from "./victims.ts";

/** The first user outside of a container with a user namespace. */
export const FIRST_USER = 100_000;

/** A root directory, and the process in it. */
export class Container {
  readonly #sandbox: Sandbox;
  readonly #users: boolean;
  readonly #out: string;
  /** Its root directory, as it is seen from outside. */
  readonly rootfs: string;
  /** The process id of its only process, while it runs. */
  pid = 0;

  private constructor(sandbox: Sandbox, rootfs: string, users: boolean, out = `${rootfs}/out`) {
    this.#out = out;
    this.#sandbox = sandbox;
    this.rootfs = rootfs;
    this.#users = users;
  }

  /**
   * Makes its root directory, a mount, with victims/holder.c in it.
   *
   * @param directories to be mounted on, by their names in it
   * @param root what is its root directory instead of a directory of the sandbox; what the process writes is elsewhere then, on a mount at
   * `/out` with the key `out`
   * @param users whether it gets a user namespace, with {@linkcode FIRST_USER} as its user 0
   */
  static async make(
    sandbox: Sandbox,
    directories: readonly string[],
    { users = false, root }: { users?: boolean; root?: Remote } = {},
  ): Promise<Container> {
    const out = root && sandbox.directory("out");
    const container = new Container(sandbox, sandbox.directory("rootfs"), users, out);
    const { rootfs } = container;
    if (root !== undefined) await root.mount(rootfs);
    else await run("mount", ["--bind", rootfs, rootfs]); // CRIU makes a root of what is a mount
    for (const name of ["proc", "dev", "out", ...directories]) {
      Deno.mkdirSync(`${rootfs}/${name}`, { recursive: true });
    }
    if (out !== undefined) await run("mount", ["--bind", out, `${rootfs}/out`]);
    await run("mknod", ["--mode=666", `${rootfs}/dev/null`, "c", "1", "3"]);
    Deno.copyFileSync(victim("holder", undefined, ["-static"]), `${rootfs}/holder`);
    Deno.writeFileSync(container.#result, new Uint8Array());
    // CRIU makes a directory in the root while it restores, as user 0 of the user namespace.
    if (users) {
      for (const path of [rootfs, container.#result]) {
        Deno.chownSync(path, FIRST_USER, FIRST_USER);
      }
    }
    return container;
  }

  get #result(): string {
    return `${this.#out}/result`;
  }

  /** What its process has written about itself. */
  get lines(): string[] {
    return Deno.readTextFileSync(this.#result).split("\n").slice(0, -1);
  }

  /** A path in it, as it is seen from outside while nothing is mounted in its own namespace alone. */
  at(path: string): string {
    return `${this.rootfs}${path}`;
  }

  /** What the holder asks for of a directory. */
  fill(directory: string): void {
    const [path, pages] = [`${directory}/file`, `${directory}/pages`];
    Deno.writeTextFileSync(path, "headtail");
    Deno.writeFileSync(pages, patternBytes(3, 3 * 4096));
    if (!this.#users) return;
    for (const name of [directory, path, pages]) Deno.chownSync(name, FIRST_USER, FIRST_USER);
  }

  /** Starts the holder of these directories: its process id, and a promise of its end. */
  async start(directories: readonly string[]): Promise<{ pid: number; ended: () => Promise<void> }> {
    const users = this.#users ? ["-u", String(FIRST_USER)] : [];
    const program = ["/holder", "/out/result", ...directories];
    const jail = this.#sandbox.start(victim("jail"), [...users, this.rootfs, ...program]);
    const pid = Number(await jail.line());
    this.#sandbox.adopt(pid);
    await until("the holder's set-up", () => this.lines.length > 0);
    assertEquals(this.lines, ["set-up ok"]);
    const ended = async () => {
      await jail.ended();
      this.#sandbox.disown(pid);
    };
    return { pid, ended };
  }

  /** Starts the holder of these directories, dumps it by CRIU, and waits for its end. */
  async dump(directories: readonly string[], external: readonly string[], hook?: Binary): Promise<Images> {
    const { pid, ended } = await this.start(directories);
    const images = await Images.dump(this.#sandbox, pid, ["--root", this.rootfs, ...external], hook);
    await ended();
    return images;
  }

  /** Restores it by CRIU, which runs spfs at each stage. @throws {Error} with the end of CRIU's log */
  async restore(images: Images, binary: Binary, socket: string, external: readonly string[]): Promise<void> {
    const options = ["--root", this.rootfs, ...external];
    this.pid = await images.restoreContainer(binary, socket, options);
  }

  /** Tells the process to go on. */
  go(): void {
    Deno.kill(this.pid, "SIGUSR1");
  }

  /** Waits until the process has gone on, and fails unless nothing of it is on the file system with this device any more. */
  async wentOn(device: string): Promise<void> {
    await until("the holder's first word", () => this.lines.length > 1 || !isAlive(this.pid));
    assertEquals(this.lines, ["set-up ok", "first ok"]);
    // Its mounts' ids have been given to others by now.
    assertEquals(references(this.pid, { id: -1, device }), []);
  }

  /** Tells the process to look at everything, waits for its end, and fails unless it has found everything as it was. */
  async ends(directories: readonly string[]): Promise<void> {
    this.go();
    await until("the end of the holder's report", () => this.lines.includes("end ok") || !isAlive(this.pid));
    assertEquals(this.lines, ["set-up", "first", ...directories, "end"].map((name) => `${name} ok`));
    await until("the holder's end", () => !isAlive(this.pid));
  }
}
