/**
 * A container of runc.
 *
 * @module
 */

import { basename } from "@std/path";
import { criuPath } from "../../../tools/criu.ts";
import { run } from "./child.ts";
import { type Engine, refuseCgroups, type Volume, withCriuLog } from "./engine.ts";
import type { Sandbox } from "./sandbox.ts";

/** What of config.json is changed here. */
interface Spec {
  process: { terminal: boolean; args: string[] };
  root: { path: string; readonly: boolean };
  mounts: { destination: string; type: string; source: string; options: string[] }[];
  annotations?: Record<string, string>;
}

/** A container, which is gone with its sandbox at the latest. */
export class Runc implements Engine {
  readonly #sandbox: Sandbox;
  readonly #criu: string;
  /** Its name, which its cgroups have, too. */
  readonly id: string;

  private constructor(sandbox: Sandbox, criu: string) {
    this.#sandbox = sandbox;
    this.#criu = criu;
    this.id = basename(sandbox.path);
  }

  /**
   * Makes its bundle: what `runc spec` proposes, with a program and a volume.
   *
   * @param volume what is mounted in it, and where
   */
  static async make(
    sandbox: Sandbox,
    rootfs: string,
    program: readonly string[],
    volume: Volume,
  ): Promise<Runc> {
    const runc = new Runc(sandbox, await criuPath());
    for (const name of ["bundle", "state", "work"]) sandbox.directory(name);
    await run("runc", ["spec", "--bundle", sandbox.at("bundle")]);
    const path = sandbox.at("bundle/config.json");
    const spec: Spec = JSON.parse(Deno.readTextFileSync(path));
    spec.process = { ...spec.process, terminal: false, args: [...program] };
    spec.root = { path: rootfs, readonly: false };
    spec.mounts.push({ ...volume, type: "bind", options: ["rbind", "rw"] });
    spec.annotations = { "org.criu.config": runc.criuOptions };
    Deno.writeTextFileSync(path, JSON.stringify(spec));
    Deno.writeTextFileSync(runc.criuOptions, "");
    sandbox.defer(() => runc.#runc("delete", "--force", runc.id));
    return runc;
  }

  get images(): string {
    return this.#sandbox.at("images");
  }

  /** A file with more options for CRIU. */
  get criuOptions(): string {
    return this.#sandbox.at("criu.conf");
  }

  /** How runc is run: with a directory of its own for what it knows of its containers, and a CRIU that works here. */
  get command(): [string, ...string[]] {
    return [
      "runc",
      "--root",
      this.#sandbox.at("state"),
      "--log",
      this.#sandbox.at("runc.log"),
      "--criu",
      this.#criu,
    ];
  }

  async start(): Promise<number> {
    await this.#runc("run", "--detach", "--bundle", this.#sandbox.at("bundle"), this.id);
    Deno.mkdirSync(this.images);
    return await this.pid();
  }

  async checkpoint(): Promise<void> {
    await this.#criuLog("dump", "checkpoint", "--image-path", this.images, this.id);
  }

  async restoreStopped(): Promise<number> {
    Deno.writeTextFileSync(this.criuOptions, "leave-stopped\n");
    const bundle = this.#sandbox.at("bundle");
    await this.#criuLog(
      "restore",
      "restore",
      "--detach",
      "--bundle",
      bundle,
      "--image-path",
      this.images,
      this.id,
    );
    return await this.pid();
  }

  async kill(signal: string): Promise<void> {
    await this.#runc("kill", "--all", this.id, signal);
  }

  async delete(): Promise<void> {
    await this.#runc("delete", this.id);
    await refuseCgroups(this.id);
  }

  /** The process id of its first process. */
  async pid(): Promise<number> {
    return JSON.parse(await this.#runc("state", this.id)).pid;
  }

  async #criuLog(log: "dump" | "restore", ...args: string[]): Promise<void> {
    const [command, ...rest] = args as [string, ...string[]];
    const work = this.#sandbox.at("work");
    await withCriuLog(`${work}/${log}.log`, () => this.#runc(command, "--work-path", work, ...rest));
  }

  /** What is detached keeps the files that runc was given, and CRIU cannot take along files from outside: so it gets none. */
  async #runc(...args: string[]): Promise<string> {
    const without = args.includes("--detach") ? "</dev/null >/dev/null 2>&1" : "";
    try {
      return await run("sh", ["-c", `exec "$@" ${without}`, "sh", ...this.command, ...args]);
    } catch (error) {
      const log = await Deno.readTextFile(this.#sandbox.at("runc.log")).catch(() => "");
      throw new Error(`${(error as Error).message}\n${log}`);
    }
  }
}
