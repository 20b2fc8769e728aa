import { assert, assertEquals } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { limits } from "../../control/limits.ts";
import { protocolVersion, version } from "../../control/version.ts";
import { emptyStatus, fakeHost, heldSetMode } from "./support/fake_host.ts";
import { connectTo, serveOne } from "./support/raw_client.ts";

Deno.test("server: speaks first, and the first line is hello", async () => {
  const { client } = serveOne(fakeHost({}));
  assertEquals(await client.next(), {
    jsonrpc: "2.0",
    method: "hello",
    params: {
      protocol: protocolVersion,
      program: { name: "spfs", version },
      capabilities: { faked: true },
      limits,
    },
  });
  client.end.close();
});

Deno.test("server: answers nothing before initialize, which may be pipelined with what follows", async () => {
  const { client } = serveOne(fakeHost({ status: emptyStatus }));
  await client.next();
  await client.request(1, "status");
  assertEquals((await client.next()).error.data.kind, "not_initialized");
  await client.request(2, "initialize", { client: { name: "t", version: "1" }, protocol: { major: 1 } });
  await client.request(3, "status");
  assertEquals(await client.next(), {
    jsonrpc: "2.0",
    id: 2,
    result: { protocol: protocolVersion, events: [] },
  });
  assertEquals((await client.next()).result.mounts, []);
  await client.request(4, "initialize", { client: { name: "t" }, protocol: { major: 1 } });
  assertEquals((await client.next()).error.data.kind, "invalid_request");
  client.end.close();
});

Deno.test("server: another major version is refused, and the client may try again", async () => {
  const { client } = serveOne(fakeHost({}));
  await client.next();
  await client.request(1, "initialize", { client: { name: "t" }, protocol: { major: 2 } });
  const { error } = await client.next();
  assertEquals([error.code, error.data.kind], [-32000, "unsupported_protocol"]);
  await client.request(2, "initialize", { client: { name: "t" }, protocol: { major: 1, minor: 7 } });
  assertEquals((await client.next()).result.protocol, protocolVersion);
  client.end.close();
});

const badLines: [string, string | Uint8Array, string, unknown][] = [
  ["garbage", "what?", "parse_error", null],
  ["invalid UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), "parse_error", null],
  ["deep nesting", "[".repeat(100_000), "parse_error", null],
  ["a batch", '[{"jsonrpc":"2.0","id":1,"method":"status"}]', "invalid_request", null],
  ["a bare value", "17", "invalid_request", null],
  ["null", "null", "invalid_request", null],
  ["another JSON-RPC", '{"id":1,"method":"status"}', "invalid_request", 1],
  ["a method that is no string", '{"jsonrpc":"2.0","id":1,"method":7}', "invalid_request", 1],
  ["a notification", '{"jsonrpc":"2.0","method":"status"}', "invalid_request", null],
  ["id null", '{"jsonrpc":"2.0","id":null,"method":"status"}', "invalid_request", null],
  ["a fraction as id", '{"jsonrpc":"2.0","id":1.5,"method":"status"}', "invalid_request", null],
  ["an id beyond 2^53", '{"jsonrpc":"2.0","id":9007199254740993,"method":"status"}', "invalid_request", null],
  ["an object as id", '{"jsonrpc":"2.0","id":{},"method":"status"}', "invalid_request", null],
  ["a long id", `{"jsonrpc":"2.0","id":"${"x".repeat(129)}","method":"status"}`, "invalid_request", null],
  ["positional parameters", '{"jsonrpc":"2.0","id":1,"method":"status","params":[]}', "invalid_request", 1],
  ["a stray key", '{"jsonrpc":"2.0","id":1,"method":"status","parms":{}}', "invalid_request", 1],
  ["an unknown method", '{"jsonrpc":"2.0","id":"é","method":"mount.eat"}', "method_not_found", "é"],
  ["an inherited method", '{"jsonrpc":"2.0","id":1,"method":"constructor"}', "method_not_found", 1],
  ["unknown parameters", '{"jsonrpc":"2.0","id":1,"method":"status","params":{"x":1}}', "invalid_params", 1],
];

for (const [name, line, kind, id] of badLines) {
  Deno.test(`server: ${name} gets one typed error, and the next line is served`, async () => {
    const { client } = serveOne(fakeHost({ status: emptyStatus }));
    await client.initialize();
    await client.send(line);
    await client.send("\n");
    await client.request("next", "status");
    const reply = await client.next();
    assertEquals([reply.error.data.kind, reply.id], [kind, id]);
    assertEquals((await client.next()).id, "next");
    client.end.close();
  });
}

Deno.test("server: blank lines mean nothing, CRLF is a line end", async () => {
  const { client } = serveOne(fakeHost({ status: emptyStatus }));
  await client.initialize();
  await client.send('\n  \r\n\t\n{"jsonrpc":"2.0","id":1,"method":"status"}\r\n');
  assertEquals((await client.next()).id, 1);
  client.end.close();
});

Deno.test("server: responses are never answered, so two servers do not talk for ever", async () => {
  const { client } = serveOne(fakeHost({ status: emptyStatus }));
  await client.initialize();
  await client.send('{"jsonrpc":"2.0","id":1,"result":{}}\n{"jsonrpc":"2.0","id":null,"error":{"code":1}}\n');
  await client.request(2, "status");
  assertEquals((await client.next()).id, 2);
  client.end.close();
});

Deno.test("server: an over-long line gets an error that names the limit while it is still coming", async () => {
  const { client } = serveOne(fakeHost({ status: emptyStatus }));
  await client.initialize();
  const chunk = new Uint8Array(1 << 20).fill(0x5b);
  for (let at = 0; at < 9; at++) await client.send(chunk);
  const { id, error } = await client.next();
  assertEquals([id, error.code, error.data], [null, -32700, { kind: "parse_error", detail: "line 2" }]);
  assertEquals(error.message, `the line is longer than ${limits.maxLineBytes} bytes`);
  await client.send(chunk);
  await client.send("\n");
  await client.request(1, "status");
  assertEquals((await client.next()).id, 1);
  client.end.close();
});

Deno.test("server: a line cut off by the end of input is a parse error, and what came before is answered", async () => {
  const { client, served } = serveOne(fakeHost({ status: emptyStatus }));
  await client.initialize();
  await client.request(1, "status");
  await client.send('{"jsonrpc":"2.0","id":2');
  client.end.endOutput();
  const replies = await client.rest();
  assertEquals(replies.map((reply) => reply.id).sort(), [1, null].sort());
  assertEquals(
    replies.find((reply) => reply.id === null)?.error.message,
    "input ended in the middle of a line",
  );
  await served;
});

Deno.test("server: an id may be used again when its request is answered, not before", async () => {
  const held = heldSetMode();
  const { client } = serveOne(fakeHost({ "mount.setMode": held.method, status: emptyStatus }));
  await client.initialize();
  await client.request(1, "mount.setMode", { mount: "a", mode: "stub" });
  await held.begun(1);
  await client.request(1, "status");
  const refused = await client.next();
  assertEquals([refused.id, refused.error.data.kind], [1, "invalid_request"]);
  await client.request("1", "status");
  assertEquals((await client.next()).id, "1");
  held.calls[0]!.finish();
  assertEquals((await client.next()).result.mounts.length, 1);
  await client.request(1, "status");
  assertEquals((await client.next()).id, 1);
  client.end.close();
});

Deno.test("server: a method's ControlError arrives as it was thrown, anything else as internal", async () => {
  const failures: unknown[] = [];
  const { client } = serveOne(fakeHost({
    "file.create": () =>
      Promise.reject(
        new ControlError("system", "mknod a: ENOSPC", {
          errno: "ENOSPC",
          syscall: "mknodat",
          mount: "m",
          path: { b64: "/w==" },
          index: 3,
          rolledBack: true,
        }),
      ),
    status: () => {
      throw new RangeError("broken");
    },
    quit: () => Promise.reject(undefined),
  }, { failed: (method, error) => failures.push([method, String(error)]) }));
  await client.initialize();
  await client.request(1, "file.create", { mount: "m", entries: [] });
  assertEquals((await client.next()).error, {
    code: -32000,
    message: "mknod a: ENOSPC",
    data: {
      kind: "system",
      errno: "ENOSPC",
      syscall: "mknodat",
      mount: "m",
      path: { b64: "/w==" },
      index: 3,
      rolledBack: true,
    },
  });
  await client.request(2, "status");
  assertEquals((await client.next()).error, {
    code: -32603,
    message: "status: broken",
    data: { kind: "internal" },
  });
  await client.request(3, "quit");
  assertEquals((await client.next()).error.data.kind, "internal");
  assertEquals(failures, [["status", "RangeError: broken"], ["quit", "undefined"]]);
  client.end.close();
});

Deno.test("server: a result that does not fit its schema is an internal error, not a dead connection", async () => {
  const failures: string[] = [];
  const { client } = serveOne(fakeHost(
    { quit: () => Promise.resolve(7 as unknown as Record<string, never>) },
    { failed: (method) => failures.push(method) },
  ));
  await client.initialize();
  await client.request(1, "quit");
  assertEquals((await client.next()).error.data.kind, "internal");
  assertEquals(failures, ["quit"]);
  client.end.close();
});

Deno.test("server: a stopping server accepts queue jumpers only, and fails what was still queued", async () => {
  const held = heldSetMode();
  const { server, client } = serveOne(fakeHost({ "mount.setMode": held.method, status: emptyStatus }));
  await client.initialize();
  await client.request(1, "mount.setMode", { mount: "a", mode: "stub" });
  await client.request(2, "mount.setMode", { mount: "a", mode: "stub" });
  await held.begun(1);
  server.stop();
  await client.request(3, "mount.setMode", { mount: "b", mode: "stub" });
  const refused = await client.next();
  assertEquals([refused.id, refused.error.data.kind], [3, "shutting_down"]);
  await client.request(4, "status");
  assertEquals((await client.next()).id, 4);
  held.calls[0]!.finish();
  assertEquals((await client.next()).id, 1);
  const queued = await client.next();
  assertEquals([queued.id, queued.error.data.kind], [2, "shutting_down"]);
  assertEquals(held.calls.length, 1);
  client.end.close();
});

Deno.test("server: close writes out what waits, then ends every connection", async () => {
  const { server, client, served } = serveOne(fakeHost({ status: emptyStatus }));
  const other = connectTo(server, { capacity: 1 });
  await client.initialize();
  await client.request(1, "status");
  await server.close(50);
  assertEquals((await client.rest()).map((reply) => reply.id), [1]);
  await served;
  await other.served;
});

Deno.test("server: one client's life is told to the host once, in order", async () => {
  for (const persistent of [false, true]) {
    const told: string[] = [];
    const { server, client, served } = serveOne(
      fakeHost({}, {
        initialized: ({ id, label, client, onEof }) => told.push(`${id} ${label} ${client} ${onEof}`),
        inputEnded: ({ id }) => told.push(`input ${id}`),
        closed: ({ id }) => told.push(`closed ${id}`),
      }),
      { persistent },
    );
    await client.initialize({ client: { name: "criu", version: "4.2" }, onEof: "abort", events: "all" });
    client.end.endOutput();
    if (persistent) {
      server.emit("mount.gone", { mount: "a" });
      assertEquals((await client.next()).method, "mount.gone");
      assertEquals(told, ["1 test criu 4.2 abort", "input 1"]);
      await server.close(1000);
    }
    await served;
    assertEquals(told, ["1 test criu 4.2 abort", "input 1", "closed 1"]);
    assert((await client.next()) === undefined);
  }
});
