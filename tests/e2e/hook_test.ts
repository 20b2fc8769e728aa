/** CRIU's action script does everything: no daemon is started, none has to be ended. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "../../control/client.ts";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { isAlive, mountsBelow, until } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import type { Sandbox } from "./support/sandbox.ts";
import type { Binary } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** A process with all that CRIU makes anew, dumped while its file system was there. */
class Scene {
  readonly mountpoint: string;
  readonly result: string;
  readonly runtime: string;
  remote!: Remote;
  images!: Images;

  private constructor(readonly sandbox: Sandbox, readonly binary: Binary) {
    this.mountpoint = sandbox.directory("mnt");
    this.runtime = sandbox.directory("run", 0o700);
    this.result = sandbox.at("result");
  }

  static async make(sandbox: Sandbox, binary: Binary): Promise<Scene> {
    const scene = new Scene(sandbox, binary);
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

  get lines(): string[] {
    return Deno.readTextFileSync(this.result).split("\n");
  }

  /** Says what is to be delayed, in a file beside the images. */
  configure(replace: Record<string, unknown>): void {
    const config = { mounts: [{ id: "net", mountpoint: this.mountpoint, replace }] };
    Deno.writeTextFileSync(`${this.images.directory}/spfs-restore.json`, JSON.stringify(config));
  }

  /** Restores; without a daemon of anybody's. */
  restore(options: readonly string[] = [], env: Record<string, string> = {}): Promise<number> {
    return this.images.restore(this.binary, { SPFS_RUNTIME_DIR: this.runtime, ...env }, [
      "--file-locks",
      ...options,
    ]);
  }

  /** The daemon that CRIU has started. */
  get daemon(): { socket: string; log: string } {
    const names = [...Deno.readDirSync(this.runtime)].map(({ name }) => name).filter((name) =>
      name.endsWith(".sock")
    );
    assertEquals(names.length, 1, names.join());
    return { socket: `${this.runtime}/${names[0]}`, log: `${this.images.directory}/spfs.log` };
  }

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

const needs = { criu: true, loop: true } as const;

await e2e(
  "the action script alone: the file system comes back later, and everything ends by itself",
  async (sandbox, binary) => {
    const scene = await Scene.make(sandbox, binary);
    await scene.remote.detach();
    scene.configure({
      source: scene.remote.source,
      type: "ext4",
      swap: "require",
      retry: { maxMs: 200, errnos: ["ENOENT"] },
    });
    const pid = await scene.restore();
    const { socket } = scene.daemon;
    Deno.kill(pid, "SIGUSR1");
    {
      using client = await connect(socket, { name: "e2e" });
      await until("a parked request", async () => {
        const { mounts: [mount] } = await client.call("status", { mount: "net" });
        return mount!.parked.count === 1 && mount!.replace?.state === "waiting";
      });
    }
    assertEquals(scene.lines.filter((line) => line !== ""), ["set-up ok"]);
    await scene.remote.attach();
    await scene.ends(pid);
    assertMatch(Deno.readTextFileSync(`${scene.images.directory}/spfs.log`), /ends with exit code 0\n$/);
  },
  needs,
);

await e2e(
  "the action script alone: a file system that is there serves before a restored process runs",
  async (sandbox, binary) => {
    const scene = await Scene.make(sandbox, binary);
    scene.configure({ source: scene.remote.source, type: "ext4" });
    const pid = await scene.restore();
    assertMatch(
      scene.images.log("restore"),
      /pre-resume: 1 mount in place, 1 of them served from the real file system/,
    );
    Deno.kill(pid, "SIGUSR1");
    await scene.ends(pid);
  },
  needs,
);

await e2e(
  "a list of mountpoints is enough: what to mount there was noted at the dump",
  async (sandbox, binary) => {
    const scene = await Scene.make(sandbox, binary);
    const pid = await scene.restore([], { SPFS_DELAY: scene.mountpoint });
    assertMatch(scene.images.log("restore"), /pre-resume: 1 mount in place, 1 of them served/);
    Deno.kill(pid, "SIGUSR1");
    await scene.ends(pid);
  },
  needs,
);

await e2e("a restore that fails leaves neither stand-in nor daemon", async (sandbox, binary) => {
  const scene = await Scene.make(sandbox, binary);
  await scene.remote.detach();
  scene.configure({ source: scene.remote.source, type: "ext4" });
  const failing = sandbox.at("failing");
  Deno.writeTextFileSync(failing, '#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" != post-restore ]\n', {
    mode: 0o755,
  });
  const refused = scene.restore(["--action-script", failing]);
  const error = await assertRejects(() => refused, Error, "criu restore ended with");
  assertMatch(error.message + scene.images.log("restore"), /pre-restore: .*with \d+ nodes/);
  await scene.gone();
  assertEquals(scene.mounted, []);
}, needs);

await e2e(
  "what cannot be prepared fails the restore before CRIU makes anything, and CRIU's log names it",
  async (sandbox, binary) => {
    const scene = await Scene.make(sandbox, binary);
    await scene.remote.detach();
    const config = {
      mounts: [{ mountpoint: scene.mountpoint, replace: { source: "/x", type: "ext4" } }, {
        mountpoint: sandbox.at("none"),
        replace: { source: "/x", type: "ext4" },
      }],
    };
    Deno.writeTextFileSync(`${scene.images.directory}/spfs-restore.json`, JSON.stringify(config));
    await assertRejects(() => scene.restore(), Error, "criu restore ended with");
    const said = scene.images.log("restore").split("\n").find((line) =>
      line.includes("spfs criu-hook: pre-restore: failed")
    );
    assert(said?.includes(sandbox.at("none")), said ?? scene.images.log("restore"));
    await scene.gone();
    assertEquals(scene.mounted, []);
  },
  needs,
);
