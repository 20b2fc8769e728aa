import { assert, assertEquals } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { HostMethods } from "../../control/handler.ts";
import type { MethodName, MountStatus } from "../../control/protocol.ts";
import { Daemon } from "./support/cli.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Methods that note what they were given and answer with what is set. */
function noted(results: Partial<Record<MethodName, unknown>>) {
  const given: [string, unknown][] = [];
  const methods: Record<string, (params: unknown) => Promise<unknown>> = {};
  for (const [method, result] of Object.entries(results)) {
    methods[method] = (params) => {
      given.push([method, params]);
      return Promise.resolve(result);
    };
  }
  return { given, methods: methods as Partial<HostMethods> };
}

const status: MountStatus = {
  id: "net1",
  mountpoint: bytes("/mnt/net"),
  mode: "stub",
  device: "0:52",
  since: 1000,
  parked: { count: 3, oldestMs: 2500, byOp: { READ: 2, LOOKUP: 1 } },
  nodes: 12,
  handles: 4,
  served: { count: 99 },
};
const program = {
  program: { name: "spfs", version: "0.1.0" },
  pid: 77,
  uptimeMs: 66_000,
  memory: { rssBytes: 59_400_000 },
};

Deno.test("cli: mount passes every option, and a relative mountpoint is made absolute", async () => {
  const result = {
    id: "a",
    mountpoint: bytes("/m"),
    mode: "stub",
    mountId: 5n,
    device: "0:1",
    createdNow: true,
  };
  const { given, methods } = noted({ "mount.create": result });
  await using daemon = await Daemon.start(methods);
  const options = [
    "--mode",
    "stub",
    "--root-mode",
    "1777",
    "--root-uid",
    "1",
    "--root-gid",
    "2",
    "--size",
    "4096",
  ];
  const { code, out } = await daemon.run(
    [
      "mount",
      "a",
      "m",
      ...options,
      "--attr-timeout",
      "0",
      "--interrupts",
      "fatal",
      "--no-dev",
      "--no-suid",
      "--no-exec",
      "--read-only",
    ],
  );
  assertEquals([code, out], [0, "a: /m in stub mode, device 0:1\n"]);
  assertEquals(given, [["mount.create", {
    id: "a",
    mountpoint: bytes(`${Deno.cwd()}/m`),
    mode: "stub",
    root: { mode: 0o1777, uid: 1, gid: 2 },
    size: 4096n,
    attrTimeoutMs: 0,
    interrupts: "fatal",
    options: { dev: false, suid: false, exec: false, readOnly: true },
  }]]);
  const json = await daemon.run(["mount", "a", "/m", "--json"]);
  assertEquals(JSON.parse(json.out), { ...result, mountpoint: "/m", mountId: "5" });
  assertEquals(given[1], ["mount.create", {
    id: "a",
    mountpoint: bytes("/m"),
    mode: "restore",
    attrTimeoutMs: 1000,
    interrupts: "any",
    options: { dev: true, suid: true, exec: true, readOnly: false },
  }]);
});

Deno.test("cli: mount passes on where images are and which mount of them is meant", async () => {
  const result = {
    id: "a",
    mountpoint: bytes("/m"),
    mode: "restore",
    mountId: 5n,
    device: "0:1",
    createdNow: true,
    images: { nodes: 12, noted: false },
  };
  const { given, methods } = noted({ "mount.create": result });
  await using daemon = await Daemon.start(methods);
  const asked = async (...options: string[]) => {
    const ran = await daemon.run(["mount", "a", "/m", ...options]);
    assertEquals([ran.code, ran.out], [0, "a: /m in restore mode, device 0:1, 12 nodes of the images\n"]);
    return (given.pop()![1] as { images: unknown }).images;
  };
  const directory = bytes("/images");
  assertEquals(await asked("--images", "/images"), { directory });
  assertEquals(await asked("--images", "/images", "--images-key", "net"), { directory, key: "net" });
  assertEquals(await asked("--images", "/images", "--images-mount-id", "7"), { directory, mountId: 7 });
  assertEquals(
    await asked("--images", "/images", "--images-mountpoint", "/data", "--images-namespace", "12"),
    { directory, mountpoint: bytes("/data"), namespace: 12 },
  );
  const { code, err } = await daemon.run(["mount", "a", "/m", "--images-key", "net"]);
  assertEquals([code, given.length], [2, 0]);
  assert(err.includes("without --images"), err);
});

Deno.test("cli: create takes a JSON array or JSON lines, from stdin or a file", async () => {
  const { given, methods } = noted({ "file.create": { created: 2, existing: 0 } });
  await using daemon = await Daemon.start(methods);
  const lines = '{"type":"directory","path":"a"}\n\n{"type":"fifo","path":"a/b"}\n';
  const array = `[${lines.trim().replace("\n\n", ",")}]`;
  const file = `${daemon.directory}/entries`;
  await Deno.writeTextFile(file, array);
  const said = { code: 0, out: "a: 2 created, 0 were there\n", err: "" };
  assertEquals(await daemon.run(["create", "a"], { input: lines }), said);
  assertEquals(await daemon.run(["create", "a", "--file", "-"], { input: array }), said);
  assertEquals(await daemon.run(["create", "a", "--file", file]), said);
  assertEquals(given.length, 3);
  assertEquals(given[0], given[1]);
  assertEquals(given[1], given[2]);
  const json = await daemon.run(["create", "a", "--json", "--no-parents"], { input: lines });
  assertEquals(JSON.parse(json.out), { created: 2, existing: 0 });
  assertEquals((given[3]![1] as { parents: boolean }).parents, false);
  const bad = await daemon.run(["create", "a"], { input: '{"type":"fifo","path":"a"}\n{' });
  assert(bad.code === 2 && bad.err.startsWith("spfs: usage: line 2 of the entries is not JSON"), bad.err);
});

Deno.test("cli: create cuts what is too much for one call, and tells what stays when a later call fails", async () => {
  const sizes: number[] = [];
  await using daemon = await Daemon.start({
    "file.create": ({ entries }) => {
      sizes.push(entries.length);
      return sizes.length < 3
        ? Promise.resolve({ created: entries.length - 1, existing: 1 })
        : Promise.reject(new ControlError("conflict", "differs", { index: 4 }));
    },
  });
  const lines = (count: number) =>
    Array.from({ length: count }, (_, at) => `{"type":"fifo","path":"${at}"}\n`).join("");
  assertEquals(
    (await daemon.run(["create", "a"], { input: lines(70_000) })).out,
    "a: 69998 created, 2 were there\n",
  );
  assertEquals(sizes, [65_536, 4464]);
  sizes.splice(0, 1);
  assertEquals(await daemon.run(["create", "a"], { input: lines(70_000) }), {
    code: 1,
    out: "",
    err: "spfs: conflict: differs\n  the 65536 entries before this call's were created and stay\n",
  });
});

Deno.test("cli: mode, abort, release and retry name one mount or all of them", async () => {
  const { given, methods } = noted({
    "mount.setMode": { mounts: [{ id: "a", mode: "stub", previous: "restore", waited: 2 }] },
    "mount.abort": { mounts: [{ id: "a", answered: 3 }, { id: "b", answered: 0 }] },
    "mount.release": { mounts: [{ id: "a", state: "mounting", attempts: 0 }] },
    "mount.retry": { mounts: [{ id: "a", state: "waiting", attempts: 7 }] },
  });
  await using daemon = await Daemon.start(methods);
  const outs: string[] = [];
  for (
    const line of [
      "mode a stub",
      "mode --all stub",
      "abort a",
      "abort --all --errno ESTALE",
      "release a",
      "release --all --wait",
      "retry a",
      "retry --all --wait",
    ]
  ) {
    const { code, out, err } = await daemon.run(line.split(" "));
    assertEquals([code, err], [0, ""]);
    outs.push(out);
  }
  assertEquals(given, [
    ["mount.setMode", { mount: "a", mode: "stub" }],
    ["mount.setMode", { mount: "all", mode: "stub" }],
    ["mount.abort", { mount: "a", errno: "EIO" }],
    ["mount.abort", { mount: "all", errno: "ESTALE" }],
    ["mount.release", { mount: "a", wait: false }],
    ["mount.release", { mount: "all", wait: true }],
    ["mount.retry", { mount: "a", wait: false }],
    ["mount.retry", { mount: "all", wait: true }],
  ]);
  assertEquals([outs[0], outs[2], outs[4], outs[6]], [
    "a: restore -> stub, 2 waiting requests let go\n",
    "a: 3 requests answered\nb: 0 requests answered\n",
    "a: mounting, attempts: 0\n",
    "a: waiting, attempts: 7\n",
  ]);
});

Deno.test("cli: replace passes every option", async () => {
  const { given, methods } = noted({ "mount.replace": { mount: "a", state: "held", attempts: 0 } });
  await using daemon = await Daemon.start(methods);
  const { code, out } = await daemon.run([
    ...["replace", "a", "--source", "server:/export", "--type", "nfs", "--flags", "ro,noatime"],
    ...[
      "--options",
      "vers=4.2,hard",
      "--hold",
      "--helper",
      "always",
      "--missing",
      "stale",
      "--retry-initial",
      "50",
      "--retry-max",
      "2000",
    ],
    ...[
      "--swap",
      "require",
      "--retry-factor",
      "1.5",
      "--retry-deadline",
      "60000",
      "--retry-errnos",
      "ENETUNREACH,ETIMEDOUT",
    ],
  ]);
  assertEquals([code, out], [0, "a: held, attempts: 0\n"]);
  assertEquals(given, [["mount.replace", {
    mount: "a",
    source: bytes("server:/export"),
    type: "nfs",
    flags: ["ro", "noatime"],
    options: "vers=4.2,hard",
    hold: true,
    wait: false,
    helper: "always",
    missing: "stale",
    swap: "require",
    swapProcesses: { kind: "referring" },
    swapDeadlineMs: 5000,
    retry: {
      initialMs: 50,
      maxMs: 2000,
      factor: 1.5,
      deadlineMs: 60_000,
      errnos: ["ENETUNREACH", "ETIMEDOUT"],
    },
  }]]);
  await daemon.run(["replace", "a", "--source", "dir", "--type", "bind"]);
  assertEquals((given[1]![1] as { source: Uint8Array }).source, bytes(`${Deno.cwd()}/dir`));
});

Deno.test("cli: replace --wait tells of this mount's steps on stderr, one a line, and the result on stdout", async () => {
  await using daemon = await Daemon.start({
    "mount.replace": (_params, { emit }) => {
      const error = { kind: "system", message: "mount: ENETUNREACH", errno: "ENETUNREACH" };
      emit("mount.attempt", { mount: "a", attempt: 1, error, nextRetryMs: 100 });
      emit("mount.attempt", { mount: "b", attempt: 1 });
      emit("mount.attempt", { mount: "a", attempt: 2 });
      emit("mode.changed", { mount: "a", mode: "proxy", previous: "stub", waited: 4 });
      emit("replace.progress", { mount: "a", step: "committed\u001b[2J" });
      emit("replace.done", { mount: "a", ok: true });
      return Promise.resolve({ mount: "a", state: "done" as const, attempts: 2 });
    },
  });
  const outcome = await daemon.run(["replace", "a", "--source", "s", "--type", "nfs", "--wait", "--json"]);
  assertEquals(outcome.code, 0);
  assertEquals(JSON.parse(outcome.out), { mount: "a", state: "done", attempts: 2 });
  assertEquals(
    outcome.err,
    [
      "a: attempt 2 succeeded",
      "a: stub -> proxy, 4 waiting requests let go",
      "a: committed\\u{1b}[2J",
      "a: replaced",
      "",
    ].join("\n"),
  );
});

Deno.test("cli: status prints a table, and JSON on request", async () => {
  const replace = {
    state: "waiting" as const,
    source: bytes("server:/export"),
    type: "nfs",
    attempts: 4,
    lastError: { errno: "ENETUNREACH", message: "fsmount: ENETUNREACH" },
    nextRetryMs: 800,
  };
  const request = {
    unique: 9n,
    op: "READ",
    pid: 12,
    comm: "app\n",
    nodeid: 3n,
    ageMs: 2500,
    interrupted: true,
  };
  const mount = { ...status, replace, requests: [{ ...request, path: new Uint8Array([0x61, 0xff]) }] };
  const { given, methods } = noted({ status: { ...program, mounts: [mount, { ...status, id: "n" }] } });
  await using daemon = await Daemon.start(methods);
  const { code, out } = await daemon.run(["status", "--requests", "1"]);
  assertEquals(code, 0);
  assertEquals(out.split("\n"), [
    "spfs 0.1.0, pid 77, up 1 min 6 s, 59 MB",
    "MOUNT  MODE  FOR        WAITING  OLDEST  NODES  OPEN  SERVED  REPLACE  MOUNTPOINT",
    "net1   stub  1 min 5 s  3        2.5 s   12     4     99      waiting  /mnt/net",
    "n      stub  1 min 5 s  3        2.5 s   12     4     99      -        /mnt/net",
    "net1: waiting: server:/export (nfs), attempts: 4, next in 800 ms, last error: fsmount: ENETUNREACH",
    "net1: READ of a\\xff by 12 (app\\u{a}), for 2.5 s, interrupted",
    "net1: and 2 more",
    "",
  ]);
  const json = JSON.parse((await daemon.run(["status", "net1", "--json"])).out);
  assertEquals([json.pid, json.mounts[0].requests[0].path], [77, { b64: "Yf8=" }]);
  assertEquals(given, [["status", { requests: 1 }], ["status", { mount: "net1", requests: 0 }]]);
});

Deno.test("cli: status without mounts says so", async () => {
  const { methods } = noted({ status: { ...program, mounts: [] } });
  await using daemon = await Daemon.start(methods);
  assertEquals((await daemon.run(["status"])).out, "spfs 0.1.0, pid 77, up 1 min 6 s, 59 MB\nno mounts\n");
});

Deno.test("cli: call passes JSON through, from the argument or from stdin", async () => {
  const { given, methods } = noted({ "status": { ...program, mounts: [] }, "mount.abort": { mounts: [] } });
  await using daemon = await Daemon.start(methods);
  assertEquals(JSON.parse((await daemon.run(["call", "status"])).out).pid, 77);
  const { code, out } = await daemon.run(["call", "mount.abort", "-"], { input: '{"mount":"a"}' });
  assertEquals([code, out], [0, '{"mounts":[]}\n']);
  assertEquals(given[1], ["mount.abort", { mount: "a", errno: "EIO" }]);
});

Deno.test("cli: an error of the daemon exits 1 as `spfs: KIND: message`, with its detail below", async () => {
  await using daemon = await Daemon.start({
    quit: () => Promise.reject(new ControlError("busy", "2 mounts exist", { detail: "a\nb\n" })),
  });
  assertEquals(await daemon.run(["quit"]), {
    code: 1,
    out: "",
    err: "spfs: busy: 2 mounts exist\n  a\n  b\n",
  });
  const unknown = await daemon.run(["call", "mount.eat"]);
  assertEquals([unknown.code, unknown.err], [1, 'spfs: method_not_found: no method "mount.eat"\n']);
  const invalid = await daemon.run(["call", "status", "[]"]);
  assertEquals([invalid.code, invalid.err.startsWith("spfs: invalid_request: ")], [1, true]);
});

Deno.test("cli: a daemon that dies in the middle of a call exits 3", async () => {
  await using daemon = await Daemon.start({
    quit: () => {
      void daemon.server.close(0);
      return new Promise(() => {});
    },
  });
  const { code, err } = await daemon.run(["quit", "--force"]);
  assertEquals([code, err], [3, "spfs: unreachable: the daemon closed the connection\n"]);
});
