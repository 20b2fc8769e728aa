/** The control socket, with a real daemon as root. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConnectionError, ControlClient } from "../../control/client.ts";
import { Place, TestDaemon } from "./support/daemon.ts";
import { requires } from "../support/requirements.ts";

const { ignore } = await requires({ fuse: true, programs: ["unshare", "nsenter"] });

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `socket: ${name}`, ignore, fn });
}

async function connect(path: string): Promise<ControlClient> {
  return await ControlClient.over(await Deno.connect({ transport: "unix", path }), { name: "test" });
}

test("it is 0600 in a directory that is made 0700, and gone with the daemon", async () => {
  await using place = await Place.make("mnt");
  const path = place.path("deep/er/control.sock");
  const daemon = await TestDaemon.start(place, "--socket", path);
  const mode = async (name: string) => (await Deno.lstat(name)).mode! & 0o777;
  assertEquals([await mode(path), await mode(place.path("deep/er"))], [0o600, 0o700]);
  const client = await connect(path);
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt") });
  assertEquals((await daemon.client.call("status", {})).mounts.length, 1);
  client.close();
  await daemon.client.call("quit", { force: true });
  assertEquals((await daemon.ended()).code, 0);
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
});

test("with a socket, the end of stdin is not the end, until the last mount is gone", async () => {
  await using place = await Place.make("mnt");
  const path = place.path("control.sock");
  const daemon = await TestDaemon.start(place, "--socket", path);
  daemon.closeInput();
  const client = await connect(path);
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt"), mode: "stub" });
  client.close();
  const again = await connect(path);
  assertEquals((await again.call("status", {})).mounts.length, 1);
  await again.call("mount.abort", { mount: "m" });
  assertEquals((await daemon.ended()).code, 0);
});

test("a client that says so at its start takes everything with it when it goes", async () => {
  await using place = await Place.make("mnt");
  const path = place.path("control.sock");
  const daemon = await TestDaemon.start(place, "--socket", path);
  const connection = await Deno.connect({ transport: "unix", path });
  const client = await ControlClient.over(connection, { name: "test", onEof: "abort" });
  await client.call("mount.create", { id: "m", mountpoint: place.path("mnt"), mode: "stub" });
  client.close();
  assertEquals((await daemon.ended()).code, 0);
  assertEquals(await place.mounts(place.path("mnt")), []);
});

test("the socket of a dead daemon is replaced, that of a living one is not", async () => {
  await using place = await Place.make();
  const path = place.path("control.sock");
  const first = await TestDaemon.start(place, "--socket", path);
  const second = TestDaemon.spawn(place, "--socket", path);
  const { code, log } = await second.ended();
  assertEquals(code, 3);
  assertStringIncludes(log, `another spfs serves ${path}`);
  first.kill("SIGKILL");
  await first.ended();
  assert((await Deno.lstat(path)).isSocket);
  await TestDaemon.start(place, "--socket", path);
  (await connect(path)).close();
});

test("what is no socket is left alone", async () => {
  await using place = await Place.make();
  await Deno.writeTextFile(place.path("file"), "keep");
  const { code, log } = await TestDaemon.spawn(place, "--socket", place.path("file")).ended();
  assertEquals(code, 1);
  assertStringIncludes(log, "is not a socket");
  assertEquals(await Deno.readTextFile(place.path("file")), "keep");
});

test("a directory that others can change is refused", async () => {
  await using place = await Place.make("open");
  await Deno.chmod(place.path("open"), 0o777);
  const { code, log } = await TestDaemon.spawn(place, "--socket", place.path("open/s")).ended();
  assertEquals(code, 1);
  assertStringIncludes(log, "can be changed by others");
});

test("another user's connection is closed unheard, even where the socket's mode lets it in; root's go on", async () => {
  await using place = await Place.make();
  const path = place.path("control.sock");
  const daemon = await TestDaemon.start(place, "--socket", path);
  const before = await connect(path);
  await Deno.chmod(place.directory, 0o755);
  await Deno.chmod(path, 0o666);
  const script =
    `use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un("${path}")) or die $!;` +
    ` print sysread(S, $bytes, 9)`;
  const asNobody = await place.run(
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "/usr/bin/perl",
    "-e",
    script,
  );
  assertEquals([asNobody.stdout, asNobody.stderr], ["0", ""]);
  const after = await connect(path);
  await Promise.all([before, after].map((client) => client.call("status", {})));
  await daemon.client.call("quit", {});
  assertStringIncludes((await daemon.ended()).log, "of uid 65534 may not use");
});

test("a client that goes in the middle of a line, or never says anything, harms nobody", async () => {
  await using place = await Place.make();
  const path = place.path("control.sock");
  const daemon = await TestDaemon.start(place, "--socket", path);
  const rude = await Deno.connect({ transport: "unix", path });
  await rude.write(new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"meth'));
  rude.close();
  using silent = await Deno.connect({ transport: "unix", path });
  const client = await connect(path);
  await client.call("status", {});
  await daemon.client.call("quit", {});
  assertEquals((await daemon.ended()).code, 0);
  await assertRejects(() => client.call("status", {}), ConnectionError);
  void silent;
});
