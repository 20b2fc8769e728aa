import { assert, assertEquals } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { limits } from "../../control/limits.ts";
import { ControlServer } from "../../control/server.ts";
import { emptyStatus, fakeHost, heldSetMode } from "./support/fake_host.ts";
import { connectTo, type Message, serveOne } from "./support/raw_client.ts";

const stub = (mount: string) => ({ mount, mode: "stub" });

Deno.test("flow: requests for one mount wait for each other across connections", async () => {
  const held = heldSetMode();
  const server = new ControlServer(fakeHost({ "mount.setMode": held.method }));
  const [one, two] = [connectTo(server).client, connectTo(server).client];
  await one.initialize();
  await two.initialize();
  await one.request(1, "mount.setMode", stub("a"));
  await held.begun(1);
  await two.request(1, "mount.setMode", stub("a"));
  await two.request(2, "mount.setMode", stub("b"));
  await held.begun(2);
  assertEquals(held.calls.map((call) => call.mount), ["a", "b"]);
  held.calls[1]!.finish();
  assertEquals((await two.next()).id, 2);
  held.calls[0]!.finish();
  assertEquals((await one.next()).id, 1);
  await held.begun(3);
  held.calls[2]!.finish();
  assertEquals((await two.next()).id, 1);
  await server.close(1000);
});

Deno.test("flow: mount.create takes its place in the order of the mount it makes", async () => {
  const held = heldSetMode();
  let created = false;
  const { client } = serveOne(fakeHost({
    "mount.setMode": held.method,
    "mount.create": () => {
      created = true;
      return Promise.reject(new ControlError("conflict", "no"));
    },
    status: emptyStatus,
  }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await client.request(2, "mount.create", { id: "a", mountpoint: "/a" });
  await client.request(3, "status");
  assertEquals((await client.next()).id, 3);
  assertEquals(created, false);
  held.calls[0]!.finish();
  assertEquals((await client.next()).id, 1);
  assertEquals((await client.next()).id, 2);
  client.end.close();
});

Deno.test("flow: swaps go one after the other, beside every mount but not beside all of them", async () => {
  const begun: string[] = [];
  const finish: (() => void)[] = [];
  const held = heldSetMode();
  const result = { processes: [], left: [], obstacles: [], stoppedMs: 0, tasks: 0, descriptions: 0 };
  const hold = (name: string) => () => {
    begun.push(name);
    return new Promise<typeof result>((resolve) => finish.push(() => resolve(result)));
  };
  const { client } = serveOne(fakeHost({
    "swap.plan": hold("plan"),
    "swap.run": hold("run"),
    "mount.setMode": held.method,
  }));
  await client.initialize();
  await client.request(1, "swap.run", { source: "/a", target: "/b" });
  await client.request(2, "swap.plan", { source: "/c", target: "/d" });
  await client.request(3, "mount.setMode", stub("a"));
  await client.request(4, "mount.setMode", stub("all"));
  await held.begun(1);
  assertEquals([begun, held.calls.map((call) => call.mount)], [["run"], ["a"]]);
  held.calls[0]!.finish();
  assertEquals((await client.next()).id, 3);
  finish[0]!();
  assertEquals((await client.next()).id, 1);
  assertEquals([begun, held.calls.length], [["run", "plan"], 1]);
  finish[1]!();
  assertEquals((await client.next()).id, 2);
  await held.begun(2);
  held.calls[1]!.finish();
  assertEquals((await client.next()).id, 4);
  client.end.close();
});

Deno.test("flow: status, mount.abort and quit do not wait for a mount that is busy", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({
    "mount.setMode": held.method,
    "status": emptyStatus,
    "mount.abort": () => Promise.resolve({ mounts: [] }),
    "quit": () => Promise.reject(new ControlError("busy", "a mount exists")),
  }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("all"));
  await client.request(2, "mount.setMode", stub("a"));
  await client.request(3, "status");
  await client.request(4, "mount.abort", { mount: "all" });
  await client.request(5, "quit");
  assertEquals((await client.next()).id, 3);
  assertEquals((await client.next()).id, 4);
  assertEquals((await client.next()).error.data.kind, "busy");
  client.end.close();
});

Deno.test("flow: a request that lets the next one begin does not hold it up while it waits itself", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await client.request(2, "mount.setMode", stub("a"));
  await held.begun(1);
  held.calls[0]!.context.letNextBegin();
  await held.begun(2);
  held.calls[1]!.finish();
  assertEquals((await client.next()).id, 2);
  held.calls[0]!.finish();
  assertEquals((await client.next()).id, 1);
  client.end.close();
});

Deno.test("flow: letting the next one begin works from a method's first instant", async () => {
  let count = 0;
  const { client } = serveOne(fakeHost({
    "mount.setMode": (_params, context) => {
      context.letNextBegin();
      return ++count === 1 ? new Promise(() => {}) : Promise.resolve({ mounts: [] });
    },
  }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await client.request(2, "mount.setMode", stub("a"));
  assertEquals((await client.next()).id, 2);
  client.end.close();
});

Deno.test("flow: cancel ends a running request through its signal", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await held.begun(1);
  const { signal } = held.calls[0]!.context;
  signal.addEventListener("abort", () => held.calls[0]!.fail(signal.reason));
  await client.request(2, "cancel", { request: 1 });
  const replies = [await client.next(), await client.next()];
  assertEquals(replies.find((reply) => reply.id === 2)?.result, { cancelled: true });
  assertEquals(replies.find((reply) => reply.id === 1)?.error.data.kind, "cancelled");
  client.end.close();
});

Deno.test("flow: cancel takes a request out that has not begun", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method }));
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await client.request("1", "mount.setMode", stub("a"));
  await held.begun(1);
  await client.request(2, "cancel", { request: "1" });
  assertEquals((await client.next()).error.data.kind, "cancelled");
  assertEquals((await client.next()).result, { cancelled: true });
  held.calls[0]!.finish();
  assertEquals((await client.next()).id, 1);
  assertEquals(held.calls.length, 1);
  client.end.close();
});

Deno.test("flow: cancel is false for what is unknown, answered, cancelled already or past its point of no return", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method, status: emptyStatus }));
  await client.initialize();
  const cancelled = async (request: unknown) => {
    await client.request("c", "cancel", { request });
    return (await client.next()).result.cancelled;
  };
  assertEquals(await cancelled(77), false);
  await client.request(1, "status");
  await client.next();
  assertEquals(await cancelled(1), false);
  await client.request(2, "mount.setMode", stub("a"));
  await held.begun(1);
  held.calls[0]!.context.beginCommit();
  assertEquals(await cancelled(2), false);
  assertEquals(held.calls[0]!.context.signal.aborted, false);
  held.calls[0]!.finish();
  await client.next();
  await client.request(3, "mount.setMode", stub("a"));
  await held.begun(2);
  assertEquals(await cancelled(3), true);
  assertEquals(await cancelled(3), false);
  let refusal: unknown;
  try {
    held.calls[1]!.context.beginCommit();
  } catch (error) {
    refusal = error;
  }
  assert(refusal instanceof ControlError && refusal.kind === "cancelled");
  client.end.close();
});

Deno.test("flow: beyond the limit requests are refused at once, and status is still answered", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method, status: emptyStatus }));
  await client.initialize();
  for (let id = 0; id < limits.maxInFlight; id++) await client.request(id, "mount.setMode", stub("a"));
  await client.request("over", "mount.setMode", stub("b"));
  const refused = await client.next();
  assertEquals([refused.id, refused.error.data.kind], ["over", "overloaded"]);
  await client.request("status", "status");
  assertEquals((await client.next()).id, "status");
  assertEquals(held.calls.length, 1);
  client.end.close();
});

Deno.test("flow: requests of many megabytes in flight stop the reading until they are done", async () => {
  let begun = 0;
  const five = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = new ControlServer(fakeHost({
    "file.create": async () => {
      if (++begun === 5) five.resolve();
      await release.promise;
      return { created: 1, existing: 0 };
    },
    status: emptyStatus,
  }));
  const { client } = connectTo(server);
  const { client: other } = connectTo(server);
  await client.initialize();
  await other.initialize();
  const entries = [{ type: "file", path: "a", data: { b64: "A".repeat(7 << 20) } }];
  const sent = (async () => {
    for (let id = 0; id < 10; id++) await client.request(id, "file.create", { mount: `m${id}`, entries });
  })();
  await five.promise;
  for (let id = 0; id < 200; id++) {
    await other.request(id, "status");
    await other.next();
  }
  assertEquals(begun, 5);
  release.resolve();
  for (let id = 0; id < 10; id++) assertEquals((await client.next()).result.created, 1);
  await sent;
  await server.close(1000);
});

Deno.test("flow: a client that never reads is not read from any more, and the others are served", async () => {
  const server = new ControlServer(fakeHost({ status: emptyStatus }));
  const { client: deaf } = connectTo(server, { capacity: 1024 });
  const { client } = connectTo(server);
  await client.initialize();
  await deaf.request(0, "initialize", { client: { name: "deaf" }, protocol: { major: 1 }, events: "all" });
  const sent = { count: 0 };
  const flood = (async () => {
    for (;; sent.count++) await deaf.request(sent.count, "nothing");
  })().catch(() => {});
  const size =
    JSON.stringify({ jsonrpc: "2.0", id: 0, error: { code: -32601, message: 'no method "nothing"' } }).length;
  // The flood stands still when two exchanges with another client saw no progress.
  for (let before = -1; before !== sent.count;) {
    before = sent.count;
    for (let id = 0; id < 50; id++) {
      await client.request(id, "status");
      assertEquals((await client.next()).id, id);
    }
  }
  assert(sent.count * size < 4 << 20, `${sent.count} requests were read`);
  for (let at = 0; at < 100_000; at++) server.emit("request.parked", { mount: "a", count: at, byOp: {} });
  await client.request("last", "status");
  assertEquals((await client.next()).id, "last");
  deaf.end.close();
  await flood;
  await server.close(1000);
});

Deno.test("flow: a client that vanishes in the middle of a request takes nothing with it", async () => {
  const held = heldSetMode();
  const server = new ControlServer(fakeHost({ "mount.setMode": held.method, status: emptyStatus }));
  const { client, served } = connectTo(server);
  await client.initialize();
  await client.request(1, "mount.setMode", stub("a"));
  await client.request(2, "mount.setMode", stub("a"));
  await held.begun(1);
  client.end.close();
  held.calls[0]!.finish();
  await held.begun(2);
  held.calls[1]!.finish();
  await served;
  const { client: next } = connectTo(server);
  await next.initialize();
  await next.request(1, "status");
  assertEquals((await next.next()).id, 1);
  await server.close(1000);
});

Deno.test("flow: a reader that is gone ends the connection even while its input stays open", async () => {
  const { server, client, served } = serveOne(fakeHost({}), { persistent: true });
  await client.initialize({ events: "all" });
  client.end.breakInput();
  server.emit("mount.gone", { mount: "a" });
  await served;
});

Deno.test("flow: events go to those who asked, before the reply, stamped in order", async () => {
  const server = new ControlServer(fakeHost({
    "mount.setMode": (params, { emit }) => {
      emit("mode.changed", { mount: params.mount, mode: "stub", previous: "restore", waited: 1 });
      emit("mount.ready", { mount: params.mount, mountpoint: new Uint8Array([0x2f, 0xff]), mode: "stub" });
      return Promise.resolve({ mounts: [] });
    },
  }));
  const all = connectTo(server).client;
  const some = connectTo(server).client;
  const none = connectTo(server).client;
  await all.initialize({ events: "all" });
  await some.initialize({ events: ["mount.ready"] });
  await none.initialize();
  await none.request(1, "mount.setMode", stub("a"));
  assertEquals((await none.next()).id, 1);
  const [first, second]: Message[] = [await all.next(), await all.next()];
  assertEquals([first.method, first.params.seq, second.method, second.params.seq], [
    "mode.changed",
    1,
    "mount.ready",
    2,
  ]);
  assert(first.params.monotonicMs <= second.params.monotonicMs);
  assertEquals(second.params.mountpoint, { b64: "L/8=" });
  const only = await some.next();
  assertEquals([only.method, only.params.seq], ["mount.ready", 1]);
  await all.request(2, "mount.setMode", stub("b"));
  assertEquals([(await all.next()).params.seq, (await all.next()).params.seq, (await all.next()).id], [
    3,
    4,
    2,
  ]);
  await server.close(1000);
});

Deno.test("flow: an event that does not fit its schema is reported to the host and goes nowhere", async () => {
  const failures: string[] = [];
  const { server, client } = serveOne(
    fakeHost({ status: emptyStatus }, { failed: (name) => failures.push(name) }),
  );
  await client.initialize({ events: "all" });
  server.emit("mount.gone", { mount: 7 as unknown as string });
  await client.request(1, "status");
  assertEquals((await client.next()).id, 1);
  assertEquals(failures, ["mount.gone"]);
  client.end.close();
});
