/**
 * A file system that comes and goes: an ext4 image which is attached to a loop device, or is not.
 *
 * @module
 */

import { run } from "./child.ts";
import type { Sandbox } from "./sandbox.ts";

/** An ext4 file system in a file of the sandbox. */
export class Remote {
  readonly #sandbox: Sandbox;
  readonly #image: string;
  /**
   * What it is mounted from: a symlink to its device, which is there only while it is attached. A loop device's own name will not do:
   * once it is detached, somebody else may get it.
   */
  readonly source: string;
  #device: string | undefined;

  private constructor(sandbox: Sandbox, name: string) {
    this.#sandbox = sandbox;
    this.#image = sandbox.at(`${name}.img`);
    this.source = sandbox.at(`${name}.disk`);
  }

  /** Makes an empty file system of some MiB. */
  static async make(sandbox: Sandbox, name = "remote", mebibytes = 32): Promise<Remote> {
    const remote = new Remote(sandbox, name);
    await Deno.writeFile(remote.#image, new Uint8Array());
    await Deno.truncate(remote.#image, mebibytes * 1024 * 1024);
    await run("mkfs.ext4", ["-q", "-F", "-E", "root_owner=0:0", remote.#image]);
    return remote;
  }

  /** How it is ordered to take the place of a stand-in, but for the mount's id: users are moved to it, when it is released. */
  get held() {
    return {
      source: this.source,
      type: "ext4",
      swap: "require" as const,
      hold: true,
      retry: { initialMs: 20, maxMs: 50 },
    };
  }

  /** The device that it is attached to. @throws {Error} when it is not */
  get device(): string {
    if (this.#device === undefined) throw new Error("the image is not attached");
    return this.#device;
  }

  /** Attaches it to a loop device and returns that. */
  async attach(): Promise<string> {
    this.#device = await this.#sandbox.attachLoop(this.#image);
    await Deno.symlink(this.#device, this.source);
    return this.#device;
  }

  /** Detaches it, and waits until nobody uses it any more. */
  async detach(): Promise<void> {
    await Deno.remove(this.source);
    await this.#sandbox.detachLoop(this.device);
    this.#device = undefined;
  }

  /** Mounts it on a directory, as a user of it would. */
  async mount(directory: string): Promise<void> {
    await run("mount", ["-t", "ext4", this.device, directory]);
  }

  /** Unmounts it from there. */
  async unmount(directory: string): Promise<void> {
    await run("umount", [directory]);
  }
}
