/** `mount.replace` with real mounts: retries, failures, holding, cancelling, mount helpers. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Place, TestDaemon } from "./support/daemon.ts";
import { refused, waiting } from "./support/scenes.ts";
import { requires } from "../support/requirements.ts";

const { ignore } = await requires({ fuse: true, programs: ["unshare", "nsenter"] });

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `replace: ${name}`, ignore, fn });
}

async function stateOf(daemon: TestDaemon): Promise<Record<string, unknown> | undefined> {
  const { mounts } = await daemon.client.call("status", { mount: "m" });
  return mounts[0]!.replace as Record<string, unknown> | undefined;
}

test("a source that is not there yet is tried again, and the reader gets its bytes when it is", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const source = place.path("later");
  const order = { mount: "m", source, type: "bind", retry: { initialMs: 1, maxMs: 5 } };
  assertEquals((await daemon.client.call("mount.replace", order)).state, "running");
  const { params } = await daemon.event("mount.attempt", ({ attempt }) => attempt === 3);
  const { error, nextRetryMs } = params as { error: { errno: string }; nextRetryMs: number };
  assertEquals([error.errno, nextRetryMs], ["ENOENT", 4]);
  await Deno.rename(place.path("real"), source);
  assertEquals((await reader.ended).stdout, "real bytes\n");
  await daemon.event("mount.gone");
});

test("a permanent error is told, the stub goes on waiting, and a better order succeeds", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const { client } = daemon;
  const wrong = { mount: "m", source: "none", type: "nosuchfs" };
  const error = await refused(client.call("mount.replace", { ...wrong, wait: true }), "system", "nosuchfs");
  assertEquals([error.data.errno, error.data.mount], ["ENODEV", "m"]);
  const state = await stateOf(daemon);
  assertEquals([state!["state"], state!["attempts"]], ["failed", 1]);
  const attempt = daemon.events.find(({ event }) => event === "mount.attempt")!;
  assertEquals("nextRetryMs" in attempt.params, false);
  await client.call("mount.retry", { mount: "m" });
  await daemon.event("mount.attempt", ({ attempt }) => attempt === 2);
  assertEquals((await client.call("status", {})).mounts[0]!.parked.count, 1);
  await client.call("mount.replace", { mount: "m", source: place.path("real"), type: "bind", wait: true });
  assertEquals((await reader.ended).stdout, "real bytes\n");
});

test("the kernel's own words about a bad option are passed on", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon } = await waiting(place);
  const order = { mount: "m", source: "t", type: "tmpfs", options: "size=1m,nosuchoption=7", wait: true };
  const error = await refused(daemon.client.call("mount.replace", order), "system", "nosuchoption");
  assertEquals([error.data.errno, error.data.syscall], ["EINVAL", "fsconfig"]);
  assertStringIncludes(error.data.detail!, "Unknown parameter");
});

test("past its deadline it gives up with kind deadline, and a retry goes on", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const source = place.path("later");
  const retry = { initialMs: 1, maxMs: 10, deadlineMs: 50 };
  const order = { mount: "m", source, type: "bind", retry, wait: true };
  const error = await refused(daemon.client.call("mount.replace", order), "deadline", "gave up");
  assertEquals(error.data.errno, "ENOENT");
  await Deno.rename(place.path("real"), source);
  const { mounts } = await daemon.client.call("mount.retry", { mount: "all", wait: true });
  assertEquals(mounts[0]!.state, "done");
  assertEquals((await reader.ended).stdout, "real bytes\n");
});

test("only the errnos that the caller names are tried again", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon } = await waiting(place);
  const order = { mount: "m", source: place.path("later"), type: "bind", wait: true };
  const call = (errnos: string[]) => daemon.client.call("mount.replace", { ...order, retry: { errnos } });
  await refused(call(["EBOGUS"]), "invalid_params", "EBOGUS");
  await refused(call(["ETIMEDOUT"]), "system");
  assertEquals((await stateOf(daemon))!["attempts"], 1);
});

test("bad orders are refused before anything happens", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon } = await waiting(place);
  const order = (more: Record<string, unknown>) =>
    daemon.client.callUntyped("mount.replace", { mount: "m", source: "/x", type: "bind", ...more });
  await refused(order({ source: "relative" }), "invalid_params", "/");
  await refused(order({ options: 'a="b' }), "invalid_params", "quote");
  await refused(order({ flags: ["nosuchflag"] }), "invalid_params");
  await refused(order({ mount: "x" }), "unknown_mount");
  await refused(daemon.client.call("mount.release", { mount: "m" }), "wrong_mode", "no replacement");
  assertEquals(await stateOf(daemon), undefined);
});

test("held until it is released; the same order again changes nothing, another one is a conflict", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const order = { mount: "m", source: place.path("real"), type: "bind", hold: true };
  assertEquals((await daemon.client.call("mount.replace", order)).state, "held");
  assertEquals((await daemon.client.call("mount.replace", order)).state, "held");
  await refused(daemon.client.call("mount.replace", { ...order, flags: ["ro"] }), "conflict");
  assertEquals((await stateOf(daemon))!["attempts"], 0);
  const { mounts } = await daemon.client.call("mount.release", { mount: "all", wait: true });
  assertEquals(mounts, [{ id: "m", state: "done", attempts: 1 }]);
  assertEquals((await reader.ended).stdout, "real bytes\n");
});

test("cancelled while it waits: the mount stays a stub, and can be ordered anew", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const cancel = new AbortController();
  const order = { mount: "m", source: place.path("later"), type: "bind", wait: true };
  const ordered = daemon.client.call("mount.replace", order, { signal: cancel.signal });
  await daemon.event("replace.progress", ({ step }) => step === "waiting");
  cancel.abort();
  await refused(ordered, "cancelled");
  await daemon.event("replace.done", ({ ok }) => ok === false);
  assertEquals(await stateOf(daemon), undefined);
  assertEquals((await daemon.client.call("status", {})).mounts[0]!.mode, "stub");
  await daemon.client.call("mount.replace", { ...order, source: place.path("real") });
  assertEquals((await reader.ended).stdout, "real bytes\n");
});

test("mount.abort ends one that tries", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon, reader } = await waiting(place);
  const order = { mount: "m", source: place.path("later"), type: "bind", wait: true };
  const ordered = refused(daemon.client.call("mount.replace", order), "cancelled", "aborted");
  await daemon.event("replace.progress", ({ step }) => step === "waiting");
  await daemon.client.call("mount.abort", { mount: "m" });
  await ordered;
  assertEquals((await reader.ended).code, 1);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("a mount on the stub is told as EBUSY, and a retry completes it when that is gone", async () => {
  await using place = await Place.make("mnt", "real");
  await Deno.writeTextFile(place.path("real/data"), "real bytes\n");
  const daemon = await TestDaemon.start(place);
  await daemon.client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  await place.run("mount", "-t", "tmpfs", "other", place.path("mnt"));
  const order = { mount: "m", source: place.path("real"), type: "bind", wait: true };
  const error = await refused(daemon.client.call("mount.replace", order), "system", "tmpfs of other");
  assertEquals([error.data.errno, error.data.rolledBack], ["EBUSY", true]);
  assertEquals((await stateOf(daemon))!["state"], "failed");
  assertEquals((await daemon.client.call("status", {})).mounts[0]!.mode, "proxy");
  await place.run("umount", place.path("mnt"));
  assertEquals((await place.run("cat", place.path("mnt/data"))).stdout, "real bytes\n");
  await daemon.client.call("mount.retry", { mount: "m", wait: true });
  await daemon.event("mount.gone");
  assertEquals((await place.run("cat", place.path("mnt/data"))).stdout, "real bytes\n");
});

test("mount flags reach the real mount", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon } = await waiting(place);
  const flags = ["ro", "nosuid", "noexec", "noatime"] as const;
  const order = { mount: "m", source: place.path("real"), type: "bind", flags: [...flags], wait: true };
  await daemon.client.call("mount.replace", order);
  const { stdout } = await place.run("findmnt", "-n", "-o", "OPTIONS", place.path("mnt"));
  for (const flag of flags) assert(stdout.trim().split(",").includes(flag), stdout);
});

const loop = await requires({ fuse: true, loop: true });

for (const helper of ["never", "always"] as const) {
  const name = `replace: an ext4 image on a loop device, mount helper ${helper}`;
  Deno.test({ name, ...loop, fn: () => replaceByExt4(helper) });
}

async function replaceByExt4(helper: "never" | "always"): Promise<void> {
  await using place = await Place.make("mnt", "real", "image");
  const image = place.path("disk");
  await Deno.writeTextFile(place.path("image/data"), "from ext4!\n");
  const made = await place.run("mkfs.ext4", "-q", "-d", place.path("image"), image, "4m");
  assertEquals(made.code, 0, made.stderr);
  const device = (await place.run("losetup", "--find", "--show", image)).stdout.trim();
  assert(device.startsWith("/dev/loop"), "no loop device");
  try {
    const { daemon, reader } = await waiting(place);
    const order = {
      mount: "m",
      source: device,
      type: "ext4",
      flags: ["nodev" as const],
      options: "errors=continue",
      helper,
    };
    await daemon.client.call("mount.replace", { ...order, wait: true });
    assertEquals((await reader.ended).stdout, "from ext4!\n");
    assertEquals(
      (await place.run("findmnt", "-n", "-o", "SOURCE,FSTYPE", place.path("mnt"))).stdout,
      `${device} ext4\n`,
    );
    await daemon.event("mount.gone");
    daemon.closeInput();
    assertEquals((await daemon.ended()).code, 0);
    assertEquals((await place.run("ls", place.path("run"))).stdout, "");
    assertEquals((await place.run("umount", place.path("mnt"))).code, 0);
  } finally {
    await place.run("losetup", "-d", device);
  }
}

test("what a mount helper says is told with the errno that it means", async () => {
  await using place = await Place.make("mnt", "real");
  const { daemon } = await waiting(place);
  const order = { mount: "m", source: "/none", type: "ext4", helper: "always", wait: true } as const;
  const retry = { errnos: ["ETIMEDOUT"] };
  const error = await refused(daemon.client.call("mount.replace", { ...order, retry }), "system");
  assertEquals(error.data.errno, "ENOENT");
  assertStringIncludes(error.data.detail!, "/none");
});

for (const step of ["mounting", "waiting", "mounted", "proxy", "commit", "done"]) {
  test(`SIGTERM at the step "${step}" leaves the real mount or none, and nobody waiting`, async () => {
    await using place = await Place.make("mnt", "real");
    const { daemon, reader } = await waiting(place);
    const source = place.path(step === "waiting" ? "later" : "real");
    await daemon.client.call("mount.replace", { mount: "m", source, type: "bind" });
    await daemon.event("replace.progress", (params) => params["step"] === step);
    daemon.kill("SIGTERM");
    const { code, log } = await daemon.ended();
    assertEquals(code, 0, log);
    const { code: read, stdout } = await reader.ended;
    assert(read === 1 || stdout === "real bytes\n", stdout);
    const left = await place.mounts(place.path("mnt"));
    assert(left.every((mounted) => !mounted.startsWith("fuse")), left.join());
    if (left.length > 0) {
      assertEquals((await place.run("cat", place.path("mnt/data"))).stdout, "real bytes\n");
    }
    assertEquals((await place.run("ls", place.path("run"))).stdout, "");
  });

  test(`cancelled at the step "${step}": cancelled with the stub as it was, or done`, async () => {
    await using place = await Place.make("mnt", "real");
    const { daemon, reader } = await waiting(place);
    const cancel = new AbortController();
    const source = place.path(step === "waiting" ? "later" : "real");
    const order = { mount: "m", source, type: "bind", wait: true };
    const ordered = daemon.client.call("mount.replace", order, { signal: cancel.signal });
    const outcome = ordered.then(() => "done", (error) => error.kind);
    await daemon.event("replace.progress", (params) => params["step"] === step);
    cancel.abort();
    if (await outcome === "done") {
      assertEquals((await reader.ended).stdout, "real bytes\n");
      return;
    }
    assertEquals(await outcome, "cancelled");
    const { mounts: [status] } = await daemon.client.call("status", { mount: "m" });
    assertEquals([status!.mode, status!.parked.count, status!.replace], ["stub", 1, undefined]);
    assertEquals(await place.mounts(place.path("mnt")), ["fuse.spfs"]);
  });
}
