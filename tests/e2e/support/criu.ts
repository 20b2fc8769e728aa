/**
 * Dumping and restoring a process tree by CRIU.
 *
 * @module
 */

import { criuPath } from "../../../tools/criu.ts";
import type { Sandbox } from "./sandbox.ts";

/** Images of a process tree. */
export class Images {
  readonly #sandbox: Sandbox;
  readonly #criu: string;
  /** Their directory. */
  readonly directory: string;

  readonly #pid: number;

  private constructor(sandbox: Sandbox, criu: string, directory: string, pid: number) {
    this.#sandbox = sandbox;
    this.#criu = criu;
    this.directory = directory;
    this.#pid = pid;
  }

  /**
   * Dumps a process, which ends by that.
   *
   * @param options more of CRIU's options
   * @throws {Error} with the end of CRIU's log
   */
  static async dump(sandbox: Sandbox, pid: number, options: readonly string[] = []): Promise<Images> {
    const images = new Images(sandbox, await criuPath(), sandbox.directory("images"), pid);
    await images.#run("dump", ["--tree", String(pid), ...options]);
    return images;
  }

  /**
   * Restores the tree, detached, with its process ids, and returns the root's.
   *
   * @param hook the command that CRIU runs at each stage, instead of a file that CRIU could run itself
   * @param options more of CRIU's options
   * @throws {Error} with the end of CRIU's log
   */
  async restore(hook: readonly string[], options: readonly string[] = []): Promise<number> {
    const actionScript = `${this.directory}/action-script`;
    await Deno.writeTextFile(actionScript, `#!/bin/sh\nexec ${hook.map((word) => `'${word}'`).join(" ")}\n`);
    await Deno.chmod(actionScript, 0o755);
    // Also when the restore does not succeed: CRIU may have made the process.
    this.#sandbox.adopt(this.#pid);
    await this.#run("restore", ["--restore-detached", "--action-script", actionScript, ...options]);
    return this.#pid;
  }

  async #run(command: string, args: readonly string[]): Promise<void> {
    const log = `${command}.log`;
    const child = this.#sandbox.start(this.#criu, [
      command,
      "--images-dir",
      this.directory,
      "--log-file",
      log,
      "-v4",
      ...args,
    ]);
    await child.closeInput();
    const { code, stderr } = await child.ended();
    if (code !== 0) {
      const told = await Deno.readTextFile(`${this.directory}/${log}`).catch(() => "");
      throw new Error(
        `criu ${command} ended with ${code}: ${stderr}\n${told.split("\n").slice(-25).join("\n")}`,
      );
    }
  }
}
