/** A real file system a part of which does not answer: nobody else waits for it, and who waits can be killed. */
import { assert, assertEquals } from "@std/assert";
import { O_DIRECTORY, O_RDONLY, O_RDWR } from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, StubMount, within } from "../support/fuse/stub_mount.ts";

/** Short against waiting for somebody who does not answer. */
const SOON_MS = 3000;

/** A file system that is a server's, with another one on `dead` below it, which does not answer while it is in stub mode. */
class Servers implements AsyncDisposable {
  private constructor(readonly alive: StubMount, readonly dead: StubMount) {}

  static async start(): Promise<Servers> {
    const alive = await StubMount.start({ interrupts: "fatal" });
    const dead = await StubMount.start({ interrupts: "fatal" });
    await alive.shell("mkdir $R/dead $R/other; echo alive > $R/file");
    await alive.proxy(alive.real);
    await alive.shell(`mount --bind ${dead.mountpoint} $M/dead`);
    return new Servers(alive, dead);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.alive.shell("umount -l $M/dead");
    await this.dead[Symbol.asyncDispose]();
    await this.alive[Symbol.asyncDispose]();
  }
}

/** A test with a mount whose kernel answers nothing of names and attributes itself. */
function unanswered(name: string, run: (mount: StubMount) => Promise<void>): void {
  fuseTest(`unanswered: ${name}`, run, { attrTimeoutMs: 0 });
}

interface Waiter {
  readonly name: string;
  readonly agent: Agent;
  readonly result: Promise<string>;
}

const calls: Record<string, (agent: Agent, path: (name: string) => string, fd: number) => Promise<string>> = {
  stat: (agent, path) => agent.errno("stat", path("stat")),
  open: (agent, path) => agent.errno("open", path("open"), O_RDONLY),
  read: (agent, _, fd) => agent.errno("pread", fd, 100, 0),
  write: (agent, _, fd) => agent.errno("pwrite", fd, data("x"), 0),
  fsync: (agent, _, fd) => agent.errno("fsync", fd),
  list: (agent, _, fd) => agent.errno("getdents", fd, 4096),
  mkdir: (agent, path) => agent.errno("mkdir", path("d/new"), 0o755),
  unlink: (agent, path) => agent.errno("unlink", path("e/none")),
};

/** Processes each of which waits for the server that does not answer. */
async function waiters(mount: StubMount, { dead }: Servers): Promise<Waiter[]> {
  const path = (name: string) => mount.path(`dead/${name}`);
  const files = Object.keys(calls).filter((name) => name !== "list").map((name) => file(name, 8192));
  await dead.populate(...files, directory("list"), directory("d"), directory("e"));
  const prepared = [];
  for (const [name, call] of Object.entries(calls)) {
    const agent = mount.agent();
    const fd = await agent.number("open", path(name), name === "list" ? O_RDONLY | O_DIRECTORY : O_RDWR);
    prepared.push({ name, agent, call, fd });
  }
  await dead.stub();
  const started: Waiter[] = [];
  for (const { name, agent, call, fd } of prepared) {
    started.push({ name, agent, result: call(agent, path, fd) });
    await dead.parked(started.length);
  }
  return started;
}

/** What of the servers a mount has open, once that is no more than so much: who waits for a close is answered before it is over. */
async function open(mount: StubMount, { alive }: Servers, most: number): Promise<string[]> {
  const deadline = performance.now() + SOON_MS;
  for (;;) {
    const links = [...(await mount.descriptors()).values()].filter((link) =>
      link.startsWith(alive.mountpoint)
    );
    if (links.length <= most || performance.now() > deadline) return links;
  }
}

/** Everything that does not need the server is as ever; but for changes of the directory in which it is looked up, for which the kernel waits. */
async function goesOn(mount: StubMount): Promise<void> {
  await using agent = mount.agent();
  assertEquals((await within(agent.stat("stat", mount.path("file")), "stat", SOON_MS)).size, 6);
  const fd = await within(agent.number("open", mount.path("file"), O_RDWR), "open", SOON_MS);
  assertEquals(await within(agent.text("pread", fd, 100, 0), "read", SOON_MS), "alive\n");
  await within(agent.call("mkdir", mount.path("other/new"), 0o755), "mkdir", SOON_MS);
  await within(agent.call("rmdir", mount.path("other/new")), "rmdir", SOON_MS);
  assertEquals((await within(mount.inspect(), "status", SOON_MS)).parked.count, 0);
  await within(mount.stub(), "stub mode", SOON_MS);
  const waits = agent.text("pread", fd, 100, 0);
  await within(mount.parked(1), "a request that is parked", SOON_MS);
  await within(mount.proxy(), "proxy mode", SOON_MS);
  assertEquals(await within(waits, "read", SOON_MS), "alive\n");
}

unanswered(
  "who needs nothing of a silent server goes on, and who waits is answered with it",
  async (mount) => {
    await using servers = await Servers.start();
    await mount.proxy(servers.alive.mountpoint);
    const waiting = await waiters(mount, servers);
    await goesOn(mount);
    assertEquals((await servers.dead.inspect()).parked.count, waiting.length, "all still wait");
    await servers.dead.restore();
    const results = await Promise.all(waiting.map(async ({ name, result }) => [name, await result]));
    assertEquals(Object.fromEntries(results), {
      ...Object.fromEntries(Object.keys(calls).map((name) => [name, "0"])),
      unlink: "ENOENT",
    });
  },
);

unanswered(
  "SIGKILL frees whoever waits for a silent server, and nothing of it stays",
  async (mount) => {
    await using servers = await Servers.start();
    await mount.proxy(servers.alive.mountpoint);
    for (const { name, agent, result } of await waiters(mount, servers)) {
      result.catch(() => {}); // its end ends the call
      agent.kill("SIGKILL");
      assertEquals((await within(agent.status, `the end of ${name}`, SOON_MS)).signal, "SIGKILL");
    }
    await goesOn(mount);
    await servers.dead.restore();
    await mount.shell("stat $M/dead/d > /dev/null"); // what came before it is done
    await servers.dead.parked(0);
    await mount.shell("mount -i -o remount,rw $M");
    await mount.until(({ nodes, handles }) => nodes === 1 && handles === 0, "all to be forgotten");
    assertEquals(await open(mount, servers, 1), [servers.alive.mountpoint]);
  },
);

unanswered(
  "more wait than there are threads: control goes on, and so do all when they are killed",
  async (mount) => {
    await using servers = await Servers.start();
    await mount.proxy(servers.alive.mountpoint);
    const names = Array.from({ length: 24 }, (_, index) => `f${index}`);
    await servers.dead.populate(...names.map((name) => file(name, 1)));
    await servers.dead.stub();
    const agents = names.map((name) => {
      const agent = mount.agent();
      agent.errno("stat", mount.path(`dead/${name}`)).catch(() => {});
      return agent;
    });
    await servers.dead.parked(16);
    const late = mount.agent();
    const result = late.errno("stat", mount.path("file"));
    assertEquals((await within(mount.inspect(), "status", SOON_MS)).parked.count, 0);
    await within(mount.stub(), "stub mode", SOON_MS);
    await within(mount.proxy(), "proxy mode", SOON_MS);
    for (const agent of agents) agent.kill("SIGKILL");
    for (const agent of agents) await within(agent.status, "its end", SOON_MS);
    assert((await servers.dead.inspect()).parked.count > 0, "the server has not answered");
    await servers.dead.restore();
    assertEquals(await within(result, "the late one", SOON_MS), "0");
  },
);

unanswered("a silent server keeps no mount from being ended", async (mount) => {
  await using servers = await Servers.start();
  await mount.proxy(servers.alive.mountpoint);
  const waiting = await waiters(mount, servers);
  const { answered } = await within(mount.call("abort", { type: "abort", errno: 5 }), "abort", SOON_MS);
  assertEquals(answered, waiting.length);
  assertEquals(await within(mount.gone, "its end", SOON_MS), "aborted");
  for (const { name, result } of waiting) assertEquals(await within(result, name, SOON_MS), "EIO", name);
});

unanswered(
  "a server that does not even hear of signals: who waits can be killed, the mount ended",
  async (mount) => {
    await using servers = await Servers.start();
    await mount.proxy(servers.alive.mountpoint);
    await servers.dead.populate(file("f", 10));
    const agent = mount.agent();
    const fd = await agent.number("open", mount.path("dead/f"), O_RDWR); // which it closes when it is killed
    Deno.kill(servers.dead.pid, "SIGSTOP");
    try {
      const before = (await mount.inspect()).served;
      agent.errno("fsync", fd).catch(() => {});
      await mount.until(({ served }) => served > before, "the request");
      await goesOn(mount);
      agent.kill("SIGKILL");
      await within(agent.status, "its end", SOON_MS);
      await mount.unmount();
    } finally {
      Deno.kill(servers.dead.pid, "SIGCONT");
    }
  },
);
