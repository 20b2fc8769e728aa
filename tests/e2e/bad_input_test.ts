/** Bad input: a typed error that names the thing, nothing half-done, the channel alive. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { limits } from "../../control/limits.ts";
import { e2e } from "./support/case.ts";
import type { Child } from "./support/child.ts";
import { mountsBelow, until, within } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";

/** A response, as far as these tests look at it. */
interface Response {
  id: number | string | null;
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data: { kind: string; path?: string; mount?: string } };
}

/** A daemon whose lines are written and read as they are. */
class RawDaemon {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(sandbox: Sandbox, binary: Binary): Promise<RawDaemon> {
    const [command, ...first] = binary.command;
    const env = { SPFS_RUNTIME_DIR: sandbox.directory("run", 0o700), SPFS_SOCKET: "" };
    const daemon = new RawDaemon(sandbox.start(command, [...first, "serve"], { env }));
    assertMatch(await within("the hello", daemon.#child.line()), /"method":"hello"/);
    await daemon.send({
      id: 0,
      method: "initialize",
      params: { client: { name: "raw" }, protocol: { major: 1 } },
    });
    assert((await daemon.response()).result);
    return daemon;
  }

  /** Sends a request. */
  async send(request: Record<string, unknown>): Promise<void> {
    await this.line(JSON.stringify({ jsonrpc: "2.0", ...request }));
  }

  /** Sends a line; of bytes, the newline included. */
  async line(text: string | Uint8Array): Promise<void> {
    await this.#child.send(text);
  }

  /** The next response. */
  async response(): Promise<Response> {
    return JSON.parse(await within("a response", this.#child.line()));
  }

  /** Checks that the channel works, and that nothing was mounted. */
  async alive(mounts = 0): Promise<void> {
    await this.send({ id: "alive", method: "status", params: {} });
    const { id, result } = await this.response();
    assertEquals(id, "alive");
    assertEquals((result!.mounts as unknown[]).length, mounts);
  }

  /** Ends its input and waits for its end. */
  async end(): Promise<number> {
    await this.#child.closeInput();
    return (await within("the end", this.#child.ended())).code;
  }
}

const lines: Record<string, { line: string; kind: string; id?: number }> = {
  "no JSON": { line: "{nonsense", kind: "parse_error" },
  "a line of control characters": { line: "\u0000\u0001", kind: "parse_error" },
  "a batch": { line: '[{"jsonrpc":"2.0","id":1,"method":"status","params":{}}]', kind: "invalid_request" },
  "a number": { line: "17", kind: "invalid_request" },
  "another version of JSON-RPC": {
    line: '{"jsonrpc":"1.0","id":1,"method":"status"}',
    kind: "invalid_request",
    id: 1,
  },
  "an unknown method": {
    line: '{"jsonrpc":"2.0","id":1,"method":"mount.destroy","params":{}}',
    kind: "method_not_found",
    id: 1,
  },
  "an unknown key": {
    line:
      '{"jsonrpc":"2.0","id":1,"method":"mount.create","params":{"id":"a","mountpoint":"/MNT","mod":"stub"}}',
    kind: "invalid_params",
    id: 1,
  },
  "a value of the wrong type": {
    line: '{"jsonrpc":"2.0","id":1,"method":"mount.create","params":{"id":"a","mountpoint":17}}',
    kind: "invalid_params",
    id: 1,
  },
  "an unknown mount": {
    line: '{"jsonrpc":"2.0","id":1,"method":"mount.setMode","params":{"mount":"nobody","mode":"stub"}}',
    kind: "unknown_mount",
    id: 1,
  },
};

for (const [name, { line, kind, id = null }] of Object.entries(lines)) {
  await e2e(`${name} is answered by ${kind}, and the channel lives`, async (sandbox, binary) => {
    const mountpoint = sandbox.directory("mnt");
    const daemon = await RawDaemon.start(sandbox, binary);
    await daemon.line(line.replace("/MNT", mountpoint));
    const response = await daemon.response();
    assertEquals(response.error?.data.kind, kind, JSON.stringify(response));
    assertEquals(response.id, id);
    await daemon.alive();
    assertEquals(mountsBelow(sandbox.path), []);
    assertEquals(await daemon.end(), 0);
  });
}

await e2e(
  "a line that is no UTF-8 is answered by parse_error, and the next one is read",
  async (sandbox, binary) => {
    const daemon = await RawDaemon.start(sandbox, binary);
    await daemon.line(new Uint8Array([0x22, 0xff, 0xfe, 0x22, 0x0a]));
    assertEquals((await daemon.response()).error?.data.kind, "parse_error");
    await daemon.alive();
    assertEquals(await daemon.end(), 0);
  },
);

await e2e(
  "a line that is too long is answered by parse_error that names the limit, and the next one is read",
  async (sandbox, binary) => {
    const daemon = await RawDaemon.start(sandbox, binary);
    const sent = daemon.line("x".repeat(limits.maxLineBytes + 1));
    const response = await daemon.response();
    await sent;
    assertEquals(response.error?.data.kind, "parse_error");
    assertMatch(response.error!.message, new RegExp(String(limits.maxLineBytes)));
    await daemon.alive();
    assertEquals(await daemon.end(), 0);
  },
);

/** What a call fails with. */
async function failure(call: Promise<unknown>): Promise<ControlError> {
  return await assertRejects(() => call, ControlError);
}

await e2e(
  "a mountpoint that is missing, no directory or taken is refused by name, and nothing is mounted",
  async (sandbox, binary) => {
    const spfs = await Spfs.start(sandbox, binary);
    const mountpoint = sandbox.directory("mnt");
    const file = sandbox.at("file");
    Deno.writeTextFileSync(file, "");
    const missing = await failure(spfs.call("mount.create", { id: "a", mountpoint: sandbox.at("missing") }));
    assertEquals([missing.data.errno, missing.data.path], ["ENOENT", sandbox.at("missing")]);
    const noDirectory = await failure(spfs.call("mount.create", { id: "a", mountpoint: file }));
    assertEquals([noDirectory.data.errno, noDirectory.data.path], ["ENOTDIR", file]);
    assertEquals(mountsBelow(sandbox.path), []);
    await spfs.call("mount.create", { id: "a", mountpoint });
    const taken = await failure(spfs.call("mount.create", { id: "b", mountpoint }));
    assertEquals([taken.data.errno, taken.data.path], ["EBUSY", mountpoint]);
    assertEquals(mountsBelow(sandbox.path).length, 1);
    await spfs.quit();
  },
);

await e2e(
  "a full placeholder: the entries of the call that does not fit are taken back",
  async (sandbox, binary) => {
    const spfs = await Spfs.start(sandbox, binary);
    const mountpoint = sandbox.directory("mnt");
    await spfs.call("mount.create", { id: "net", mountpoint, size: String(1024 * 1024) });
    const block = { b64: btoa("x".repeat(300 * 1024)) };
    const entries = Array.from(
      { length: 5 },
      (_, n) => ({ path: `dir/file${n}`, type: "file" as const, data: block }),
    );
    const full = await failure(spfs.call("file.create", { mount: "net", entries }));
    assertEquals([full.data.errno, full.data.mount, full.data.rolledBack], ["ENOSPC", "net", true]);
    assert(full.data.index! > 0 && full.data.index! < 5, `index ${full.data.index}`);
    const list = sandbox.start("ls", ["-A", mountpoint]);
    assertEquals((await list.ended()).stdout, "");
    const { created } = await spfs.call("file.create", { mount: "net", entries: entries.slice(0, 2) });
    assertEquals(created, 2);
    await spfs.quit();
  },
);

await e2e("one wrong entry among many: nothing is made", async (sandbox, binary) => {
  const spfs = await Spfs.start(sandbox, binary);
  const mountpoint = sandbox.directory("mnt");
  await spfs.call("mount.create", { id: "net", mountpoint });
  const file = (path: string) => ({ path, type: "file" as const });
  for (const wrong of ["../outside", "/absolute", "a/../../b", ""]) {
    const error = await failure(
      spfs.call("file.create", { mount: "net", entries: [file("fine"), file(wrong)] }),
    );
    assertEquals(error.kind, "invalid_params", wrong);
  }
  const conflict = await failure(
    spfs.call("file.create", { mount: "net", entries: [file("fine"), file("fine/below")] }),
  );
  assertEquals([conflict.data.index, conflict.data.rolledBack], [1, true]);
  const list = sandbox.start("ls", ["-A", mountpoint]);
  assertEquals((await list.ended()).stdout, "");
  await spfs.quit();
});

await e2e(
  "a backing that vanishes gives its users errors, and the channel lives",
  async (sandbox, binary) => {
    // The backing is a mount of another daemon, which is killed: what is left of it answers ENOTCONN.
    const remote = await Spfs.start(sandbox, binary, { socket: false });
    const source = sandbox.directory("remote");
    await remote.call("mount.create", { id: "remote", mountpoint: source });
    await remote.call("file.create", {
      mount: "remote",
      entries: [{ path: "file", type: "file", data: { b64: btoa("real") } }],
    });
    const spfs = await Spfs.start(sandbox, binary);
    const mountpoint = sandbox.directory("mnt");
    await spfs.call("mount.create", { id: "net", mountpoint });
    const user = sandbox.start("sh", [
      "-c",
      'cd "$0" && echo ready && while read -r _; do cat file 2>&1 || true; echo; done',
      mountpoint,
    ]);
    await user.line();
    await spfs.call("mount.replace", { mount: "net", source, type: "bind", swap: "none", wait: true });
    assertEquals(await user.ask(""), "real");
    remote.kill("SIGKILL");
    await remote.ended();
    assertMatch(await within("the user's answer", user.ask("")), /not connected/);
    const { mounts } = await spfs.call("status", {});
    assertEquals(mounts.length, 1);
    user.kill("SIGKILL");
    await user.status;
    spfs.closeInput();
    assertEquals((await spfs.ended()).code, 0);
    for (const path of [mountpoint, source]) {
      for (const _ of mountsBelow(path)) await sandbox.start("umount", ["--lazy", path]).ended();
    }
    await until("no mounts", () => mountsBelow(sandbox.path).length === 0);
  },
);
