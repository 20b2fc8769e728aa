/** The real file system does not come at once: attempts are repeated while that may help, and what waits goes on waiting. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { run } from "./support/child.ts";
import { e2e } from "./support/case.ts";
import { mountsBelow, within } from "./support/proc.ts";
import { Remote } from "./support/remote.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const clients = 3;

/** What the clients of victims/blocked.c say when all are back. */
interface Returned {
  count: number;
  returned: number;
  early: number;
  wrong: number;
  errors: Record<string, number>;
}

/** A remote file system that is away, its stand-in `net`, and clients that wait in that for what they read of their files. */
async function readers(sandbox: Sandbox, binary: Binary) {
  const mountpoint = sandbox.directory("mnt");
  const remote = await Remote.make(sandbox);
  await remote.attach();
  await remote.mount(mountpoint);
  const names = Array.from({ length: clients }, (_, n) => `f${String(n).padStart(5, "0")}`);
  for (const name of names) Deno.writeTextFileSync(`${mountpoint}/${name}`, `${name}\n`);
  await remote.unmount(mountpoint);
  await remote.detach();

  const spfs = await Spfs.start(sandbox, binary);
  await spfs.call("mount.create", { id: "net", mountpoint });
  const entries = names.map((path) => ({ path, type: "file" as const, size: "7" }));
  await spfs.call("file.create", { mount: "net", entries });
  const blocked = sandbox.start(victim("blocked"), ["read", String(clients), mountpoint]);
  assertEquals(await blocked.line(), "ready");
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  assertEquals(await blocked.ask("go"), "went");
  await spfs.parked("net", clients);
  assertEquals(await blocked.ask("mark"), "marked");
  const outcome = async (): Promise<Returned> =>
    JSON.parse(await within("the clients' return", blocked.line(), 20_000));
  return { mountpoint, remote, spfs, outcome };
}

/** All clients got the real bytes, none before it could. */
function assertServed({ count, returned, early, wrong, errors }: Returned): void {
  assertEquals({ count, returned, early, wrong, errors }, {
    count: clients,
    returned: clients,
    early: 0,
    wrong: 0,
    errors: {},
  });
}

/** Ends the daemon by ending its input, and takes the real mount off. */
async function finish(spfs: Spfs, mountpoint: string, remote: Remote): Promise<void> {
  spfs.closeInput();
  assertEquals((await spfs.ended()).code, 0);
  assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["ext4"]);
  await remote.unmount(mountpoint);
  await remote.detach();
}

async function status(spfs: Spfs) {
  const { mounts: [mount] } = await spfs.call("status", { mount: "net" });
  return mount!;
}

await e2e(
  "a device that is not there is asked for again, ever more slowly, until it is",
  async (sandbox, binary) => {
    const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
    await spfs.call("mount.replace", {
      mount: "net",
      source: remote.source,
      type: "ext4",
      retry: { initialMs: 10, maxMs: 80, factor: 2 },
    });
    const pauses: (number | undefined)[] = [];
    for (let attempt = 1; attempt <= 6; attempt++) {
      const event = await spfs.event("mount.attempt", (params) => params.attempt === attempt);
      assertEquals(event.error?.errno, "ENOENT", event.error?.message);
      assert(event.error?.message.includes(remote.source), event.error?.message);
      pauses.push(event.nextRetryMs);
    }
    assertEquals(pauses, [10, 20, 40, 80, 80, 80]);
    const { mode, parked, replace } = await status(spfs);
    assertEquals([mode, parked.count], ["stub", clients]);
    assertEquals(replace?.lastError?.errno, "ENOENT");
    await remote.attach();
    await spfs.event("replace.done", ({ ok }) => ok);
    assertServed(await outcome());
    await finish(spfs, mountpoint, remote);
  },
  { loop: true },
);

await e2e("mount.retry does not wait for the end of a pause", async (sandbox, binary) => {
  const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
  await spfs.call("mount.replace", {
    mount: "net",
    source: remote.source,
    type: "ext4",
    retry: { initialMs: 3_600_000, maxMs: 3_600_000 },
  });
  await spfs.event("mount.attempt", ({ nextRetryMs }) => nextRetryMs === 3_600_000);
  await remote.attach();
  const retried = spfs.call("mount.retry", { mount: "net", wait: true });
  const { mounts } = await within("the second attempt", retried);
  assertEquals(mounts, [{ id: "net", state: "done", attempts: 2 }]);
  assertServed(await outcome());
  await finish(spfs, mountpoint, remote);
}, { loop: true });

await e2e(
  "a permanent error is told and not repeated; the stub waits for a retry",
  async (sandbox, binary) => {
    const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
    const image = sandbox.at("remote.img");
    await run("cp", ["--sparse=always", image, `${image}.whole`]);
    // No file system: what was its superblock is gone.
    await run("dd", ["if=/dev/zero", `of=${image}`, "bs=4096", "count=1", "conv=notrunc", "status=none"]);
    await remote.attach();
    const replaced = spfs.call("mount.replace", {
      mount: "net",
      source: remote.source,
      type: "ext4",
      wait: true,
      retry: { initialMs: 1, maxMs: 1 },
    });
    const error = await assertRejects(() => replaced, ControlError);
    assertEquals(
      [error.kind, error.data.errno, error.data.mount],
      ["system", "EINVAL", "net"],
      error.message,
    );
    const { mode, parked, replace } = await status(spfs);
    assertEquals([mode, parked.count, replace?.state, replace?.attempts], ["stub", clients, "failed", 1]);
    assertEquals(mountsBelow(mountpoint).map(({ fstype }) => fstype), ["fuse.spfs"]);

    await remote.detach();
    await Deno.rename(`${image}.whole`, image);
    await remote.attach();
    await within("the retry", spfs.call("mount.retry", { mount: "net", wait: true }));
    assertServed(await outcome());
    await finish(spfs, mountpoint, remote);
  },
  { loop: true },
);

await e2e(
  "mount.abort ends a replacement that cannot succeed, with the errno ordered",
  async (sandbox, binary) => {
    const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
    const replaced = spfs.call("mount.replace", {
      mount: "net",
      source: remote.source,
      type: "nosuchfs",
      wait: true,
    });
    const error = await assertRejects(() => replaced, ControlError, "nosuchfs");
    assertEquals([error.kind, error.data.errno], ["system", "ENODEV"]);
    const { mounts } = await spfs.call("mount.abort", { mount: "net", errno: "ESTALE" });
    assertEquals(mounts, [{ id: "net", answered: clients }]);
    const { returned, errors } = await outcome();
    assertEquals({ returned, errors }, { returned: 0, errors: { ESTALE: clients } });
    assertEquals(mountsBelow(mountpoint), []);
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
  },
  { loop: true },
);

await e2e(
  "cancelled while it waits, a replacement leaves the stub as it was; a new order completes it",
  async (sandbox, binary) => {
    const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
    const order = { mount: "net", source: remote.source, type: "ext4", wait: true };
    const cancel = new AbortController();
    const replaced = spfs.client.call("mount.replace", order, { signal: cancel.signal });
    await spfs.event("mount.attempt", ({ error }) => error !== undefined);
    cancel.abort();
    const error = await assertRejects(() => replaced, ControlError);
    assertEquals([error.kind, error.data.mount], ["cancelled", "net"]);
    const { mode, parked, replace } = await status(spfs);
    assertEquals([mode, parked.count, replace], ["stub", clients, undefined]);
    await remote.attach();
    const { state } = await within("the replacement", spfs.call("mount.replace", order));
    assertEquals(state, "done");
    assertServed(await outcome());
    await finish(spfs, mountpoint, remote);
  },
  { loop: true },
);

await e2e("one mount's attempts do not hold up another mount", async (sandbox, binary) => {
  const { mountpoint, remote, spfs, outcome } = await readers(sandbox, binary);
  const other = sandbox.directory("other");
  await spfs.call("mount.create", { id: "other", mountpoint: other });
  const retry = { initialMs: 1, maxMs: 1 };
  await spfs.call("mount.replace", { mount: "net", source: remote.source, type: "ext4", retry });
  await spfs.event("mount.attempt", ({ mount, attempt }) => mount === "net" && attempt === 5);
  const replaced = spfs.call("mount.replace", {
    mount: "other",
    source: sandbox.path,
    type: "bind",
    wait: true,
  });
  await within("the other mount's replacement", replaced);
  await spfs.event("mount.gone", ({ mount }) => mount === "other"); // until then it holds the real file system
  await run("umount", [other]);
  await remote.attach();
  assertServed(await outcome());
  await finish(spfs, mountpoint, remote);
}, { loop: true });
