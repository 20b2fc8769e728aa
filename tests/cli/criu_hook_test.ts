import { assertEquals } from "@std/assert";
import type { HostMethods } from "../../control/handler.ts";
import type { MountMode, MountStatus } from "../../control/protocol.ts";
import { Daemon, run } from "./support/cli.ts";

const stage = (name: string) => ({ env: { CRTOOLS_SCRIPT_ACTION: name } });

function mount(id: string, mode: MountMode): MountStatus {
  return {
    id,
    mountpoint: new Uint8Array([0x2f]),
    mode,
    device: "0:1",
    since: 0,
    parked: { count: 0, oldestMs: 0, byOp: {} },
    nodes: 1,
    handles: 0,
    served: { count: 0 },
  };
}

function statusOf(mounts: MountStatus[]): Partial<HostMethods> {
  return {
    status: () =>
      Promise.resolve({
        program: { name: "spfs", version: "0" },
        pid: 1,
        uptimeMs: 1,
        memory: { rssBytes: 1 },
        mounts,
      }),
  };
}

Deno.test("criu-hook: stages it has nothing to do at succeed at once, daemon or none", async () => {
  for (const name of ["pre-dump", "post-dump", "pre-restore", "setup-namespaces", "network-lock", ""]) {
    const outcome = await run(["criu-hook", "--socket", "/nonexistent/s"], stage(name));
    assertEquals(outcome, { code: 0, out: "", err: "" });
  }
  assertEquals((await run(["criu-hook"])).code, 0);
});

Deno.test("criu-hook: post-restore passes when every mount is in restore mode", async () => {
  await using daemon = await Daemon.start(statusOf([mount("a", "restore"), mount("b", "restore")]));
  assertEquals(await daemon.run(["criu-hook"], stage("post-restore")), {
    code: 0,
    out: "spfs criu-hook: post-restore: 2 mounts in restore mode\n",
    err: "",
  });
});

Deno.test("criu-hook: post-restore fails on a mount that parks, on no mounts, and without a daemon", async () => {
  await using parking = await Daemon.start(statusOf([mount("a", "restore"), mount("b", "stub")]));
  assertEquals(await parking.run(["criu-hook"], stage("post-restore")), {
    code: 1,
    out: "",
    err: "spfs criu-hook: post-restore: failed: mount b is in stub mode, not in restore mode\n",
  });
  await using empty = await Daemon.start(statusOf([]));
  assertEquals((await empty.run(["criu-hook"], stage("post-restore"))).code, 1);
  const { code, err } = await run(["criu-hook", "--socket", "/nonexistent/s"], stage("post-restore"));
  assertEquals([code, err.split("\n").length], [1, 2]);
});

Deno.test("criu-hook: pre-resume puts every mount into stub mode, post-resume releases every replacement", async () => {
  const given: unknown[] = [];
  await using daemon = await Daemon.start({
    "mount.setMode": (params) => {
      given.push(params);
      return Promise.resolve({ mounts: [{ id: "a", mode: "stub", previous: "restore", waited: 0 }] });
    },
    "mount.release": (params) => {
      given.push(params);
      return Promise.resolve({ mounts: [{ id: "a", state: "mounting", attempts: 0 }] });
    },
  });
  assertEquals(
    (await daemon.run(["criu-hook"], stage("pre-resume"))).out,
    "spfs criu-hook: pre-resume: 1 mount in stub mode\n",
  );
  assertEquals(
    (await daemon.run(["criu-hook"], stage("post-resume"))).out,
    "spfs criu-hook: post-resume: 1 mount released\n",
  );
  assertEquals(given, [{ mount: "all", mode: "stub" }, { mount: "all", wait: false }]);
});

Deno.test("criu-hook: a daemon that hangs does not hang the restore", async () => {
  await using daemon = await Daemon.start({ status: () => new Promise(() => {}) });
  assertEquals(await daemon.run(["criu-hook", "--timeout", "20"], stage("post-restore")), {
    code: 1,
    out: "",
    err: "spfs criu-hook: post-restore: failed: the daemon did not answer within 20 ms\n",
  });
});

Deno.test("criu-hook: spfs itself is an action script: CRIU gives it a stage and no arguments", async () => {
  await using daemon = await Daemon.start(statusOf([mount("a", "restore")]));
  assertEquals(await run([], { env: { CRTOOLS_SCRIPT_ACTION: "pre-dump" } }), { code: 0, out: "", err: "" });
  const env = { CRTOOLS_SCRIPT_ACTION: "post-restore", SPFS_SOCKET: daemon.socket };
  assertEquals((await run([], { env })).out, "spfs criu-hook: post-restore: 1 mount in restore mode\n");
});
