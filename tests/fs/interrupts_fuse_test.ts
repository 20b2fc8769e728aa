/** What ends a wait: a real signal, fast; and what does not: being stopped, continued or traced. */
import { assert, assertEquals } from "@std/assert";
import { O_RDONLY, O_RDWR } from "../../ffi/sys/constants.ts";
import { type Agent, data } from "../support/fuse/agent.ts";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { directory, file, type StubMount, within } from "../support/fuse/stub_mount.ts";
import { program } from "../support/fuse/programs.ts";

/** Long for a machine, short against waiting for somebody else to end the wait. */
const FAST_MS = 1000;
const SIGUSR1 = 10;

/**
 * Agents that wait in a call each, each with a file of its own: who changes or syncs a file holds its lock in the kernel meanwhile, and
 * nothing ends the wait for that.
 */
async function waiters(mount: StubMount): Promise<{ name: string; agent: Agent; result: Promise<string> }[]> {
  const calls: Record<string, (agent: Agent, fd: number, address: number) => Promise<string>> = {
    stat: (agent) => agent.errno("stat", mount.path("stat")),
    open: (agent) => agent.errno("open", mount.path("open"), O_RDONLY),
    fsync: (agent, fd) => agent.errno("fsync", fd),
    read: (agent, fd) => agent.errno("pread", fd, 100, 0),
    write: (agent, fd) => agent.errno("pwrite", fd, data("x"), 0),
    mkdir: (agent) => agent.errno("mkdir", mount.path("d/new"), 0o755),
    unlink: (agent) => agent.errno("unlink", mount.path("e/none")),
    poll: (agent, fd) => agent.errno("poll", fd, 1),
    fault: (agent, _, address) => agent.errno("peek", address, 1),
  };
  await mount.populate(...Object.keys(calls).map((name) => file(name, 8192)), directory("d"), directory("e"));
  const prepared = [];
  for (const [name, call] of Object.entries(calls)) {
    const agent = mount.agent();
    const fd = await agent.number("open", mount.path(name), O_RDWR);
    const address = await agent.number("mmap", 4096, 1, 2, fd, 0);
    await agent.call("catch", SIGUSR1);
    for (const directory of ["d", "e"]) await agent.stat("stat", mount.path(directory));
    prepared.push({ name, agent, call, fd, address });
  }
  await mount.stub();
  const started = [];
  for (const { name, agent, call, fd, address } of prepared) {
    started.push({ name, agent, result: call(agent, fd, address) });
    await mount.parked(started.length);
  }
  return started;
}

/** What the waiters wait for. */
async function writeReal(mount: StubMount): Promise<void> {
  await mount.shell(
    "cd $R; mkdir d e; for f in stat open fsync read write mkdir unlink poll fault; do truncate -s 8192 $f; done",
  );
}

fuseTest("interrupts: SIGKILL frees whoever waits, at once", async (mount) => {
  for (const { name, agent, result } of await waiters(mount)) {
    result.catch(() => {}); // its end ends the call
    const begin = performance.now();
    agent.kill("SIGKILL");
    const status = await within(agent.status, name, FAST_MS);
    assertEquals(status.signal, "SIGKILL");
    assert(performance.now() - begin < FAST_MS, name);
  }
  // Pages that were asked for are nobody's: reading them goes on, and keeps the file open.
  const { parked } = await mount.until((state) => state.handles === 1 && state.parked.count <= 1);
  assertEquals(Object.keys(parked.byOp).filter((operation) => operation !== "READ"), []);
});

fuseTest("interrupts: a caught signal ends a wait with EINTR; the call can be made again", async (mount) => {
  const all = (await waiters(mount)).filter(({ name }) => name !== "fault"); // a page fault takes no signals but fatal ones
  for (const { name, agent, result } of all) {
    agent.kill("SIGUSR1");
    // poll tells of a file that it could not ask about.
    assertEquals(await within(result, name, FAST_MS), name === "poll" ? "0" : "EINTR", name);
    assertEquals(await agent.number("caught"), 1);
  }
  const again = all[0]!.agent.errno("stat", mount.path("stat"));
  await mount.parked(2);
  await writeReal(mount);
  await mount.proxy(mount.real);
  assertEquals(await again, "0");
});

fuseTest("interrupts: ignored and blocked signals, and SIGCHLD, end no wait", async (mount) => {
  await mount.populate(file("f", 10));
  const agent = mount.agent();
  const [SIGUSR2, SIGHUP] = [12, 1];
  await agent.call("ignore", SIGUSR2);
  await agent.call("block", SIGHUP);
  const fd = await agent.number("open", mount.path("f"), O_RDONLY);
  await mount.stub();
  const waiting = agent.errno("fsync", fd);
  await mount.parked(1);
  for (const signal of ["SIGUSR2", "SIGHUP", "SIGCHLD", "SIGCONT", "SIGWINCH"] as const) agent.kill(signal);
  await looksTaken(mount, 10);
  await Deno.writeTextFile(`${mount.real}/f`, "");
  await mount.proxy(mount.real);
  assertEquals(await waiting, "0");
});

fuseTest("interrupts: stopping and continuing ends no wait; SIGKILL after that does", async (mount) => {
  const all = await waiters(mount);
  for (const { agent } of all) agent.kill("SIGSTOP");
  await mount.until((state) =>
    state.requests.filter((request) => request.interrupted).length >= all.length - 1
  );
  await looksTaken(mount, 10);
  for (const { agent } of all) agent.kill("SIGCONT");
  await looksTaken(mount, 10);
  assertEquals((await mount.inspect()).parked.count, all.length, "they still wait");
  for (const { agent, name, result } of all.slice(0, 4)) {
    result.catch(() => {});
    agent.kill("SIGKILL"); // the kernel has interrupted it already, and will not tell again
    await within(agent.status, name, FAST_MS);
  }
  await writeReal(mount);
  await mount.proxy(mount.real);
  for (const { result, name } of all.slice(4)) {
    assertEquals(await within(result, name), name === "unlink" ? "ENOENT" : "0", name);
  }
});

fuseTest("interrupts: while it is stopped, SIGKILL frees it as well", async (mount) => {
  const all = await waiters(mount);
  for (const { agent, result, name } of all) {
    result.catch(() => {});
    agent.kill("SIGSTOP");
    agent.kill("SIGKILL");
    await within(agent.status, name, FAST_MS);
  }
});

for (const way of ["attach", "seize"]) {
  fuseTest(`interrupts: a tracer that comes and goes (${way}) ends no wait`, async (mount) => {
    const all = await waiters(mount);
    const tracer = program("tracer");
    for (const { agent } of all) await mount.shell(`${tracer} ${way} ${agent.pid} 2`);
    await looksTaken(mount, 5);
    assertEquals((await mount.inspect()).parked.count, all.length);
    await writeReal(mount);
    await mount.proxy(mount.real);
    for (const { agent } of all) agent.kill("SIGCONT");
    for (const { result, name } of all) {
      assertEquals(await within(result, name), name === "unlink" ? "ENOENT" : "0", name);
    }
  });
}

fuseTest("interrupts: of many page-cache reads each waits in the open, and can be killed", async (mount) => {
  const count = 40; // the kernel lets a dozen of them out at a time unless told otherwise
  const agents = Array.from({ length: count }, () => mount.agent());
  await mount.populate(...agents.map((_, index) => file(`f${index}`, 1 << 20)));
  const addresses: number[] = [];
  for (const [index, agent] of agents.entries()) {
    const fd = await agent.number("open", mount.path(`f${index}`), O_RDONLY);
    addresses.push(await agent.number("mmap", 1 << 20, 1, 2, fd, 0));
  }
  await mount.stub();
  const faults = agents.map((agent, index) => agent.errno("peek", addresses[index]!, 1));
  const { parked } = await mount.until((state) => state.parked.count >= count);
  assertEquals(Object.keys(parked.byOp), ["READ"]);
  faults[count - 1]!.catch(() => {});
  agents[count - 1]!.kill("SIGKILL");
  await within(agents[count - 1]!.status, "the end of the last", FAST_MS);
  await mount.shell(`for i in $(seq 0 ${count - 1}); do truncate -s 1M $R/f$i; done`);
  await mount.proxy(mount.real);
  for (const fault of faults.slice(0, -1)) assertEquals(await fault, "0");
});

/** Waits until the worker has looked about so many times at what it holds. */
async function looksTaken(mount: StubMount, times: number): Promise<void> {
  const { parked: { oldestMs } } = await mount.inspect();
  const RECHECK_MS = 20;
  await mount.until((state) => state.parked.oldestMs > oldestMs + times * RECHECK_MS, "some time");
}
