import { assertEquals, assertMatch } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { HostMethods } from "../../control/handler.ts";
import { Daemon, run } from "./support/cli.ts";

const stage = (name: string) => ({ env: { CRTOOLS_SCRIPT_ACTION: name } });

Deno.test("criu-hook: stages it has nothing to do at succeed at once, daemon or none", async () => {
  for (const name of ["setup-namespaces", "network-lock", "post-setup-namespaces", ""]) {
    const outcome = await run(["criu-hook", "--socket", "/nonexistent/s"], stage(name));
    assertEquals(outcome, { code: 0, out: "", err: "" });
  }
  assertEquals((await run(["criu-hook"])).code, 0);
});

Deno.test("criu-hook: a restore that spfs has no part in goes on: no daemon is named, none listens, nothing is to be delayed", async () => {
  const directory = await Deno.makeTempDir();
  await using images = await Images.make();
  try {
    for (const name of ["pre-restore", "post-restore", "pre-resume", "post-resume"]) {
      const env = { CRTOOLS_SCRIPT_ACTION: name, SPFS_RUNTIME_DIR: directory, ...images.env };
      assertEquals(await run(["criu-hook"], { env }), { code: 0, out: "", err: "" }, name);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("criu-hook: each stage orders its part of the daemon, and tells it in a line", async () => {
  const given: unknown[] = [];
  const answer = (mode: "restore" | "proxy") => (params: unknown) => {
    given.push(params);
    return Promise.resolve({ mounts: [{ id: "a", mode }, { id: "b", mode: "stub" as const }] });
  };
  await using daemon = await Daemon.start({
    "restore.check": answer("restore"),
    "restore.block": answer("proxy"),
    "restore.release": answer("proxy"),
  });
  const init = { env: { CRTOOLS_SCRIPT_ACTION: "post-restore", CRTOOLS_INIT_PID: "77" } };
  const told = [
    (await daemon.run(["criu-hook"], init)).out,
    (await daemon.run(["criu-hook"], stage("pre-resume"))).out,
    (await daemon.run(["criu-hook"], stage("post-resume"))).out,
  ];
  assertEquals(told, [
    "spfs criu-hook: post-restore: 2 mounts in restore mode\n",
    "spfs criu-hook: pre-resume: 2 mounts in place, 1 of them served from the real file system already\n",
    "spfs criu-hook: post-resume: 2 mounts released\n",
  ]);
  assertEquals(given, [{ init: 77 }, { serveWithinMs: 1000 }, { resume: false }]);
  const stopped = { env: { CRTOOLS_SCRIPT_ACTION: "post-resume", SPFS_STOPPED: "1" } };
  assertMatch((await daemon.run(["criu-hook"], stopped)).out, /: 2 mounts released; the tree goes on when /);
  assertEquals(given[3], { resume: true });
});

Deno.test("criu-hook: what the daemon refuses, and a daemon that is not there, fail by one line", async () => {
  const refuse = () => Promise.reject(new ControlError("wrong_mode", "mount b is in stub mode"));
  await using daemon = await Daemon.start({ "restore.check": refuse });
  assertEquals(await daemon.run(["criu-hook"], stage("post-restore")), {
    code: 1,
    out: "",
    err: "spfs criu-hook: post-restore: failed: mount b is in stub mode\n",
  });
  const { code, err } = await run(["criu-hook", "--socket", "/nonexistent/s"], stage("post-restore"));
  assertEquals([code, err.split("\n").length], [1, 2]);
});

Deno.test("criu-hook: a daemon that hangs does not hang the restore", async () => {
  await using daemon = await Daemon.start({ "restore.check": () => new Promise(() => {}) });
  assertEquals(await daemon.run(["criu-hook", "--timeout", "20"], stage("post-restore")), {
    code: 1,
    out: "",
    err: "spfs criu-hook: post-restore: failed: the daemon did not answer within 20 ms\n",
  });
});

Deno.test("criu-hook: spfs itself is an action script: CRIU gives it a stage and no arguments", async () => {
  await using daemon = await Daemon.start({
    "restore.check": () => Promise.resolve({ mounts: [{ id: "a", mode: "restore" }] }),
  });
  assertEquals(await run([], stage("setup-namespaces")), { code: 0, out: "", err: "" });
  const env = { CRTOOLS_SCRIPT_ACTION: "post-restore", SPFS_SOCKET: daemon.socket };
  assertEquals((await run([], { env })).out, "spfs criu-hook: post-restore: 1 mount in restore mode\n");
});

/** A directory of images, as the environment of an action script tells of it. */
class Images implements AsyncDisposable {
  private constructor(readonly path: string, readonly file: Deno.FsFile) {}

  static async make(config?: string): Promise<Images> {
    const path = await Deno.makeTempDir({ prefix: "spfs-images-" });
    if (config !== undefined) await Deno.writeTextFile(`${path}/spfs-restore.json`, config);
    return new Images(path, await Deno.open(path));
  }

  get env(): Record<string, string> {
    for (const { name } of Deno.readDirSync("/proc/self/fd")) {
      const link = `/proc/${Deno.pid}/fd/${name}`;
      try {
        if (Deno.readLinkSync(link) === this.path) return { CRTOOLS_IMAGE_DIR: link };
      } catch {
        // Closed meanwhile.
      }
    }
    throw new Error(`${this.path} is not open`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.file.close();
    await Deno.remove(this.path, { recursive: true });
  }
}

const prepared: Partial<HostMethods> = {
  "restore.prepare": ({ images, config }) =>
    Promise.resolve({
      mounts: config.mounts.map(({ mountpoint }) => ({
        id: "a",
        mountpoint,
        source: images,
        type: "nfs4",
        nodes: 1,
        noted: false,
      })),
    }),
};

Deno.test("criu-hook: at pre-restore the daemon gets the images, CRIU's pid and what is to be delayed: a file beside them, one that is named, a list", async () => {
  const given: unknown[] = [];
  await using daemon = await Daemon.start({
    "restore.prepare": (params, context) => {
      given.push([
        new TextDecoder().decode(params.images),
        params.process,
        params.config.mounts.length,
        params.config.types,
      ]);
      return prepared["restore.prepare"]!(params, context);
    },
  });
  await using images = await Images.make('{ "mounts": [{ "mountpoint": "/mnt/net" }] }');
  const hook = (env: Record<string, string> = {}) =>
    daemon.run(["criu-hook"], { env: { CRTOOLS_SCRIPT_ACTION: "pre-restore", ...images.env, ...env } });
  assertEquals(await hook(), {
    code: 0,
    out: "spfs criu-hook: pre-restore: /mnt/net with 1 node\n",
    err: "",
  });
  const named = `${images.path}/other.json`;
  await Deno.writeTextFile(named, '{ "types": ["nfs4"] }');
  assertEquals((await hook({ SPFS_CONFIG: named })).code, 0);
  assertEquals(
    (await hook({ SPFS_DELAY: "/a, nfs,/b" })).out,
    "spfs criu-hook: pre-restore: /a with 1 node, /b with 1 node\n",
  );
  assertEquals(given, [
    [images.path, Deno.pid, 1, []],
    [images.path, Deno.pid, 0, ["nfs4"]],
    [images.path, Deno.pid, 2, ["nfs"]],
  ]);
});

Deno.test("criu-hook: a configuration that cannot be understood fails the restore, and names the file or the key", async () => {
  await using daemon = await Daemon.start(prepared);
  await using images = await Images.make('{ "mounts": [');
  const hook = (env: Record<string, string> = {}) =>
    daemon.run(["criu-hook"], { env: { CRTOOLS_SCRIPT_ACTION: "pre-restore", ...images.env, ...env } });
  const broken = await hook();
  assertEquals(broken.code, 1);
  assertMatch(broken.err, /^spfs criu-hook: pre-restore: failed: .*spfs-restore\.json: .*\n$/);
  assertMatch((await hook({ SPFS_DELAY: "nfs 4" })).err, /nfs 4 is neither a mountpoint nor a type/);
  assertMatch((await hook({ SPFS_DELAY: "/a", SPFS_CONFIG: "/b" })).err, /do not go together/);
  await Deno.writeTextFile(`${images.path}/spfs-restore.json`, '{ "mounts": [{ "mountpoint": "mnt" }] }');
  assertMatch((await hook()).err, /config\.mounts\[0\]\.mountpoint/);
  assertMatch((await hook({ SPFS_CONFIG: "/nonexistent.json" })).err, /nonexistent\.json/);
});

Deno.test("criu-hook: a daemon that spfs has started is told before the tasks run to see by itself when they do, and nothing after that", async () => {
  const given: unknown[] = [];
  const answer = (params: unknown) => {
    given.push(params);
    return Promise.resolve({ mounts: [{ id: "a", mode: "stub" as const }] });
  };
  await using daemon = await Daemon.start({ "restore.block": answer, "restore.release": answer });
  await using images = await Images.make();
  const hook = (name: string, more: Record<string, string> = {}) => {
    const stage = { CRTOOLS_SCRIPT_ACTION: name, CRTOOLS_INIT_PID: "77", SPFS_OWN_SOCKET: daemon.socket };
    return run([], { env: { ...stage, ...images.env, ...more } });
  };
  assertEquals((await hook("pre-resume")).out, "spfs criu-hook: pre-resume: 1 mount in place\n");
  assertEquals(await hook("post-resume"), { code: 0, out: "", err: "" });
  assertEquals(given, [{ serveWithinMs: 1000 }, { init: 77, resume: false }]);
  await hook("pre-resume", { SPFS_STOPPED: "1" });
  assertEquals(given[3], { init: 77, resume: true });
});

Deno.test("criu-hook: a daemon that spfs restore has started gets its orders at pre-restore", async () => {
  await using daemon = await Daemon.start(prepared);
  await using images = await Images.make('{ "mounts": [{ "mountpoint": "/mnt/net" }] }');
  const own = { SPFS_OWN_SOCKET: daemon.socket, SPFS_OWN_DAEMON: String(Deno.pid) };
  const env = { CRTOOLS_SCRIPT_ACTION: "pre-restore", ...own, ...images.env };
  assertEquals((await run([], { env })).out, "spfs criu-hook: pre-restore: /mnt/net with 1 node\n");
});
