/**
 * Dumping and restoring a process tree by CRIU.
 *
 * @module
 */

import { criuPath } from "../../../tools/criu.ts";
import type { Child } from "./child.ts";
import type { Sandbox } from "./sandbox.ts";
import { type Binary, writeScript } from "./spfs.ts";

/** Has CRIU's action script at post-restore kill CRIU itself. */
export const killCriu = 'criu="${CRTOOLS_IMAGE_DIR#/proc/}"; kill -9 "${criu%%/*}"';

/** CRIU's options for an action script that runs this at post-restore, whose failure ends the restore. Of several scripts CRIU runs the last first. */
export function atPostRestore(sandbox: Sandbox, command: string): string[] {
  const script = sandbox.at(`post-restore-${crypto.randomUUID()}`);
  const text = `#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-restore ] || { ${command}; }\n`;
  Deno.writeTextFileSync(script, text, { mode: 0o755 });
  return ["--action-script", script];
}

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
   * @param hook runs at each stage, and notes beside the images what they lack
   * @param name the name of their directory in the sandbox
   * @throws {Error} with the end of CRIU's log
   */
  static async dump(
    sandbox: Sandbox,
    pid: number,
    options: readonly string[] = [],
    hook?: Binary,
    name = "images",
  ): Promise<Images> {
    const images = new Images(sandbox, await criuPath(), sandbox.directory(name), pid);
    const script = hook && ["--action-script", await images.#actionScript(hook, "dump-hook")];
    await images.#run("dump", ["--tree", String(pid), ...options, ...(script ?? [])]);
    return images;
  }

  /** What CRIU and its action scripts wrote at a dump, or at a restore. */
  log(command: "dump" | "restore"): string {
    return Deno.readTextFileSync(`${this.directory}/${command}.log`);
  }

  /**
   * Restores a tree that has a pid namespace of its own, detached, and returns the process id of its root. Else as {@linkcode restore}.
   *
   * @throws {Error} with the end of CRIU's log
   */
  async restoreContainer(binary: Binary, socket: string, options: readonly string[]): Promise<number> {
    const pidFile = `${this.directory}/restored.pid`;
    const script = await this.#actionScript(binary, "criu-hook");
    const detached = ["--restore-detached", "--pidfile", pidFile, "--action-script", script];
    try {
      await this.#run("restore", [...detached, ...options], { SPFS_SOCKET: socket });
    } finally {
      const pid = Number(await Deno.readTextFile(pidFile).catch(() => "0"));
      if (pid > 0) this.#sandbox.adopt(pid);
    }
    return Number(await Deno.readTextFile(pidFile));
  }

  /**
   * Restores the tree, detached, with its process ids, and returns the root's. CRIU runs spfs at each stage.
   *
   * @param daemon the control socket of the daemon, or what the action script finds in its environment instead
   * @param options more of CRIU's options
   * @throws {Error} with the end of CRIU's log
   */
  async restore(
    binary: Binary,
    daemon: string | Record<string, string>,
    options: readonly string[] = [],
  ): Promise<number> {
    const actionScript = await this.#actionScript(binary, "criu-hook");
    // Also when the restore does not succeed: CRIU may have made the process.
    this.#sandbox.adopt(this.#pid);
    await this.#run(
      "restore",
      ["--restore-detached", "--action-script", actionScript, ...options],
      typeof daemon === "string" ? { SPFS_SOCKET: daemon } : { SPFS_SOCKET: "", ...daemon },
    );
    return this.#pid;
  }

  /**
   * Restores the tree as {@linkcode restore} does, without an action script.
   *
   * @param env variables for what CRIU runs
   * @throws {Error} with the end of CRIU's log
   */
  async restorePlainly(
    options: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<number> {
    this.#sandbox.adopt(this.#pid);
    await this.#run("restore", ["--restore-detached", ...options], env);
    return this.#pid;
  }

  /** Starts CRIU as {@linkcode restorePlainly} does, but not detached: it ends when the tree has ended. */
  startRestore(options: readonly string[], env: Record<string, string>): Child {
    this.#sandbox.adopt(this.#pid);
    return this.#start("restore", options, env);
  }

  /** The root's process id. */
  get pid(): number {
    return this.#pid;
  }

  /**
   * The command that restores the tree, detached, for somebody else to run, with CRIU's log in `restore.log`. The restored process ends with
   * the sandbox.
   */
  restoreCommand(options: readonly string[] = []): string[] {
    this.#sandbox.adopt(this.#pid);
    const log = ["--log-file", "restore.log", "-v4"];
    return [this.#criu, "restore", "--images-dir", this.directory, ...log, "--restore-detached", ...options];
  }

  /** Restores the tree by `spfs restore`, which ends when CRIU does. @throws {Error} with the end of CRIU's log */
  async restoreWrapped(
    binary: Binary,
    env: Record<string, string>,
    options: readonly string[] = [],
  ): Promise<number> {
    const [program, ...first] = binary.command;
    const args = [...first, "restore", "--", ...this.restoreCommand(options)];
    const child = this.#sandbox.start(program, args, { env });
    await child.closeInput();
    const { code, stderr } = await child.ended();
    if (code !== 0) {
      const told = await Deno.readTextFile(`${this.directory}/restore.log`).catch(() => "");
      throw new Error(
        `criu restore ended with ${code}: ${stderr}\n${told.split("\n").slice(-25).join("\n")}`,
      );
    }
    return this.#pid;
  }

  /** Whether CRIU has said in its log that the tree is restored and runs. */
  get isRestored(): boolean {
    try {
      return this.log("restore").includes("Restore finished successfully");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** CRIU takes one file: the executable itself is one, for the sources a script has to be written. */
  async #actionScript(binary: Binary, command: "dump-hook" | "criu-hook"): Promise<string> {
    if (binary.command.length === 1) return binary.command[0];
    return await writeScript(`${this.directory}/${command}`, [...binary.command, command]);
  }

  #start(command: string, args: readonly string[], env: Record<string, string>): Child {
    const all = ["--images-dir", this.directory, "--log-file", `${command}.log`, "-v4", ...args];
    return this.#sandbox.start(this.#criu, [command, ...all], { env });
  }

  async #run(command: string, args: readonly string[], env: Record<string, string> = {}): Promise<void> {
    const log = `${command}.log`;
    const child = this.#start(command, args, env);
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
