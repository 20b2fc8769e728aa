/**
 * Where a scenario happens: an NFS server, a mount of it, a process that uses it, and how that process is dumped and restored.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { MountCreateParams, WireMountStatus } from "../../../control/wire.ts";
import type { ReplaceParams } from "../../../control/wire_replace.ts";
import { run } from "../../e2e/support/child.ts";
import { Images } from "../../e2e/support/criu.ts";
import { mountsBelow, until } from "../../e2e/support/proc.ts";
import { type MountNames, references } from "../../e2e/support/references.ts";
import { Sandbox } from "../../e2e/support/sandbox.ts";
import { type Binary, Spfs } from "../../e2e/support/spfs.ts";
import { Guest } from "./leftovers.ts";
import { type ExportOptions, NfsServer } from "./nfs_server.ts";

/** The product as it is in the guest. */
export const binary: Binary = { name: "compiled", command: ["/spfs/spfs"] };

/** The path of a program of a `victims/` folder; all that tests name are compiled by the host. */
export function victim(name: string): string {
  return `/spfs/victims/${name}`;
}

/** What is special about a scene. */
export interface SceneOptions extends ExportOptions {
  /** The options with which the file system is mounted, "vers=4.2,hard" by default. */
  readonly mount?: string;
  /** Whether the server can be reached only from a network namespace, in which everything happens then; no by default. */
  readonly inside?: boolean;
}

/** A stand-in and its daemon. */
export interface StandIn {
  /** The daemon. */
  readonly spfs: Spfs;
  /** The mount that the stand-in is. */
  readonly stub: MountNames;
}

/** A scene. */
export class Scene implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly server: NfsServer;
  /** Where the file system is mounted. */
  readonly mountpoint: string;
  /** The options of the mount. */
  readonly options: string;
  /** The network namespace from which alone the server can be reached, as a path; undefined when it is this one. */
  readonly network: string | undefined;
  readonly #daemons: Spfs[] = [];

  private constructor(sandbox: Sandbox, server: NfsServer, options: string, network?: string) {
    this.sandbox = sandbox;
    this.network = network;
    this.server = server;
    this.options = options;
    this.mountpoint = sandbox.directory("mnt");
  }

  /** Starts the server; nothing is mounted yet. */
  static async make({ mount = "vers=4.2,hard", inside = false, ...options }: SceneOptions): Promise<Scene> {
    const sandbox = new Sandbox("spfs-vm-");
    if (!inside) return new Scene(sandbox, await NfsServer.start(options), mount);
    const { pid } = sandbox.start("unshare", ["--net", "sleep", "infinity"]);
    const network = (of: number | "self") => Deno.readLinkSync(`/proc/${of}/ns/net`);
    await until("the network namespace", () => network(pid) !== network("self"));
    sandbox.enter = ["nsenter", "--target", String(pid), "--net"];
    return new Scene(sandbox, await NfsServer.start({ near: pid, ...options }), mount, `/proc/${pid}/ns/net`);
  }

  /** Mounts the file system. */
  async mount(): Promise<void> {
    const command = ["mount", "-t", "nfs", "-o", this.options, this.server.source, this.mountpoint];
    const [program, ...args] = [...this.sandbox.enter, ...command];
    await run(program!, args);
  }

  /** Takes it away. */
  async unmount(): Promise<void> {
    await run("umount", [this.mountpoint]);
  }

  /** Dumps a process, which ends by that, and takes the file system away. */
  async dump(pid: number, options: readonly string[] = []): Promise<Images> {
    const images = await Images.dump(this.sandbox, pid, options);
    await this.unmount();
    return images;
  }

  /** Makes a stand-in from images, with an order to replace it once its processes are restored. */
  async standIn(
    images: Images,
    order: Partial<ReplaceParams> = {},
    create: Partial<MountCreateParams> = {},
  ): Promise<StandIn> {
    const spfs = await Spfs.start(this.sandbox, binary);
    this.#daemons.push(spfs);
    const { mountId, device } = await spfs.call("mount.create", {
      id: "net",
      mountpoint: this.mountpoint,
      images: { directory: images.directory },
      ...create,
    });
    await spfs.call("mount.replace", {
      mount: "net",
      source: this.server.source,
      type: "nfs",
      options: `${this.options},retry=0`,
      swap: "require",
      swapDeadlineMs: 60_000, // emulated tasks take their time to stop
      hold: true,
      retry: { initialMs: 200, maxMs: 1000 },
      ...order,
    });
    return { spfs, stub: { id: Number(mountId), device } };
  }

  /** Waits for the end of a replacement that moves this process, and for spfs's own. Nothing of spfs is left then. */
  async replaced({ spfs, stub }: StandIn, pid: number, limitMs = 60_000): Promise<void> {
    const { swap } = await spfs.event("replace.done", ({ ok }) => ok, limitMs);
    assertEquals(swap?.processes.map((process) => process.pid), [pid]);
    assertEquals(swap?.left, []);
    assertEquals(references(pid, stub), [], "it refers to the stand-in");
    spfs.closeInput();
    const { code, stderr } = await spfs.ended();
    assertEquals(code, 0, stderr);
    assertEquals(mountsBelow(this.mountpoint).map(({ fstype }) => fstype), [this.fstype]);
  }

  /**
   * Waits until a replacement has failed, and returns what status says of the mount. Only after the restore: what was attempted before
   * CRIU let the process go begins again then.
   */
  async failed({ spfs }: StandIn): Promise<WireMountStatus> {
    return await until("the replacement's failure", async () => {
      const { mounts: [status] } = await spfs.call("status", { mount: "net" });
      return status?.replace?.state === "failed" && status;
    }, 30_000);
  }

  /** What its daemons have told last, a line each, for people. */
  told(): string[] {
    return this.#daemons.flatMap(({ events }) => events.slice(-10).map((event) => JSON.stringify(event)));
  }

  /** What mountinfo calls the file system's type. */
  get fstype(): string {
    return this.options.includes("vers=3") ? "nfs" : "nfs4";
  }

  /** Ends all of it, and fails if something of it cannot be ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** Declares a scenario. One that leaves something behind fails: a process, above all one that no signal ends, or a file system. */
export function scenario(
  promise: string,
  options: SceneOptions,
  test: (scene: Scene) => Promise<void>,
): void {
  Deno.test(promise, async () => {
    const guest = new Guest();
    const scene = await Scene.make(options);
    try {
      await test(scene);
      scene.sandbox.checkNoStubMounts();
    } catch (error) {
      const told = scene.told();
      // What failed the test counts, and what it left behind is only told.
      await scene[Symbol.asyncDispose]().catch((leak) => console.error(leak.message));
      throw new Error([(error as Error).message, "what the daemons have told last:", ...told].join("\n"), {
        cause: error,
      });
    }
    await scene[Symbol.asyncDispose]();
    await until("the end of all that the scenario made", () => guest.more().length === 0).catch((error) => {
      throw new Error(`${error.message}; there is still: ${guest.more().join(", ")}`);
    });
  });
}
