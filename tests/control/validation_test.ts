import { assertEquals, assertThrows } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { limits } from "../../control/limits.ts";
import type { MethodName } from "../../control/protocol.ts";
import { decodeParams, encodeResult } from "../../control/validation.ts";

function refusal(method: MethodName, params: unknown): ControlError {
  const error = assertThrows(() => decodeParams(method, params), ControlError);
  assertEquals(error.kind, "invalid_params");
  return error;
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("validation: parameters arrive decoded, with defaults", () => {
  assertEquals(
    decodeParams("mount.create", { id: "a", mountpoint: { b64: "L/8=" }, size: "9223372036854775807" }),
    {
      id: "a",
      mountpoint: new Uint8Array([0x2f, 0xff]),
      mode: "restore",
      size: 9223372036854775807n,
      attrTimeoutMs: 1000,
      interrupts: "any",
      options: { dev: true, suid: true, exec: true, readOnly: false },
    },
  );
  const images = { directory: "/images", mountpoint: { b64: "L/8=" }, namespace: 12 };
  const { root, images: decoded } = decodeParams("mount.create", {
    id: "a",
    mountpoint: "/m",
    root: { uid: 5 },
    images,
  });
  assertEquals(root, { mode: 0o755, uid: 5, gid: 0 });
  assertEquals(decoded, {
    directory: bytes("/images"),
    mountpoint: new Uint8Array([0x2f, 0xff]),
    namespace: 12,
  });
  assertEquals(
    decodeParams("file.create", {
      mount: "a",
      entries: [
        { type: "file", path: "é/b", mode: "4755", data: { b64: "aGk=" }, mtime: { sec: "-1" } },
        { type: "char", path: "null", rdev: { major: 1, minor: 3 }, xattrs: { "user.a": { b64: "" } } },
        { type: "link", path: "c", target: "é/b" },
      ],
    }),
    {
      mount: "a",
      parents: true,
      entries: [
        {
          type: "file",
          path: bytes("é/b"),
          mode: 0o4755,
          uid: 0,
          gid: 0,
          data: bytes("hi"),
          mtime: { sec: -1n, nsec: 0 },
        },
        {
          type: "char",
          path: bytes("null"),
          mode: 0o644,
          uid: 0,
          gid: 0,
          rdev: { major: 1, minor: 3 },
          xattrs: { "user.a": new Uint8Array(0) },
        },
        { type: "link", path: bytes("c"), target: bytes("é/b") },
      ],
    },
  );
  assertEquals(
    decodeParams("mount.replace", { mount: "a", source: "/dev/x", type: "ext4", retry: { maxMs: 500 } })
      .retry,
    {
      initialMs: 100,
      maxMs: 500,
      factor: 2,
    },
  );
});

Deno.test("validation: a swap is of every process that refers to the mount, unless others are named", () => {
  const sides = { source: "/a", target: { b64: "L/8=" } };
  assertEquals(decodeParams("swap.run", sides), {
    source: bytes("/a"),
    target: new Uint8Array([0x2f, 0xff]),
    processes: { kind: "referring" },
    leave: false,
    deadlineMs: 5000,
  });
  const selected = (processes: unknown) => decodeParams("swap.plan", { ...sides, processes }).processes;
  assertEquals(selected({ kind: "pids", pids: [7, 8] }), { kind: "pids", pids: [7, 8], tree: false });
  assertEquals(selected({ kind: "cgroup", path: "/c" }), { kind: "cgroup", path: "/c" });
  assertEquals(selected({ kind: "pid-namespace", pid: 9 }), { kind: "pid-namespace", pid: 9 });
  const replace = decodeParams("mount.replace", { mount: "a", source: "/dev/x", type: "ext4" });
  assertEquals([replace.swap, replace.swapProcesses, replace.swapDeadlineMs], [
    "auto",
    { kind: "referring" },
    5000,
  ]);
});

const swap = { source: "/a", target: "/b" };

const refusals: [string, MethodName, unknown, string][] = [
  [
    "a relative source of a swap",
    "swap.plan",
    { source: "a", target: "/b" },
    "swap.plan: source: must begin with /",
  ],
  ["leaving in a plan", "swap.plan", { ...swap, leave: true }, "swap.plan: leave: unknown key"],
  [
    "a selection nobody knows",
    "swap.run",
    { ...swap, processes: { kind: "all" } },
    "swap.run: processes.kind: expected one of referring, pids, cgroup, pid-namespace",
  ],
  [
    "no process at all",
    "swap.run",
    { ...swap, processes: { kind: "pids", pids: [] } },
    "swap.run: processes.pids: expected at least 1 items",
  ],
  [
    "a process that cannot be",
    "swap.run",
    { ...swap, processes: { kind: "pids", pids: [0] } },
    "swap.run: processes.pids[0]: expected at least 1",
  ],
  [
    "a relative cgroup",
    "swap.run",
    { ...swap, processes: { kind: "cgroup", path: "c" } },
    "swap.run: processes.path: must begin with / and have no NUL byte",
  ],
  ["no time at all", "swap.run", { ...swap, deadlineMs: 0 }, "swap.run: deadlineMs: expected at least 1"],
  [
    "a swap nobody knows",
    "mount.replace",
    { mount: "a", source: "s", type: "nfs", swap: "half" },
    'mount.replace: swap: expected "auto" or "none" or "require"',
  ],
  ["a missing key", "mount.create", { id: "a" }, "mount.create: mountpoint: missing"],
  ["an unknown key", "status", { mounts: 1 }, "status: mounts: unknown key"],
  [
    "an unknown key deep down",
    "mount.create",
    { id: "a", mountpoint: "/m", root: { "a-b": 1 } },
    'mount.create: root["a-b"]: unknown key',
  ],
  ["a wrong type", "status", { requests: "1" }, "status: requests: expected number"],
  ["no object", "status", [], "status: params: expected object"],
  [
    "a wrong word",
    "mount.setMode",
    { mount: "a", mode: "live" },
    'mount.setMode: mode: expected "restore" or "stub" or "proxy"',
  ],
  ["a count too big", "status", { requests: 1e6 }, "status: requests: expected at most 100000"],
  ["a fraction", "status", { requests: 1.5 }, "status: requests: expected int"],
  [
    "a bad mount id",
    "mount.setMode",
    { mount: "a b", mode: "stub" },
    'mount.setMode: mount: expected a mount id or "all"',
  ],
  [
    "a relative mountpoint",
    "mount.create",
    { id: "a", mountpoint: "m" },
    "mount.create: mountpoint: must begin with /",
  ],
  ["a NUL", "mount.create", { id: "a", mountpoint: "/m\0" }, "mount.create: mountpoint: has a NUL byte"],
  [
    "a lone surrogate",
    "mount.create",
    { id: "a", mountpoint: "/\ud800" },
    'mount.create: mountpoint: not well-formed Unicode: give the bytes as {"b64": ...}',
  ],
  [
    "neither text nor bytes",
    "mount.create",
    { id: "a", mountpoint: 7 },
    'mount.create: mountpoint: expected a string or {"b64": ...}',
  ],
  [
    "a size as a number",
    "mount.create",
    { id: "a", mountpoint: "/m", size: 5 },
    "mount.create: size: expected a decimal integer in a string, 0 to 9223372036854775807",
  ],
  [
    "a size beyond off_t",
    "mount.create",
    { id: "a", mountpoint: "/m", size: "9223372036854775808" },
    "mount.create: size: expected a decimal integer in a string, 0 to 9223372036854775807",
  ],
  [
    "a mode with a file type",
    "mount.create",
    { id: "a", mountpoint: "/m", root: { mode: "40755" } },
    'mount.create: root.mode: expected permission bits as an octal string such as "0644"',
  ],
  [
    "a uid that means none",
    "mount.create",
    { id: "a", mountpoint: "/m", root: { uid: 0xffff_ffff } },
    "mount.create: root.uid: expected at most 4294967294",
  ],
  [
    "two mounts of images at once",
    "mount.create",
    { id: "a", mountpoint: "/m", images: { directory: "/i", key: "net", mountId: 5 } },
    "mount.create: images: has more than one of mountpoint, mountId and key",
  ],
  [
    "a namespace of what is told without",
    "mount.create",
    { id: "a", mountpoint: "/m", images: { directory: "/i", key: "net", namespace: 5 } },
    "mount.create: images.namespace: goes with mountpoint only",
  ],
  [
    "an errno number",
    "mount.abort",
    { mount: "a", errno: 5 },
    'mount.abort: errno: expected the name of an errno such as "EIO"',
  ],
  ["pauses upside down", "mount.replace", {
    mount: "a",
    source: "s",
    type: "nfs",
    retry: { initialMs: 20_000 },
  }, "mount.replace: retry.initialMs: is more than maxMs"],
];

for (const [name, method, params, message] of refusals) {
  Deno.test(`validation: ${name} is refused by a sentence that names the key`, () => {
    assertEquals(refusal(method, params).message, message);
  });
}

const entryRefusals: [string, unknown, string][] = [
  [
    "an absolute path",
    { type: "file", path: "/a" },
    "entries[1].path: must be relative, without empty components",
  ],
  [
    "a trailing slash",
    { type: "directory", path: "a/" },
    "entries[1].path: must be relative, without empty components",
  ],
  [
    "a way out",
    { type: "file", path: "a/../../b" },
    'entries[1].path: must not have the components "." and ".."',
  ],
  [
    "a name too long",
    { type: "file", path: "x".repeat(256) },
    "entries[1].path: has a component longer than 255 bytes",
  ],
  ["an empty path", { type: "file", path: "" }, "entries[1].path: is empty"],
  [
    "a type nobody knows",
    { type: "door", path: "a" },
    "entries[1].type: expected one of file, directory, symlink, fifo, socket, char, block, link",
  ],
  ["no entry at all", null, "entries[1]: expected object"],
  ["a key of another type", { type: "fifo", path: "a", data: { b64: "" } }, "entries[1].data: unknown key"],
  ["a symlink without text", { type: "symlink", path: "a" }, "entries[1].target: missing"],
  [
    "data beyond the size",
    { type: "file", path: "a", size: "1", data: { b64: "aGk=" } },
    "entries[1].size: is less than the length of data",
  ],
  [
    "broken base64",
    { type: "file", path: "a", data: { b64: "aGk" } },
    "entries[1].data: not base64 with padding",
  ],
  [
    "base64 with white space",
    { type: "file", path: "a", data: { b64: "aG k" } },
    "entries[1].data: not base64 with padding",
  ],
  [
    "nanoseconds beyond a second",
    { type: "fifo", path: "a", mtime: { sec: "0", nsec: 1e9 } },
    "entries[1].mtime.nsec: expected at most 999999999",
  ],
  [
    "an inherited name",
    JSON.parse('{"type":"fifo","path":"a","__proto__":{}}'),
    "entries[1].__proto__: unknown key",
  ],
];

for (const [name, entry, message] of entryRefusals) {
  Deno.test(`validation: file.create refuses ${name}, naming the entry`, () => {
    const params = { mount: "a", entries: [{ type: "directory", path: "good" }, entry] };
    assertEquals(refusal("file.create", params).message, `file.create: ${message}`);
  });
}

Deno.test("validation: several faults are listed, up to ten", () => {
  assertEquals(
    refusal("mount.create", { id: "all", mountpoint: "/m", a: 1 }).data.detail?.split("; ").length,
    2,
  );
  const entries = Array.from({ length: 100 }, () => ({ type: "file", path: "/" }));
  assertEquals(refusal("file.create", { mount: "a", entries }).data.detail?.split("; ").length, 10);
});

Deno.test("validation: more entries than the limit are refused", () => {
  const entries = Array.from(
    { length: limits.maxEntriesPerCall + 1 },
    () => ({ type: "directory", path: "a" }),
  );
  assertEquals(
    refusal("file.create", { mount: "a", entries }).message,
    `file.create: entries: expected at most ${limits.maxEntriesPerCall} items`,
  );
});

Deno.test("validation: results are encoded for the wire", () => {
  assertEquals(
    encodeResult("mount.create", {
      id: "a",
      mountpoint: new Uint8Array([0x2f, 0xff]),
      mode: "stub",
      mountId: (1n << 64n) - 1n,
      device: "0:52",
      createdNow: true,
    }),
    {
      id: "a",
      mountpoint: { b64: "L/8=" },
      mode: "stub",
      mountId: "18446744073709551615",
      device: "0:52",
      createdNow: true,
    },
  );
});

Deno.test("validation: a result never fails for what a file is called", () => {
  const path = new Uint8Array([0xff, 0x00, 0x0a]);
  const encoded = encodeResult("status", {
    program: { name: "spfs", version: "0" },
    pid: 1,
    uptimeMs: 1,
    memory: { rssBytes: 1 },
    mounts: [{
      id: "a",
      mountpoint: path,
      mode: "stub",
      device: "0:1",
      since: 0,
      parked: { count: 1, oldestMs: 1, byOp: { READ: 1 } },
      requests: [{
        unique: 2n,
        op: "READ",
        pid: 3,
        comm: "x",
        nodeid: 1n,
        path,
        ageMs: 1,
        interrupted: false,
      }],
      nodes: 1,
      handles: 1,
      served: { count: 1 },
    }],
  });
  assertEquals(JSON.stringify(encoded).includes('"path":{"b64":"/wAK"}'), true);
});
