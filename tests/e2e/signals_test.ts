/** Signals and tracers of clients that wait: only a signal that is really pending ends a wait. */
import { assert, assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import type { Child } from "./support/child.ts";
import { processState, until } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const SIGUSR1 = 10;
const SIGUSR2 = 12;
const SIGKILL = 9;
const SIGCONT = 18;
const SIGSTOP = 19;

/** What the clients wait in; each is parked as another kind of request. */
const operations = ["stat", "open", "read"] as const;

/** Clients that wait, each on a file of its own, and the daemon. */
async function waiting(sandbox: Sandbox, binary: Binary, operation: string, count: number) {
  const mountpoint = sandbox.directory("mnt");
  const real = sandbox.directory("real");
  const names = Array.from({ length: count }, (_, n) => `f${String(n).padStart(5, "0")}`);
  for (const name of names) Deno.writeTextFileSync(`${real}/${name}`, `${name}\n`);
  const spfs = await Spfs.start(sandbox, binary);
  await spfs.call("mount.create", { id: "net", mountpoint });
  const entries = names.map((path) => ({ path, type: "file" as const, size: "7" }));
  await spfs.call("file.create", { mount: "net", entries });
  const clients = sandbox.start(victim("signalled"), [operation, String(count), mountpoint]);
  const [ready, ...pids] = (await clients.line()).split(" ");
  assertEquals(ready, "ready");
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  assertEquals(await clients.ask("go"), "went");
  const release = () => spfs.call("mount.replace", { mount: "net", source: real, type: "bind", wait: true });
  return { spfs, clients, release, pids: pids.map(Number) };
}

/** The outcome of a client's call, "ok" or an errno's name. */
async function outcome(clients: Child, index: number): Promise<string> {
  return (await clients.ask(`outcome ${index}`)).split(" ")[1]!;
}

/** Waits until the daemon was told of an interrupt of the only parked request. */
async function interrupted(spfs: Spfs): Promise<void> {
  await until("an interrupted request", async () => {
    const { mounts: [mount] } = await spfs.call("status", { mount: "net", requests: 1 });
    return mount?.requests?.[0]?.interrupted;
  });
}

async function killAll(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const count = 21;
  const { spfs, clients } = await waiting(sandbox, binary, operation, count);
  await spfs.parked("net", count);
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const [word, ns] = (await clients.ask(`reap ${n} ${SIGKILL}`)).split(" ");
    assertEquals(word, "reaped");
    times.push(Number(ns) / 1e6);
  }
  await spfs.parked("net", 0);
  times.sort((a, b) => a - b);
  const median = times[count >> 1]!;
  console.log(`freed after ${median.toFixed(1)} ms (${times[0]!.toFixed(1)} to ${times.at(-1)!.toFixed(1)})`);
  assert(median <= 50, `freed after ${times.join(", ")} ms`);
  await spfs.quit();
}

async function stopAndContinue(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const { spfs, clients, release, pids } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  await clients.ask(`kill 0 ${SIGSTOP}`);
  await interrupted(spfs);
  await clients.ask(`kill 0 ${SIGCONT}`);
  assert("SD".includes(processState(pids[0]!) ?? "-"), "the client does not wait any more");
  await release();
  assertEquals(await outcome(clients, 0), "ok");
}

/** The kernel tells of the first wake-up of a request only: a SIGKILL after another one has to be found by looking. */
async function stopContinueAndKill(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const { spfs, clients } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  await clients.ask(`kill 0 ${SIGSTOP}`);
  await interrupted(spfs);
  await clients.ask(`kill 0 ${SIGCONT}`);
  const [word, ns] = (await clients.ask(`reap 0 ${SIGKILL}`)).split(" ");
  assertEquals(word, "reaped");
  assert(Number(ns) / 1e6 <= 50, `freed after ${ns} ns`);
  await spfs.quit();
}

async function stopAndRelease(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const { spfs, clients, release, pids } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  await clients.ask(`kill 0 ${SIGSTOP}`);
  await interrupted(spfs);
  await release();
  await until("a stopped client", () => processState(pids[0]!) === "T");
  await clients.ask(`kill 0 ${SIGCONT}`);
  assertEquals(await outcome(clients, 0), "ok");
}

async function traced(sandbox: Sandbox, binary: Binary, operation: string, how: string): Promise<void> {
  const { spfs, clients, release } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  assertEquals(await clients.ask(`${how} 0`), "attached ok");
  await interrupted(spfs);
  assertEquals(await clients.ask("detach 0"), "detached");
  await release();
  // An attach sends a SIGSTOP, which outlives the tracer.
  await clients.ask(`kill 0 ${SIGCONT}`);
  assertEquals(await outcome(clients, 0), "ok");
}

async function handled(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const { spfs, clients } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  await clients.ask(`kill 0 ${SIGUSR1}`);
  assertEquals(await outcome(clients, 0), "EINTR");
  await spfs.parked("net", 0);
  await spfs.quit();
}

async function blocked(sandbox: Sandbox, binary: Binary, operation: string): Promise<void> {
  const { spfs, clients, release, pids } = await waiting(sandbox, binary, operation, 1);
  await spfs.parked("net", 1);
  await clients.ask(`kill 0 ${SIGUSR2}`);
  await until("a pending signal", () => {
    const status = Deno.readTextFileSync(`/proc/${pids[0]}/status`);
    return /^ShdPnd:\t0*[1-9a-f]/m.test(status);
  });
  const { mounts: [mount] } = await spfs.call("status", { mount: "net", requests: 1 });
  assertEquals(mount?.parked.count, 1);
  await release();
  assertEquals(await outcome(clients, 0), "ok");
}

for (const operation of operations) {
  await e2e(
    `SIGKILL frees a client that waits in ${operation} within 50 ms`,
    (sandbox, binary) => killAll(sandbox, binary, operation),
  );
  await e2e(
    `SIGSTOP and SIGCONT do not end a wait in ${operation}`,
    (sandbox, binary) => stopAndContinue(sandbox, binary, operation),
  );
  await e2e(
    `SIGKILL frees a client that was stopped and continued while it waits in ${operation}`,
    (sandbox, binary) => stopContinueAndKill(sandbox, binary, operation),
  );
  await e2e(
    `a client that is stopped while it waits in ${operation} gets its answer`,
    (sandbox, binary) => stopAndRelease(sandbox, binary, operation),
  );
  await e2e(
    `PTRACE_ATTACH does not end a wait in ${operation}`,
    (sandbox, binary) => traced(sandbox, binary, operation, "attach"),
  );
  await e2e(
    `PTRACE_SEIZE and PTRACE_INTERRUPT do not end a wait in ${operation}`,
    (sandbox, binary) => traced(sandbox, binary, operation, "seize"),
  );
  await e2e(
    `a handled signal ends a wait in ${operation} by EINTR`,
    (sandbox, binary) => handled(sandbox, binary, operation),
  );
  await e2e(
    `a blocked signal does not end a wait in ${operation}`,
    (sandbox, binary) => blocked(sandbox, binary, operation),
  );
}
