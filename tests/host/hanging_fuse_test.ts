/** Real file systems that do not answer: the stub of another daemon is one. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Place, TestDaemon } from "./support/daemon.ts";
import { refused, waiting } from "./support/scenes.ts";
import { mountsBelow } from "../e2e/support/proc.ts";
import { requires } from "../support/requirements.ts";

const { ignore } = await requires({ fuse: true, programs: ["unshare", "nsenter"] });

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `hanging: ${name}`, ignore, fn });
}

/** Another daemon, whose mount on `dead` answers nothing below its root. */
async function hangingAt(place: Place): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(place);
  await daemon.client.call("mount.create", { id: "dead", mountpoint: place.path("dead") });
  const entries = [{ path: "sub", type: "directory" as const }, {
    path: "data",
    type: "file" as const,
    size: "11",
  }];
  await daemon.client.call("file.create", { mount: "dead", entries });
  await daemon.client.call("mount.setMode", { mount: "dead", mode: "stub" });
  return daemon;
}

test("an attempt that hangs is cancelled at once, and the mount can be replaced by something else", async () => {
  await using place = await Place.make("mnt", "real", "dead");
  const other = await hangingAt(place);
  const { daemon, reader } = await waiting(place);
  const cancel = new AbortController();
  const source = place.path("dead/sub");
  const order = { mount: "m", source, type: "bind", wait: true };
  const ordered = daemon.client.call("mount.replace", order, { signal: cancel.signal });
  await other.event("request.parked", ({ count }) => count === 1);
  cancel.abort();
  await refused(ordered, "cancelled");
  await daemon.client.call("mount.replace", { ...order, source: place.path("real") });
  assertEquals((await reader.ended).stdout, "real bytes\n");
  // What was abandoned comes back with a mount after all: it is closed, and keeps nothing.
  await other.client.call("mount.setMode", { mount: "dead", mode: "restore" });
  await daemon.event("mount.gone");
  await other.client.call("quit", { force: true });
  assertEquals((await other.ended()).code, 0);
});

test("a mountpoint that hangs keeps neither the cancel of its restore nor the daemon's end waiting", async () => {
  await using place = await Place.make("mnt", "real", "dead");
  const other = await hangingAt(place);
  const daemon = await TestDaemon.start(place);
  const cancel = new AbortController();
  const replace = { source: place.path("real"), type: "bind" };
  const mounts = ["mnt", "dead/sub"].map((name) => ({ mountpoint: place.path(name), replace }));
  const order = { images: place.path("images"), config: { mounts } };
  const prepared = daemon.client.call("restore.prepare", order, { signal: cancel.signal });
  await other.event("request.parked", ({ count }) => count === 1);
  cancel.abort();
  await refused(prepared, "cancelled");
  await daemon.client.call("quit", {});
  assertEquals((await daemon.ended()).code, 0);
  assertEquals(mountsBelow(place.path("mnt")), []);
});

test("an attempt that hangs ends with the deadline", async () => {
  await using place = await Place.make("mnt", "real", "dead");
  await hangingAt(place);
  const { daemon } = await waiting(place);
  const order = {
    mount: "m",
    source: place.path("dead/sub"),
    type: "bind",
    retry: { deadlineMs: 100 },
    wait: true,
  };
  const error = await refused(daemon.client.call("mount.replace", order), "deadline");
  assertEquals(error.data.errno, "ETIMEDOUT");
});

test("a mountpoint that hangs: the request can be cancelled, others go on, and the program ends", async () => {
  await using place = await Place.make("mnt", "real", "dead");
  const other = await hangingAt(place);
  const daemon = await TestDaemon.start(place);
  const create = (id: string, path: string, signal?: AbortSignal) =>
    daemon.client.call("mount.create", { id, mountpoint: place.path(path) }, { signal });
  const cancel = new AbortController();
  const hung = create("hung", "dead/sub", cancel.signal);
  await other.event("request.parked", ({ count }) => count === 1);
  await create("m", "mnt");
  cancel.abort();
  await refused(hung, "cancelled");
  const again = refused(create("again", "dead/data"), "shutting_down");
  await other.event("request.parked", ({ count }) => count === 2);
  daemon.kill("SIGTERM");
  await again;
  assertEquals((await daemon.ended()).code, 0);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("a real file system that stops answering: status and the end of the program do not wait for it", async () => {
  await using place = await Place.make("mnt", "real", "dead");
  await hangingAt(place);
  const { daemon, reader } = await waiting(place);
  await daemon.client.call("mount.replace", { mount: "m", source: place.path("dead"), type: "bind" });
  await daemon.event("replace.progress", ({ step }) => step === "proxy");
  const { mounts } = await daemon.client.call("status", { mount: "m" });
  assertEquals([mounts[0]!.mode, mounts[0]!.parked.count], ["stub", 1]);
  daemon.kill("SIGTERM");
  const { code, log } = await daemon.ended();
  assertEquals(code, 0, log);
  assertStringIncludes(log, "taken away by force");
  assertEquals(await place.mounts(place.path("mnt")), []);
  const { code: read, stderr } = await reader.ended;
  assert(read === 1 && stderr !== "", stderr);
});
