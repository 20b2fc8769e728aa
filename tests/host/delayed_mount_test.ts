import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { DelayedMount, type DelayedMountEffects, type RetryRules } from "../../host/delayed_mount.ts";

const rules: RetryRules = {
  initialMs: 100,
  maxMs: 400,
  factor: 2,
  errnos: new Set(["ECONNREFUSED", "ETIMEDOUT"]),
};
const refused = () => new ControlError("system", "refused", { errno: "ECONNREFUSED" });
const denied = () => new ControlError("system", "denied", { errno: "EACCES" });
const cancelled = () => new ControlError("cancelled", "cancelled");

/** A world in which time passes only when somebody sleeps. */
class World implements DelayedMountEffects {
  clock = 0;
  readonly open = new Set<number>();
  readonly trace: string[] = [];
  readonly attempts: (() => Promise<void>)[] = [];
  onProxy: () => Promise<void> = () => Promise.resolve();
  onCommit: () => Promise<void> = () => Promise.resolve();
  onSleep: () => void = () => {};
  #next = 10;

  async attempt(signal: AbortSignal): Promise<number> {
    await Promise.race([
      this.attempts.shift()?.() ?? Promise.resolve(),
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(cancelled()))),
    ]);
    this.open.add(++this.#next);
    return this.#next;
  }
  async proxy(): Promise<void> {
    await this.onProxy();
    this.trace.push("proxied");
  }
  async commit(mountFd: number): Promise<void> {
    await this.onCommit();
    this.open.delete(mountFd);
    this.trace.push("committed");
  }
  discard(mountFd: number): void {
    if (!this.open.delete(mountFd)) throw new Error(`descriptor ${mountFd} is not open`);
  }
  now(): number {
    return this.clock;
  }
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    // The time limit of an attempt only passes in the test that wants it.
    if (ms >= 1000) return await new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    this.onSleep();
    if (!signal.aborted) this.clock += ms;
    await Promise.resolve();
  }
  step(step: string): void {
    this.trace.push(step);
  }
  attempted(attempt: number, error?: ControlError, nextRetryMs?: number): void {
    this.trace.push(`attempt ${attempt} ${error?.data.errno ?? "ok"} ${nextRetryMs ?? "-"}`);
  }
  committing(): void {}
  ended(error?: ControlError): void {
    this.trace.push(`ended ${error?.kind ?? "ok"}`);
  }
  make(overrides: Partial<RetryRules> = {}): DelayedMount {
    return new DelayedMount(this, this, { ...rules, ...overrides });
  }
}

const fails = (error: () => ControlError) => () => Promise.reject(error());
const never = () => new Promise<void>(() => {});

Deno.test("delayed mount: held until it is started, then mounted, served from and committed", async () => {
  const world = new World();
  const mount = world.make();
  assertEquals(mount.status.state, "held");
  const done = mount.wait();
  mount.start();
  await done;
  assertEquals(world.trace, [
    "mounting",
    "attempt 1 ok -",
    "mounted",
    "proxy",
    "proxied",
    "commit",
    "committed",
    "done",
    "ended ok",
  ]);
  assertEquals(mount.status.state, "done");
  assertEquals(world.open.size, 0);
});

Deno.test("delayed mount: started to serve, it is held again when it serves, and is put in place when it is started", async () => {
  const world = new World();
  const mount = world.make();
  const done = mount.wait();
  assertEquals(await mount.serve(), true);
  assertEquals([mount.status.state, mount.serving], ["held", true]);
  assertEquals(await mount.serve(), true);
  assertEquals(world.trace, ["mounting", "attempt 1 ok -", "mounted", "proxy", "proxied", "held"]);
  world.trace.length = 0;
  mount.start();
  await done;
  assertEquals(world.trace, ["proxy", "proxied", "commit", "committed", "done", "ended ok"]);
  assertEquals(world.open.size, 0);
});

Deno.test("delayed mount: started to serve, a failed attempt tells at once, and started meanwhile it goes to the end", async () => {
  const world = new World();
  world.attempts.push(fails(refused));
  const mount = world.make();
  world.onSleep = () => mount.start();
  const done = mount.wait();
  assertEquals(await mount.serve(), false);
  await done;
  assertEquals(world.trace.filter((line) => line === "held"), []);
  assertEquals(mount.status.state, "done");
});

Deno.test("delayed mount: what serves and is held can be cancelled, and leaves nothing", async () => {
  const world = new World();
  const mount = world.make();
  const waited = assertRejects(() => mount.wait(), ControlError, "cancelled");
  await mount.serve();
  assertEquals(await mount.cancel(cancelled()), true);
  await waited;
  assertEquals(world.open.size, 0);
  assertEquals(await mount.serve(), true); // the stub still has it
});

Deno.test("delayed mount: transient errors are repeated with growing pauses", async () => {
  const world = new World();
  world.attempts.push(fails(refused), fails(refused), fails(refused), fails(refused));
  const mount = world.make();
  mount.start();
  await mount.wait();
  assertEquals(world.trace.filter((line) => line.startsWith("attempt")), [
    "attempt 1 ECONNREFUSED 100",
    "attempt 2 ECONNREFUSED 200",
    "attempt 3 ECONNREFUSED 400",
    "attempt 4 ECONNREFUSED 400",
    "attempt 5 ok -",
  ]);
  assertEquals(world.clock, 1100);
});

Deno.test("delayed mount: a permanent error stops it, and a retry begins again", async () => {
  const world = new World();
  world.attempts.push(fails(denied));
  const mount = world.make();
  mount.start();
  const error = await assertRejects(() => mount.wait(), ControlError);
  assertEquals(error.data.errno, "EACCES");
  assertEquals(mount.status.state, "failed");
  assertEquals(mount.status.lastError?.message, "denied");
  assertEquals(world.trace, ["mounting", "attempt 1 EACCES -", "failed"]);
  await assertRejects(() => mount.wait(), ControlError, "denied");
  mount.start();
  await mount.wait();
  assertEquals(mount.status, { state: "done", attempts: 2 });
});

Deno.test("delayed mount: an error without an errno is permanent", async () => {
  const world = new World();
  world.attempts.push(() => Promise.reject(new TypeError("a defect")));
  const mount = world.make();
  mount.start();
  const error = await assertRejects(() => mount.wait(), ControlError, "a defect");
  assertEquals(error.kind, "internal");
});

Deno.test("delayed mount: past the deadline it gives up with kind deadline, after one attempt at the deadline", async () => {
  const world = new World();
  for (let at = 0; at < 10; at++) world.attempts.push(fails(refused));
  const mount = world.make({ deadlineMs: 500 });
  mount.start();
  const error = await assertRejects(() => mount.wait(), ControlError, "4 attempts in 500 ms: refused");
  assertEquals([error.kind, error.data.errno], ["deadline", "ECONNREFUSED"]);
  assertEquals(world.clock, 500);
});

Deno.test("delayed mount: an attempt that hangs ends with the deadline", async () => {
  const world = new World();
  world.attempts.push(never);
  const sleep = world.sleep.bind(world);
  world.sleep = (ms, signal) => {
    if (ms < 1000) return sleep(ms, signal);
    world.clock += ms;
    return Promise.resolve();
  };
  const mount = world.make({ deadlineMs: 5000 });
  mount.start();
  const error = await assertRejects(() => mount.wait(), ControlError);
  assertEquals([error.kind, error.data.errno], ["deadline", "ETIMEDOUT"]);
});

Deno.test("delayed mount: cancelling leaves nothing behind while held, mounting, waiting and failed", async () => {
  const hold = (_: World) => {};
  const hang = (world: World) => void world.attempts.push(never);
  const fail = (world: World) => void world.attempts.push(fails(denied));
  for (const [prepare, state] of [[hold, "held"], [hang, "mounting"], [fail, "failed"]] as const) {
    const world = new World();
    prepare(world);
    const mount = world.make();
    if (state !== "held") mount.start();
    if (state === "failed") await assertRejects(() => mount.wait());
    assertEquals(mount.status.state, state);
    const waiting = state === "failed"
      ? undefined
      : assertRejects(() => mount.wait(), ControlError, "cancelled");
    assertEquals(await mount.cancel(cancelled()), true);
    await waiting;
    mount.start();
    await assertRejects(() => mount.wait(), ControlError, "cancelled");
    assertEquals(world.open.size, 0);
    assertEquals(world.trace.at(-1), "ended cancelled");
    assertEquals(world.trace.includes("proxied"), false);
  }
  const world = new World();
  world.attempts.push(fails(refused));
  const mount = world.make();
  const ended = Promise.withResolvers<boolean>();
  world.onSleep = () => void mount.cancel(cancelled()).then(ended.resolve);
  mount.start();
  await assertRejects(() => mount.wait(), ControlError, "cancelled");
  assertEquals(await ended.promise, true);
  assertEquals(world.trace, [
    "mounting",
    "attempt 1 ECONNREFUSED 100",
    "waiting",
    "cancelled",
    "ended cancelled",
  ]);
});

Deno.test("delayed mount: a mount that arrives after cancelling is closed", async () => {
  const world = new World();
  const arrive = Promise.withResolvers<void>();
  world.attempt = async () => {
    await arrive.promise;
    world.open.add(99);
    return 99;
  };
  const mount = world.make();
  mount.start();
  const ending = mount.cancel(cancelled());
  arrive.resolve();
  assertEquals(await ending, true);
  assertEquals(world.open.size, 0);
});

Deno.test("delayed mount: cancelling while it commits waits for the outcome", async () => {
  const world = new World();
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  world.onCommit = () => (reached.resolve(), gate.promise);
  const mount = world.make();
  mount.start();
  await reached.promise;
  assertEquals(mount.status.state, "committing");
  const answer = mount.cancel(cancelled());
  gate.resolve();
  assertEquals(await answer, false);
  assertEquals(mount.status.state, "done");
  assertEquals(world.open.size, 0);
});

Deno.test("delayed mount: when the stub cannot serve from it, the mount is closed and a retry mounts again", async () => {
  const world = new World();
  world.onProxy = () => Promise.reject(denied());
  const mount = world.make();
  mount.start();
  await assertRejects(() => mount.wait(), ControlError, "denied");
  assertEquals([mount.status.state, mount.serving, world.open.size], ["failed", false, 0]);
  world.onProxy = () => Promise.resolve();
  mount.start();
  await mount.wait();
  assertEquals(mount.status.attempts, 2);
});

Deno.test("delayed mount: when the commit is rolled back the mount is kept, and a retry serves from it again and commits", async () => {
  const world = new World();
  world.onCommit = () =>
    Promise.reject(new ControlError("system", "busy", { errno: "EBUSY", rolledBack: true }));
  const mount = world.make();
  mount.start();
  await assertRejects(() => mount.wait(), ControlError, "busy");
  assertEquals([mount.status.state, mount.serving, world.open.size], ["failed", true, 1]);
  world.onCommit = () => Promise.resolve();
  mount.start();
  await mount.wait();
  assertEquals(mount.status.attempts, 1);
  assertEquals(world.trace.slice(world.trace.indexOf("failed") + 1), [
    "proxy",
    "proxied",
    "commit",
    "committed",
    "done",
    "ended ok",
  ]);
  assertEquals(world.open.size, 0);
});

Deno.test("delayed mount: what fails because this machine is short of something is done again, and can be cancelled meanwhile", async () => {
  const world = new World();
  const short = () => Promise.reject(new ControlError("system", "short", { errno: "EMFILE" }));
  let failures = 2;
  world.onCommit = () => failures-- > 0 ? short() : Promise.resolve();
  const mount = world.make();
  mount.start();
  await mount.wait();
  assertEquals(world.trace.filter((step) => /attempt|^commit/.test(step)), [
    "attempt 1 ok -",
    "commit",
    "attempt 1 EMFILE 100",
    "commit",
    "attempt 1 EMFILE 200",
    "commit",
    "committed",
  ]);
  assertEquals([mount.status.state, world.clock, world.open.size], ["done", 300, 0]);

  const other = new World();
  other.onCommit = short;
  const never = other.make();
  other.onSleep = () => void never.cancel(cancelled());
  never.start();
  await assertRejects(() => never.wait(), ControlError, "cancelled");
  assertEquals([never.status.state, other.open.size], ["failed", 0]);
});

Deno.test("delayed mount: a mount that the stub has served from is kept when it cannot be told to serve again", async () => {
  const world = new World();
  world.onCommit = () => Promise.reject(denied());
  const mount = world.make();
  mount.start();
  await assertRejects(() => mount.wait(), ControlError, "denied");
  world.onProxy = () => Promise.reject(refused());
  mount.start();
  await assertRejects(() => mount.wait(), ControlError, "refused");
  assertEquals([mount.status.state, mount.serving, world.open.size], ["failed", true, 1]);
  assertEquals(world.trace.includes("committed"), false);
});

Deno.test("delayed mount: starting while it waits tries at once", async () => {
  const world = new World();
  world.attempts.push(fails(refused));
  const mount = world.make();
  world.sleep = (ms, signal) => {
    if (ms >= 1000) return Promise.resolve();
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve());
      queueMicrotask(() => mount.start());
    });
  };
  mount.start();
  await mount.wait();
  assertEquals([mount.status.attempts, world.clock], [2, 0]);
});

for (const when of ["mounting", "mounted", "attempt 1 ok -", "proxy", "commit"]) {
  Deno.test(`delayed mount: cancelled from within "${when}": nothing is left, or all is done`, async () => {
    const world = new World();
    const mount = world.make();
    const answer = Promise.withResolvers<boolean>();
    const push = world.trace.push.bind(world.trace);
    world.trace.push = (line) => {
      if (line === when) void mount.cancel(cancelled()).then(answer.resolve);
      return push(line);
    };
    mount.start();
    const ended = await answer.promise;
    assertEquals(ended, when !== "proxy" && when !== "commit");
    assertEquals([mount.status.state, mount.serving, world.open.size], [
      ended ? "failed" : "done",
      !ended,
      0,
    ]);
    assertEquals(world.trace.includes("committed"), !ended);
  });
}

Deno.test("delayed mount: tried as soon as it is in place, an attempt has failed, or it is over", async () => {
  const world = new World();
  world.attempts.push(fails(refused), never);
  const mount = world.make();
  const first = mount.tried();
  mount.start();
  await first;
  assertEquals(world.trace, ["mounting", "attempt 1 ECONNREFUSED 100", "waiting"]);
  const second = mount.tried();
  assertEquals(await mount.cancel(cancelled()), true);
  await second;
  const other = new World().make();
  other.start();
  await other.tried();
  assertEquals(other.status.state, "done");
  await other.tried();
});
