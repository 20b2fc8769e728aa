/** The daemon with real mounts: making, waiting, replacing, ending. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Place, TestDaemon } from "./support/daemon.ts";
import { refused, waiting } from "./support/scenes.ts";
import { requires } from "../support/requirements.ts";

const { ignore } = await requires({ fuse: true, programs: ["unshare", "nsenter"] });

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `daemon: ${name}`, ignore, fn });
}

test("a reader waits in the stub and gets the real bytes; the program ends with its last mount", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const { mounts: [status] } = await daemon.client.call("status", { mount: "m", requests: 10 });
  assertEquals([status!.mode, status!.parked.count, status!.requests!.length], ["stub", 1, 1]);
  assertEquals([status!.requests![0]!.comm, status!.requests![0]!.pid], ["cat", reader.pid]);
  const source = place.path("real");
  const replaced = await daemon.client.call("mount.replace", {
    mount: "m",
    source,
    type: "bind",
    swap: "none", // what moving the reader adds is tests/e2e/swap_test.ts's to say
    wait: true,
  });
  assertEquals(replaced, { mount: "m", state: "done", attempts: 1 });
  assertEquals((await reader.ended).stdout, "real bytes\n");
  await daemon.event("mount.gone");
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
  daemon.closeInput();
  assertEquals((await daemon.ended()).code, 0);
  assertEquals((await place.run("cat", place.path("mnt/data"))).stdout, "real bytes\n");
  const told = daemon.events.filter(({ event }) => event.startsWith("replace.") || event.startsWith("mount."))
    .map(({ event, params }) => "step" in params ? params.step : event);
  assertEquals(told, [
    "mount.ready",
    "mounting",
    "mount.attempt",
    "mounted",
    "proxy",
    "commit",
    "done",
    "replace.done",
    "mount.gone",
  ]);
});

test("what is open on the stub goes on working after the replacement, and keeps the program", async () => {
  await using place = await Place.make("mnt", "real");
  await Deno.writeTextFile(place.path("real/data"), "real bytes\n");
  const daemon = await TestDaemon.start(place);
  const { client } = daemon;
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  await client.call("file.create", { mount: "m", entries: [{ path: "data", type: "file", size: "11" }] });
  // Opens in restore mode, reads when it is told to, holds on until its input ends.
  const script = `exec 3<"${place.path("mnt/data")}"; echo open; read x; cat <&3; read y`;
  const holder = place.start(["sh", "-c", script]);
  assertEquals(await holder.line(), "open");
  await client.call("mount.setMode", { mount: "m", mode: "stub" });
  const source = place.path("real");
  await client.call("mount.replace", { mount: "m", source, type: "bind", swap: "none", wait: true });
  daemon.closeInput();
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
  await holder.closeInput();
  assertEquals((await holder.ended).stdout, "open\nreal bytes\n");
  assertEquals((await daemon.ended()).code, 0);
});

test("a mountpoint that is missing, no directory, a loop, taken or the root is refused by name", async () => {
  await using place = await Place.make("mnt");
  await Deno.writeTextFile(place.path("file"), "");
  await Deno.symlink(place.path("loop"), place.path("loop"));
  const daemon = await TestDaemon.start(place);
  const create = (id: string, mountpoint: string) => daemon.client.call("mount.create", { id, mountpoint });
  for (
    const [name, errno] of [["none", "ENOENT"], ["file", "ENOTDIR"], ["file/x", "ENOTDIR"], [
      "loop",
      "ELOOP",
    ]] as const
  ) {
    const error = await refused(create("bad", place.path(name)), "system", place.path(name));
    assertEquals([error.data.errno, error.data.mount, error.data.path], [errno, "bad", place.path(name)]);
  }
  assertEquals((await refused(create("bad", "/"), "system")).data.errno, "EBUSY");
  await create("m", place.path("mnt"));
  const taken = await refused(create("bad", place.path("mnt")), "system", "has mounted it already");
  assertEquals(taken.data.errno, "EBUSY");
  assertEquals((await daemon.client.call("status", {})).mounts.length, 1);
});

test("asking for the same mount again gives the same answer, asking for another one under its name a conflict", async () => {
  await using place = await Place.make("mnt", "other");
  const { client } = await TestDaemon.start(place);
  const params = { id: "m", mountpoint: place.path("mnt"), size: "1048576" };
  const first = await client.call("mount.create", params);
  assertEquals(first.createdNow, true);
  assertEquals(await client.call("mount.create", params), { ...first, createdNow: false });
  await refused(client.call("mount.create", { ...params, size: "2097152" }), "conflict");
  await refused(client.call("mount.create", { ...params, mountpoint: place.path("other") }), "conflict");
  await refused(client.call("mount.setMode", { mount: "x", mode: "stub" }), "unknown_mount");
  await refused(client.call("mount.setMode", { mount: "m", mode: "proxy" }), "wrong_mode");
});

test("two mounts ordered at once at one path: one is made, the other refused as busy", async () => {
  await using place = await Place.make("mnt");
  const { client } = await TestDaemon.start(place);
  const settled = await Promise.allSettled(
    ["a", "b", "c"].map((id) => client.call("mount.create", { id, mountpoint: place.path("mnt") })),
  );
  const failed = settled.filter((result) => result.status === "rejected");
  assertEquals(failed.map(({ reason }) => reason.data.errno), ["EBUSY", "EBUSY"]);
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
});

test("a mount inside a stub is refused, since its path would wait", async () => {
  await using place = await Place.make("mnt");
  const { client } = await TestDaemon.start(place);
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  await client.call("file.create", { mount: "m", entries: [{ path: "sub", type: "directory" }] });
  await client.call("mount.setMode", { mount: "m", mode: "stub" });
  const inner = { id: "inner", mountpoint: place.path("mnt/sub") };
  assertEquals((await refused(client.call("mount.create", inner), "wrong_mode")).data.mode, "stub");
});

test("mount.abort answers who waits with the errno and takes the mount away", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const { mounts } = await daemon.client.call("mount.abort", { mount: "m", errno: "ENOLINK" });
  assertEquals(mounts, [{ id: "m", answered: 1 }]);
  const { code, stderr } = await reader.ended;
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Link has been severed");
  assertEquals(await place.mounts(place.path("mnt")), []);
  await refused(daemon.client.call("mount.abort", { mount: "m", errno: "ENOLINK" }), "unknown_mount");
});

test("quit is refused while there are mounts, and forced ends them all", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  await refused(daemon.client.call("quit", {}), "busy", "1 mount");
  await refused(daemon.client.call("quit", { force: true, errno: "EBOGUS" }), "invalid_params");
  await daemon.client.call("quit", { force: true, errno: "EHOSTDOWN" });
  assertStringIncludes((await reader.ended).stderr, "Host is down");
  assertEquals((await daemon.ended()).code, 0);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} answers who waits with EIO, takes the mounts away and exits 0`, async () => {
    await using place = await Place.make("mnt", "real");
    const { daemon, reader } = await waiting(place);
    daemon.kill(signal);
    assertStringIncludes((await reader.ended).stderr, "Input/output error");
    const { code, log } = await daemon.ended();
    assertEquals(code, 0, log);
    assertEquals(await place.mounts(place.path("mnt")), []);
    assertEquals((await place.run("ls", place.path("run"))).stdout, "");
  });
}

for (const end of ["SIGHUP", "the end of input"] as const) {
  test(`serve --errno is what ${end} answers who waits with`, async () => {
    await using place = await Place.make("mnt", "real");
    const { daemon, reader } = await waiting(place, "--errno", "EHOSTDOWN", "--on-eof=abort");
    if (end === "SIGHUP") daemon.kill(end);
    else daemon.closeInput();
    assertStringIncludes((await reader.ended).stderr, "Host is down");
    assertEquals((await daemon.ended()).code, 0);
    assertEquals(await place.mounts(place.path("mnt")), []);
  });
}

test("the end of input with linger keeps the mounts, with abort ends them", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place, "--socket", place.path("socket"));
  daemon.closeInput();
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
  daemon.kill("SIGTERM");
  assertEquals((await reader.ended).code, 1);
  await daemon.ended();
  const other = await TestDaemon.start(place, "--on-eof", "abort");
  await other.client.call("mount.create", { id: "m", mountpoint: place.path("mnt"), mode: "stub" });
  other.closeInput();
  assertEquals((await other.ended()).code, 0);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("without a socket the end of input ends a stub that only an order could end", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  daemon.closeInput();
  const { code, stderr } = await reader.ended;
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Input/output error");
  assertEquals((await daemon.ended()).code, 0);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("the end of input right after orders: they are carried out first", async () => {
  await using place = await Place.make("mnt", "real");
  await Deno.writeTextFile(place.path("real/data"), "real bytes\n");
  const daemon = await TestDaemon.start(place);
  const { client } = daemon;
  const ordered = [
    client.call("mount.create", { id: "m", mountpoint: place.path("mnt"), mode: "stub" }),
    client.call("mount.replace", { mount: "m", source: place.path("real"), type: "bind", wait: true }),
  ];
  // Sent, not awaited: the pipe ends behind them.
  await Promise.resolve();
  daemon.closeInput();
  await Promise.allSettled(ordered);
  const { code, log } = await daemon.ended();
  assertEquals(code, 0, log);
  assertEquals((await place.run("cat", place.path("mnt/data"))).stdout, "real bytes\n");
});

test("after SIGKILL the next daemon takes the dead mounts away", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  daemon.kill("SIGKILL");
  assertEquals((await daemon.ended()).signal, "SIGKILL");
  assertEquals((await reader.ended).code, 1);
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
  const next = await TestDaemon.start(place);
  await next.client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  assertEquals((await place.mounts(place.path("mnt"))).length, 1);
  await next.client.call("mount.abort", { mount: "m" });
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("after SIGKILL `spfs check --repair` takes away what was left, and leaves living mounts alone", async () => {
  await using place = await Place.make("mnt", "real", "alive");
  const socket = place.path("run/control.sock");
  const args = ["--socket", socket];
  const dead = await TestDaemon.start(place, ...args);
  await dead.client.call("mount.create", { id: "m", mountpoint: place.path("mnt"), mode: "stub" });
  // Gives it a directory of its own below the runtime directory.
  const order = { mount: "m", source: place.path("real"), type: "bind", hold: true };
  await dead.client.call("mount.replace", order);
  const alive = await TestDaemon.start(place);
  await alive.client.call("mount.create", { id: "a", mountpoint: place.path("alive"), mode: "stub" });
  dead.kill("SIGKILL");
  await dead.ended();
  const { stdout, stderr } = await place.spfs("check", "--repair", "--json");
  const { repairs } = JSON.parse(stdout) as { repairs: { kind: string; path: string; error?: string }[] };
  assertEquals(repairs.map(({ kind, error }) => [kind, error]), [
    ["mount", undefined],
    ["directory", undefined],
    ["socket", undefined],
  ], stderr);
  assertEquals([repairs[0]!.path, repairs[2]!.path], [place.path("mnt"), socket]);
  assertEquals(await place.mounts(place.path("mnt")), []);
  assertEquals(await place.mounts(place.path("alive")), ["fuse.spfs"]);
  assertEquals((await place.run("ls", place.path("run"))).stdout, "");
});

test("a connection that is aborted from outside is told as lost, and nothing dead is left", async () => {
  await using place = await Place.make("mnt", "ctl");
  const daemon = await TestDaemon.start(place);
  const { device } = await daemon.client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  await place.run("mount", "-t", "fusectl", "none", place.path("ctl"));
  await place.run("sh", "-c", `echo 1 > ${place.path("ctl")}/${device.split(":")[1]}/abort`);
  const { params } = await daemon.event("mount.lost");
  assertStringIncludes((params as { reason: string }).reason, "aborted");
  assertEquals(await place.mounts(place.path("mnt")), []);
  assertEquals((await daemon.client.call("status", {})).mounts, []);
});

test("a mount that somebody takes off from outside is gone", async () => {
  await using place = await Place.make("mnt");
  const daemon = await TestDaemon.start(place);
  await daemon.client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  assertEquals((await place.run("umount", place.path("mnt"))).code, 0);
  await daemon.event("mount.gone");
  daemon.closeInput();
  assertEquals((await daemon.ended()).code, 0);
});

test("200 mounts at once", async () => {
  const names = Array.from({ length: 200 }, (_, at) => `m${at}`);
  await using place = await Place.make("real", ...names);
  const daemon = await TestDaemon.start(place);
  const { client } = daemon;
  await Promise.all(
    names.map((id) => client.call("mount.create", { id, mountpoint: place.path(id), mode: "stub" })),
  );
  assertEquals((await client.call("status", {})).mounts.length, 200);
  await client.call("mount.setMode", { mount: "all", mode: "stub" });
  await client.call("mount.abort", { mount: "all" });
  assertEquals((await client.call("status", {})).mounts, []);
  daemon.closeInput();
  assertEquals((await daemon.ended()).code, 0);
});
