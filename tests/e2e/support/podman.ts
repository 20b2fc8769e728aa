/**
 * A container of podman, which runs it by runc.
 *
 * @module
 */

import { basename, dirname } from "@std/path";
import { criuPath } from "../../../tools/criu.ts";
import { run } from "./child.ts";
import { type Engine, refuseCgroups, type Volume, withCriuLog } from "./engine.ts";
import type { Sandbox } from "./sandbox.ts";

/** A container, which is gone with its sandbox at the latest. What podman keeps is in the sandbox, but for `runroot`. */
export class Podman implements Engine {
  readonly #sandbox: Sandbox;
  readonly #path: string;
  readonly #id: string;
  /** Which may have 50 characters at most. */
  readonly #runroot: string;

  private constructor(sandbox: Sandbox, path: string, id: string, runroot: string) {
    this.#sandbox = sandbox;
    this.#path = path;
    this.#id = id;
    this.#runroot = runroot;
  }

  /**
   * Makes it.
   *
   * @param volume what is mounted in it, and where
   */
  static async make(
    sandbox: Sandbox,
    rootfs: string,
    program: readonly string[],
    volume: Volume,
  ): Promise<Podman> {
    // A CRIU that works here is the first that it finds.
    const path = `${dirname(await criuPath())}:${Deno.env.get("PATH")}`;
    for (const name of ["root", "tmp"]) sandbox.directory(name);
    const maker = new Podman(sandbox, path, "", Deno.makeTempDirSync({ dir: "/tmp", prefix: "podman-" }));
    sandbox.defer(async () => {
      await maker.#podman("rm", "--all", "--force", "--time", "0");
      await run("umount", [sandbox.at("root/overlay")]).catch(() => {}); // which it leaves mounted on itself
      await Deno.remove(maker.#runroot, { recursive: true });
    });
    Deno.writeTextFileSync(maker.#criuOptions, "");
    const id = await maker.#podman(
      "create",
      "--name",
      basename(sandbox.path),
      "--network=none",
      "--log-driver=none",
      ...["nofile", "nproc"].map((limit) => `--ulimit=${limit}=1024:4096`), // it would ask for more than there may be here
      `--annotation=org.criu.config=${maker.#criuOptions}`,
      `--volume=${volume.source}:${volume.destination}`,
      "--rootfs",
      rootfs,
      ...program,
    );
    return new Podman(sandbox, path, id.trim(), maker.#runroot);
  }

  get #criuOptions(): string {
    return this.#sandbox.at("criu.conf");
  }

  get #userdata(): string {
    return this.#sandbox.at(`root/overlay-containers/${this.#id}/userdata`);
  }

  get images(): string {
    return `${this.#userdata}/checkpoint`;
  }

  async start(): Promise<number> {
    await this.#podman("start", this.#id);
    Deno.mkdirSync(this.images);
    return await this.#pid();
  }

  async checkpoint(): Promise<void> {
    await this.#criuLog("dump", "checkpoint");
  }

  async restoreStopped(): Promise<number> {
    Deno.writeTextFileSync(this.#criuOptions, "leave-stopped\n");
    await this.#criuLog("restore", "restore");
    return await this.#pid();
  }

  async kill(signal: string): Promise<void> {
    await this.#podman("kill", "--signal", signal, this.#id);
  }

  async delete(): Promise<void> {
    await this.#podman("wait", this.#id);
    await this.#podman("rm", this.#id);
    await refuseCgroups(`*${this.#id}*`);
  }

  async #pid(): Promise<number> {
    return Number(await this.#podman("inspect", "--format", "{{.State.Pid}}", this.#id));
  }

  async #criuLog(log: "dump" | "restore", command: string): Promise<void> {
    const act = () => this.#podman("container", command, "--keep", this.#id);
    await withCriuLog(`${this.#userdata}/${log}.log`, act);
  }

  async #podman(...args: string[]): Promise<string> {
    const directories = ["--root", this.#sandbox.at("root"), "--runroot", this.#runroot];
    const options = [
      "--tmpdir",
      this.#sandbox.at("tmp"),
      "--cgroup-manager=cgroupfs",
      "--events-backend=none",
    ];
    return await run("podman", ["--runtime=runc", ...directories, ...options, ...args], {
      env: { PATH: this.#path },
    });
  }
}
