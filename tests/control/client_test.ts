import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, ConnectionError, ControlClient } from "../../control/client.ts";
import { ControlError } from "../../control/errors.ts";
import { limits } from "../../control/limits.ts";
import { ControlServer } from "../../control/server.ts";
import type { WireEvent } from "../../control/wire.ts";
import { emptyStatus, fakeHost, heldSetMode } from "./support/fake_host.ts";
import { pair } from "./support/pipe.ts";
import { RawClient } from "./support/raw_client.ts";

function served(server: ControlServer) {
  const [near, far] = pair();
  void server.serve(far, { label: "test" });
  return near;
}

Deno.test("client: calls, errors and events arrive typed, events before the reply that they belong to", async () => {
  const order: string[] = [];
  const server = new ControlServer(fakeHost({
    status: emptyStatus,
    "mount.setMode": (params, { emit }) => {
      emit("mode.changed", { mount: params.mount, mode: params.mode, previous: "restore", waited: 0 });
      return Promise.resolve({ mounts: [] });
    },
    "mount.abort": () =>
      Promise.reject(new ControlError("unknown_mount", "no mount nowhere", { mount: "nowhere" })),
  }));
  using client = await ControlClient.over(served(server), {
    name: "test",
    events: "all",
    onEvent: (event: WireEvent) => order.push(event.event),
  });
  assertEquals((await client.hello).program.name, "spfs");
  assertEquals((await client.call("status", {})).mounts, []);
  await client.call("mount.setMode", { mount: "a", mode: "stub" }).then(() => order.push("reply"));
  assertEquals(order, ["mode.changed", "reply"]);
  const error = await assertRejects(() => client.call("mount.abort", { mount: "nowhere" }), ControlError);
  assertEquals([error.kind, error.message, error.data], ["unknown_mount", "no mount nowhere", {
    mount: "nowhere",
  }]);
});

Deno.test("client: an aborted signal cancels the call", async () => {
  const held = heldSetMode();
  const server = new ControlServer(fakeHost({ "mount.setMode": held.method }));
  using client = await ControlClient.over(served(server), { name: "test" });
  const abort = new AbortController();
  const call = client.call("mount.setMode", { mount: "a", mode: "stub" }, { signal: abort.signal });
  await held.begun(1);
  const { signal } = held.calls[0]!.context;
  signal.addEventListener("abort", () => held.calls[0]!.fail(signal.reason));
  abort.abort();
  assertEquals((await assertRejects(() => call, ControlError)).kind, "cancelled");
});

Deno.test("client: a daemon that goes away fails what was under way and what comes after", async () => {
  const held = heldSetMode();
  const server = new ControlServer(fakeHost({ "mount.setMode": held.method }));
  using client = await ControlClient.over(served(server), { name: "test" });
  const call = assertRejects(
    () => client.call("mount.setMode", { mount: "a", mode: "stub" }),
    ConnectionError,
  );
  await held.begun(1);
  await server.close(1000);
  await call;
  await client.closed;
  await assertRejects(() => client.call("status", {}), ConnectionError);
});

Deno.test("client: what is no spfs is refused", async () => {
  for (const answer of ["HTTP/1.1 400 Bad Request\r\n\r\n", "7\n", ""]) {
    const [near, far] = pair();
    const other = new RawClient(far);
    const refused = assertRejects(() => ControlClient.over(near, { name: "test" }), ConnectionError);
    await other.send(answer);
    far.endOutput();
    await refused;
  }
});

Deno.test("client: a request that the daemon could not take in a line is refused before it is sent", async () => {
  const server = new ControlServer(fakeHost({ status: emptyStatus }));
  using client = await ControlClient.over(served(server), { name: "test" });
  const data = { b64: "A".repeat(limits.maxLineBytes) };
  const call = () => client.call("file.create", { mount: "a", entries: [{ type: "file", path: "a", data }] });
  assertEquals((await assertRejects(call, ControlError)).kind, "invalid_request");
  assertEquals((await client.call("status", {})).mounts, []);
});

Deno.test("client: an error for no request in particular ends the conversation, so nobody waits for ever", async () => {
  const [near, far] = pair();
  const server = new ControlServer(fakeHost({ status: () => new Promise(() => {}) }));
  const broken = {
    ...near,
    write: (bytes: Uint8Array) =>
      near.write(
        new TextDecoder().decode(bytes).includes("status") ? new TextEncoder().encode("what?\n") : bytes,
      ),
  };
  void server.serve(far, { label: "test" });
  using client = await ControlClient.over(broken, { name: "test" });
  await assertRejects(() => client.call("status", {}), ConnectionError);
});

Deno.test("client: another major version is refused with its kind", async () => {
  const [near, far] = pair();
  const other = new RawClient(far);
  const refused = assertRejects(() => ControlClient.over(near, { name: "test" }), ControlError);
  await other.send('{"jsonrpc":"2.0","method":"hello","params":{"protocol":{"major":2,"minor":0}}}\n');
  const { id } = await other.next();
  await other.send(
    JSON.stringify({
      jsonrpc: "2.0",
      id,
      error: { code: -32000, message: "no", data: { kind: "unsupported_protocol" } },
    }) +
      "\n",
  );
  assertEquals((await refused).kind, "unsupported_protocol");
});

Deno.test("client: speaks over a real unix socket, half-closing it included", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/s`;
  using listener = Deno.listen({ transport: "unix", path });
  const server = new ControlServer(fakeHost({ status: emptyStatus }));
  const accepted = (async () => {
    for await (const connection of listener) void server.serve(connection, { label: "socket" });
  })();
  {
    using client = await connect(path, { name: "test" });
    assertEquals((await client.call("status", {})).mounts, []);
  }
  const half = await Deno.connect({ transport: "unix", path });
  await half.write(new TextEncoder().encode(
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"client":{"name":"t"},"protocol":{"major":1}}}\n' +
      '{"jsonrpc":"2.0","id":2,"method":"status"}\n',
  ));
  await half.closeWrite();
  const replies = (await new Response(half.readable).text()).trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(replies.map((reply) => reply.id ?? reply.method), ["hello", 1, 2]);
  listener.close();
  await accepted;
  const gone = await assertRejects(() => connect(`${directory}/none`, { name: "test" }), ConnectionError);
  assert(gone.message.startsWith(`cannot reach ${directory}/none: `));
  await Deno.remove(directory, { recursive: true });
});
