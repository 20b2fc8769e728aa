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
  /** The image. */
  readonly image: string;
  #device: string | undefined;

  private constructor(sandbox: Sandbox, image: string) {
    this.#sandbox = sandbox;
    this.image = image;
  }

  /** Makes an empty file system of some MiB. */
  static async make(sandbox: Sandbox, name = "remote", mebibytes = 32): Promise<Remote> {
    const image = sandbox.at(`${name}.img`);
    await Deno.writeFile(image, new Uint8Array());
    await Deno.truncate(image, mebibytes * 1024 * 1024);
    await run("mkfs.ext4", ["-q", "-F", "-E", "root_owner=0:0", image]);
    return new Remote(sandbox, image);
  }

  /** The device that it is attached to. @throws {Error} when it is not */
  get device(): string {
    if (this.#device === undefined) throw new Error("the image is not attached");
    return this.#device;
  }

  /** Attaches it to a loop device, the one that is named if one is. */
  async attach(device?: string): Promise<string> {
    return this.#device = await this.#sandbox.attachLoop(this.image, device);
  }

  /** Detaches it; nothing may use it any more. */
  async detach(): Promise<void> {
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
