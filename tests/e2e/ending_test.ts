/** However the daemon ends, and whoever hangs up at whatever stage: nobody waits for ever, and no dead mount stays. */
import { assert, assertEquals } from "@std/assert";
import { connect, type ControlClient } from "../../control/client.ts";
import { run } from "./support/child.ts";
import type { Child } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { mountsBelow, until, within } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const count = 5;
const names = Array.from({ length: count }, (_, n) => `f${String(n).padStart(5, "0")}`);

/**
 * Where a mount can be when the end comes. Clients have files open in all of them; in the middle three they wait for what they read.
 * `waiting`: a replacement is repeated because its source is not there; `replaced`: the real file system has taken the stub's place.
 */
const stages = ["restore", "stub", "held", "waiting", "replaced"] as const;
type Stage = typeof stages[number];

/** What the clients of victims/blocked.c say when all are back. */
interface Returned {
  returned: number;
  wrong: number;
  lastNs?: number;
  errors: Record<string, number>;
}

/** A daemon with a mount at some stage, and clients on that. */
class Scene {
  readonly #waiting: boolean;

  private constructor(
    readonly stage: Stage,
    readonly mountpoint: string,
    /** The real file system: a directory. */
    readonly real: string,
    /** Where that is instead at the stage `waiting`. */
    readonly away: string,
    /** The daemon, initialized on stdio, where it tells every event. */
    readonly daemon: Child,
    readonly socket: string,
    /** A client of its socket. */
    readonly control: ControlClient,
    readonly clients: Child,
  ) {
    this.#waiting = isParked(stage);
  }

  static async make(sandbox: Sandbox, binary: Binary, stage: Stage, onEof: string): Promise<Scene> {
    const area = sandbox.directory(stage);
    const mountpoint = sandbox.directory(`${stage}/mnt`);
    const real = `${area}/real`;
    const away = `${area}/away`;
    Deno.mkdirSync(away);
    for (const name of names) Deno.writeTextFileSync(`${away}/${name}`, `${name}\n`);
    if (stage !== "waiting") Deno.renameSync(away, real);

    const { daemon, socket } = start(sandbox, binary, area);
    await initialize(daemon, onEof);
    const control = await connect(socket, { name: "e2e", events: "all" });
    await control.call("mount.create", { id: "net", mountpoint });
    const entries = names.map((path) => ({ path, type: "file" as const, size: "7" }));
    await control.call("file.create", { mount: "net", entries });
    const clients = sandbox.start(victim("blocked"), ["read", String(count), mountpoint]);
    assertEquals(await clients.line(), "ready");
    const scene = new Scene(stage, mountpoint, real, away, daemon, socket, control, clients);
    await scene.#reach();
    return scene;
  }

  async #reach(): Promise<void> {
    const { control, stage } = this;
    if (stage === "restore") return;
    if (stage === "replaced") {
      // The clients' files stay on the stub.
      const order = { mount: "net", source: this.real, type: "bind", swap: "none", wait: true } as const;
      await control.call("mount.replace", order);
      return;
    }
    await control.call("mount.setMode", { mount: "net", mode: "stub" });
    await this.#go();
    await until("the clients' requests", async () => {
      const { mounts: [mount] } = await control.call("status", { mount: "net" });
      return mount?.parked.count === count;
    });
    if (stage === "held") await this.#replace({ hold: true });
    if (stage === "waiting") {
      await this.#replace({ retry: { initialMs: 5, maxMs: 5 } });
      await until("a failed attempt", async () => {
        const { mounts: [mount] } = await control.call("status", { mount: "net" });
        return mount?.replace?.state === "waiting";
      });
    }
  }

  async #replace(more: { hold?: boolean; retry?: { initialMs: number; maxMs: number } }): Promise<void> {
    await this.control.call("mount.replace", { mount: "net", source: this.real, type: "bind", ...more });
  }

  async #go(): Promise<void> {
    assertEquals(await this.clients.ask("go"), "went");
    assertEquals(await this.clients.ask("mark"), "marked");
  }

  /** What the clients got; those that have only opened their files read them now. */
  async outcome(): Promise<Returned> {
    if (!this.#waiting) await this.#go();
    return JSON.parse(await within(`the clients' return, ${this.stage}`, this.clients.line(), 20_000));
  }

  /** The types of what is mounted. */
  get mounted(): string[] {
    return mountsBelow(this.mountpoint).map(({ fstype }) => fstype);
  }

  /** Checks that the daemon ends by itself, cleanly, and leaves nothing but the real file system where that is in place. */
  async endsCleanly(replaced = this.stage === "replaced"): Promise<void> {
    const { code, stderr } = await within(
      `the end of the daemon, ${this.stage}`,
      this.daemon.ended(),
      20_000,
    );
    assertEquals(code, 0, `${this.stage}: ${stderr}`);
    this.control.close();
    assertEquals(this.mounted, replaced ? [rootType()] : [], this.stage);
  }

  /** Checks that every client gets an error: who waits, one of these, who comes when the daemon has ended, what a dead mount gives. */
  async allFail(waited: string[]): Promise<void> {
    if (!this.#waiting) await within(`the end of the daemon, ${this.stage}`, this.daemon.status, 20_000);
    const { returned, errors } = await this.outcome();
    const expected = this.#waiting ? waited : ["ENOTCONN", "ECONNABORTED"];
    assertEquals(returned, 0, this.stage);
    assert(
      Object.keys(errors).every((name) => expected.includes(name)),
      `${this.stage}: ${Object.keys(errors)}`,
    );
  }

  /** Checks that every client got the real bytes. */
  async allServed(): Promise<void> {
    const { returned, wrong, errors } = await this.outcome();
    assertEquals({ returned, wrong, errors }, { returned: count, wrong: 0, errors: {} }, this.stage);
  }

  /** Takes the real file system off. */
  async clear(): Promise<void> {
    await within(`the clients' end, ${this.stage}`, this.clients.ended());
    for (const { mountpoint } of mountsBelow(this.mountpoint)) await run("umount", [mountpoint]);
  }
}

function isParked(stage: Stage): boolean {
  return stage === "stub" || stage === "held" || stage === "waiting";
}

/** The type of the file system that the sandboxes are on. */
function rootType(): string {
  const path = Deno.realPathSync(Deno.makeTempDirSync());
  Deno.removeSync(path);
  const holding = mountsBelow("").filter(({ mountpoint }) =>
    `${path}/`.startsWith(mountpoint.replace(/\/?$/, "/"))
  );
  return holding.toSorted((a, b) => a.mountpoint.length - b.mountpoint.length).at(-1)!.fstype;
}

/** Starts a daemon that listens on a socket in a directory. */
function start(sandbox: Sandbox, binary: Binary, area: string): { daemon: Child; socket: string } {
  const directory = `${area}/run`;
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const socket = `${directory}/control.sock`;
  const [command, ...first] = binary.command;
  const env = { SPFS_RUNTIME_DIR: directory, SPFS_SOCKET: "" };
  return { daemon: sandbox.start(command, [...first, "serve", "--socket", socket], { env }), socket };
}

async function initialize(daemon: Child, onEof: string): Promise<void> {
  const hello = JSON.parse(await within("the hello", daemon.line()));
  assertEquals(hello.method, "hello");
  const params = { client: { name: "e2e" }, protocol: { major: 1 }, onEof, events: "all" };
  const reply = JSON.parse(
    await daemon.ask(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params })),
  );
  assertEquals(reply.error, undefined);
}

/** Declares a test that goes through all stages. */
async function atEachStage(
  promise: string,
  onEof: "linger" | "abort",
  test: (scene: Scene, sandbox: Sandbox, binary: Binary) => Promise<void>,
): Promise<void> {
  await e2e(promise, async (sandbox, binary) => {
    for (const stage of stages) {
      const scene = await Scene.make(sandbox, binary, stage, onEof);
      await test(scene, sandbox, binary);
      await scene.clear();
    }
  });
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  await atEachStage(
    `${signal} answers who waits with EIO and takes the mounts away`,
    "linger",
    async (scene) => {
      scene.daemon.kill(signal);
      await scene.allFail(["EIO"]);
      await scene.endsCleanly();
    },
  );
}

for (const how of ["serve", "check --repair"] as const) {
  await atEachStage(
    `kill -9 frees who waits, and the next spfs ${how} takes the dead mount away`,
    "linger",
    async (scene, sandbox, binary) => {
      scene.daemon.kill("SIGKILL");
      const { stage } = scene;
      await scene.allFail(["ECONNABORTED", "ENOTCONN"]);
      await scene.daemon.ended();
      scene.control.close();
      assertEquals(scene.mounted, stage === "replaced" ? [rootType()] : ["fuse.spfs"], stage);
      if (how === "serve") {
        const { daemon, socket } = start(sandbox, binary, sandbox.at(stage));
        await initialize(daemon, "linger");
        await until(`the dead mount's end, ${stage}`, () => !scene.mounted.includes("fuse.spfs"));
        using control = await connect(socket, { name: "e2e" });
        const { mountpoint } = scene;
        await control.call("mount.create", { id: "again", mountpoint });
        await control.call("quit", { force: true });
        assertEquals((await daemon.ended()).code, 0);
      } else {
        const [command, ...first] = binary.command;
        const env = { SPFS_RUNTIME_DIR: `${sandbox.at(stage)}/run` };
        // Its exit code tells of the machine, too.
        const { stdout, stderr } = await sandbox.start(command, [...first, "check", "--repair", "--json"], {
          env,
        }).ended();
        const { repairs } = JSON.parse(stdout) as {
          repairs: { kind: string; path: string; error?: string }[];
        };
        const mounts = repairs.filter(({ kind, path }) => kind === "mount" && path === scene.mountpoint);
        assertEquals(
          mounts.map(({ error }) => error),
          stage === "replaced" ? [] : [undefined],
          `${stage} ${stdout} ${stderr}`,
        );
      }
      assertEquals(scene.mounted, stage === "replaced" ? [rootType()] : [], stage);
    },
  );
}

await atEachStage(
  "the end of stdin with abort answers who waits and ends the mounts",
  "abort",
  async (scene) => {
    await scene.daemon.closeInput();
    await scene.allFail(["EIO"]);
    await scene.endsCleanly();
  },
);

await atEachStage(
  "the end of stdin with linger carries on with what was ordered",
  "linger",
  async (scene) => {
    await scene.daemon.closeInput();
    await carryOn(scene);
  },
);

/** What a daemon that lost its client on stdio, but not its socket, has to do yet. */
async function carryOn(scene: Scene): Promise<void> {
  const { stage, control } = scene;
  if (stage === "replaced") {
    await scene.allServed();
  } else if (stage === "waiting") {
    Deno.renameSync(scene.away, scene.real);
    await scene.allServed();
  } else {
    const { mounts: [mount] } = await control.call("status", { mount: "net" });
    assertEquals(mount?.parked.count, isParked(stage) ? count : 0, stage);
    await control.call("quit", { force: true });
    await scene.allFail(["EIO"]);
  }
  await scene.endsCleanly(stage === "replaced" || stage === "waiting");
}

await atEachStage(
  "a client that no longer reads stdout is a client that left: abort",
  "abort",
  async (scene) => {
    await scene.daemon.closeOutput();
    // Told as an event, which is what finds out.
    await scene.control.call("mount.create", { id: "other", mountpoint: `${scene.mountpoint}/../run` }).catch(
      () => {},
    );
    await scene.allFail(["EIO"]);
    await scene.endsCleanly();
  },
);

await atEachStage(
  "a client that no longer reads stdout does not keep others from going on",
  "linger",
  async (scene) => {
    await scene.daemon.closeOutput();
    await scene.daemon.closeInput();
    await carryOn(scene);
  },
);

await atEachStage("a client of the socket that leaves takes nothing along", "linger", async (scene) => {
  scene.control.close();
  using control = await connect(scene.socket, { name: "next" });
  const { mounts } = await control.call("status", {});
  assertEquals(mounts.length, 1);
  await control.call("quit", { force: true });
  await scene.allFail(["EIO"]);
  await scene.endsCleanly();
});

await atEachStage(
  "a client of the socket that leaves with abort ends everything",
  "linger",
  async (scene) => {
    const leaving = await connect(scene.socket, { name: "leaving", onEof: "abort" });
    leaving.close();
    await scene.allFail(["EIO"]);
    await scene.endsCleanly();
  },
);

/** What was ordered before the input ended: nothing, a replacement that is held, or one that fails for good. */
const lastOrders = {
  "not ordered": undefined,
  held: { type: "bind", hold: true },
  failing: { type: "nosuchfs" },
};

for (const [state, order] of Object.entries(lastOrders)) {
  await e2e(
    `without a socket the end of stdin ends a stub whose replacement is ${state}`,
    async (sandbox, binary) => {
      const mountpoint = sandbox.directory("mnt");
      const spfs = await Spfs.start(sandbox, binary, { socket: false, onEof: "linger" });
      await spfs.call("mount.create", { id: "net", mountpoint, mode: "stub" });
      const reader = sandbox.start("cat", [`${mountpoint}/data`]);
      await spfs.parked("net", 1);
      if (order !== undefined) {
        // The input ends behind it: when it fails nobody is there to order another.
        void spfs.call("mount.replace", { mount: "net", source: sandbox.path, ...order }).catch(() => {});
      }
      spfs.closeInput();
      const { code, stderr } = await within("the reader's end", reader.ended());
      assertEquals([code, stderr.includes("Input/output error")], [1, true], stderr);
      assertEquals((await spfs.ended()).code, 0);
      assertEquals(mountsBelow(mountpoint), []);
    },
  );
}

const hangUps = ["stdin", "stdout", "both"] as const;

for (const hangUp of hangUps) {
  await e2e(`hanging up ${hangUp} after any line leaves no stub`, async (sandbox, binary) => {
    // Until the daemon has told all that it tells.
    for (let line = 1, last = false; !last; line++) {
      const area = sandbox.directory(`after-${line}`);
      const mountpoint = sandbox.directory(`after-${line}/mnt`);
      const real = sandbox.directory(`after-${line}/real`);
      const { daemon } = start(sandbox, binary, area);
      const requests: [string, unknown][] = [
        ["initialize", { client: { name: "e2e" }, protocol: { major: 1 }, onEof: "abort", events: "all" }],
        ["mount.create", { id: "net", mountpoint }],
        ["file.create", { mount: "net", entries: [{ path: "data", type: "file", size: "7" }] }],
        ["mount.setMode", { mount: "net", mode: "stub" }],
        ["mount.replace", { mount: "net", source: real, type: "bind", wait: true }],
      ];
      for (const [id, [method, params]] of requests.entries()) {
        await daemon.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      }
      // Events of one kind that wait together become one: a run can have fewer lines than the one before.
      for (let read = 0; read < line && !last; read++) {
        const message = JSON.parse(await within(`line ${read + 1}`, daemon.line()));
        assertEquals(message.error, undefined);
        last = message.id === requests.length - 1;
      }
      if (hangUp !== "stdin") await daemon.closeOutput();
      if (hangUp !== "stdout") await daemon.closeInput();
      // Everything may have been told by now: an answer is what finds out that nobody reads it, if it was not found out before.
      else {await daemon.send(JSON.stringify({ jsonrpc: "2.0", id: "last", method: "status", params: {} }))
          .catch(() => {});}
      const { code, stderr } = await within(`the daemon's end after line ${line}`, daemon.ended(), 20_000);
      assertEquals(code, 0, stderr);
      const mounted = mountsBelow(mountpoint);
      assertEquals(mounted.filter(({ fstype }) => fstype === "fuse.spfs"), [], `after line ${line}`);
      for (const { mountpoint } of mounted) await run("umount", [mountpoint]);
    }
  });
}

await e2e(
  "a daemon that is for its client ends with that, although it has a socket, unless there has been a mount",
  async (sandbox, binary) => {
    const args = ["--on-eof", "linger-if-used"];
    const unused = await Spfs.start(sandbox, binary, { args });
    unused.closeInput();
    assertEquals((await within("the end of the one that made nothing", unused.ended(), 20_000)).code, 0);

    const used = await Spfs.start(sandbox, binary, { args });
    const mountpoints = ["a", "b"].map((name) => sandbox.directory(name));
    for (const [id, mountpoint] of mountpoints.entries()) {
      await used.call("mount.create", { id: `m${id}`, mountpoint });
    }
    used.closeInput();
    using other = await connect(used.socket, { name: "e2e" });
    assertEquals((await other.call("status", {})).mounts.length, 2);
    for (const id of ["m0", "m1"]) await other.call("mount.abort", { mount: id });
    assertEquals((await within("the end of the other one", used.ended(), 20_000)).code, 0);
    assertEquals(mountpoints.flatMap((path) => mountsBelow(path)), []);
  },
);
