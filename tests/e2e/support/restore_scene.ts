/**
 * A process that was dumped with what it has on a file system, to be restored while that is away.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { connect } from "../../../control/client.ts";
import { Images } from "./criu.ts";
import { patternBytes } from "./pattern.ts";
import { isAlive, mountsBelow, until } from "./proc.ts";
import { Remote } from "./remote.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Binary } from "./spfs.ts";
import { victim } from "./victims.ts";
import type { Way, WayOptions } from "./ways.ts";

/** A process with all that CRIU makes anew, dumped while its file system was there. */
export class RestoreScene {
  /** Where the file system is mounted, or its stand-in. */
  readonly mountpoint: string;
  /** What the process reports to. */
  readonly result: string;
  /** The daemon's runtime directory: empty while there is no daemon. */
  readonly runtime: string;
  /** The file system; attached, and mounted nowhere. */
  remote!: Remote;
  /** Of the process. */
  images!: Images;

  private constructor(readonly sandbox: Sandbox, readonly binary: Binary, readonly way: Way) {
    this.mountpoint = sandbox.directory("mnt");
    this.runtime = sandbox.directory("run", 0o700);
    this.result = sandbox.at("result");
  }

  /** Makes one. */
  static async make(sandbox: Sandbox, binary: Binary, way: Way): Promise<RestoreScene> {
    const scene = new RestoreScene(sandbox, binary, way);
    const { mountpoint, result } = scene;
    Deno.writeFileSync(result, new Uint8Array());
    scene.remote = await Remote.make(sandbox);
    await scene.remote.attach();
    await scene.remote.mount(mountpoint);
    Deno.writeFileSync(`${mountpoint}/plain`, patternBytes(4, 8192));
    const keeper = sandbox.start(victim("keeper"), [mountpoint, result]);
    await until("the victim's set-up", () => scene.lines.length > 1);
    assertEquals(scene.lines, ["set-up ok", ""]);
    scene.images = await Images.dump(sandbox, keeper.pid, ["--file-locks", "--link-remap"], binary);
    await scene.remote.unmount(mountpoint);
    return scene;
  }

  /** What the process has reported. */
  get lines(): string[] {
    return Deno.readTextFileSync(this.result).split("\n");
  }

  /** Says what is to be delayed, in a file beside the images. */
  configure(replace: Record<string, unknown>): void {
    const config = { mounts: [{ id: "net", mountpoint: this.mountpoint, replace }] };
    Deno.writeTextFileSync(`${this.images.directory}/spfs-restore.json`, JSON.stringify(config));
  }

  /** How the restore is run. */
  run(options: readonly string[] = [], env: Record<string, string> = {}): WayOptions {
    return { binary: this.binary, runtime: this.runtime, options: ["--file-locks", ...options], env };
  }

  /** Restores; without a daemon of anybody's. */
  restore(options: readonly string[] = [], env: Record<string, string> = {}): Promise<number> {
    return this.way.restore(this.images, this.run(options, env));
  }

  /** The socket of the daemon that was started for the restore. */
  get socket(): string {
    const names = [...Deno.readDirSync(this.runtime)].map(({ name }) => name).filter((name) =>
      name.endsWith(".sock")
    );
    assertEquals(names.length, 1, names.join());
    return `${this.runtime}/${names[0]}`;
  }

  /** Waits until somebody waits for the file system, and nobody has answered. */
  async parked(): Promise<void> {
    using client = await connect(this.socket, { name: "e2e" });
    await until("a parked request", async () => {
      const { mounts: [mount] } = await client.call("status", { mount: "net" });
      return mount!.parked.count === 1 && mount!.replace?.state === "waiting";
    });
    assertEquals(this.lines.filter((line) => line !== ""), ["set-up ok"]);
  }

  /** The types of what is mounted. */
  get mounted(): string[] {
    return mountsBelow(this.mountpoint).map(({ fstype }) => fstype);
  }

  /** Waits for the victim's report, and for the daemon to be gone with all that it made. */
  async ends(pid: number): Promise<void> {
    await until("the end of the victim's report", () => this.lines.includes("end ok") || !isAlive(pid));
    assertEquals(this.lines.filter((line) => !line.endsWith(" ok")), [""], this.lines.join("\n"));
    await until("the victim's end", () => !isAlive(pid));
    await this.gone();
    assertEquals(this.mounted, ["ext4"]);
    assertEquals([...Deno.readDirSync(this.mountpoint)].map(({ name }) => name).sort(), [
      "fifo",
      "locked",
      "lost+found",
      "other-name",
      "plain",
      "socket",
    ]);
    await this.remote.unmount(this.mountpoint);
    await this.remote.detach();
  }

  /** Waits for the daemon to be gone. */
  async gone(): Promise<void> {
    await until("the end of the daemon", () => [...Deno.readDirSync(this.runtime)].length === 0);
  }
}
