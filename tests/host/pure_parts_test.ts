import { assertEquals } from "@std/assert";
import { kernelLine, timeoutsLine } from "../../host/probe.ts";
import { ownerDirectoryName, parseOwnerDirectoryName } from "../../host/runtime_directory.ts";
import { sameParams } from "../../host/same_params.ts";

Deno.test("same params: values count, not objects, and absent is as good as undefined", () => {
  const params = () => ({
    id: "m",
    path: new Uint8Array([1, 2]),
    size: 5n,
    options: { dev: true },
    list: ["a"],
  });
  assertEquals(sameParams(params(), { ...params(), extra: undefined }), true);
  const others = [
    { ...params(), path: new Uint8Array([1, 3]) },
    { ...params(), path: new Uint8Array([1, 2, 3]) },
    { ...params(), size: 6n },
    { ...params(), size: 5 },
    { ...params(), options: { dev: false } },
    { ...params(), options: null },
    { ...params(), list: ["a", "b"] },
    { ...params(), list: { 0: "a" } },
    { ...params(), more: 1 },
    { id: "m" },
  ];
  for (const other of others) {
    assertEquals([sameParams(params(), other), sameParams(other, params())], [false, false]);
  }
});

Deno.test("runtime directory: an owner's directory tells the owner, other names tell nobody", () => {
  const owner = { pidNamespace: 4026531836n, pid: 7, startTime: 99n };
  assertEquals(ownerDirectoryName(owner), "owner-4026531836-7-99");
  assertEquals(parseOwnerDirectoryName(ownerDirectoryName(owner)), owner);
  for (
    const name of ["control.sock", "owner-", "owner-1-2", "owner-1-2-3-4", "owner-a-2-3", "xowner-1-2-3"]
  ) {
    assertEquals(parseOwnerDirectoryName(name), undefined, name);
  }
});

Deno.test("probe: a kernel before 5.8 lacks what is needed", () => {
  const states = ["5.4.0-1-amd64", "5.7", "5.8.0", "5.10.0", "6.1.0-13", "7.0.1"].map((release) =>
    kernelLine(release).state
  );
  assertEquals(states, ["missing", "missing", "ok", "ok", "ok", "ok"]);
});

Deno.test("probe: a FUSE timeout would kill requests that wait", () => {
  assertEquals(timeoutsLine({}).state, "ok");
  assertEquals(timeoutsLine({ default: 0, max: 0 }).state, "ok");
  assertEquals(timeoutsLine({ default: 0, max: 600 }).state, "degraded");
  assertEquals(timeoutsLine({ default: 60, max: 0 }).state, "degraded");
});
