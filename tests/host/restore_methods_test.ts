/** What CRIU is told of stand-ins before it sends the restored processes on. */
import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import { decodeParams } from "../../control/validation.ts";
import type { ManagedMount } from "../../host/managed_mount.ts";
import { RestoreMethods } from "../../host/restore_methods.ts";

/** A restore of these mounts; they can be taken away from the list. */
async function prepared(...ids: string[]) {
  const mounts = ids.map((id) => ({ id, mode: "restore" }) as unknown as ManagedMount);
  const parts = {
    // As if they had been there before: with their nodes.
    create: ({ id, mountpoint }: { id: string; mountpoint: Uint8Array }) =>
      Promise.resolve({ id, mountpoint, mode: "restore", createdNow: false }),
    replace: () => Promise.resolve({}),
    selected: () => [...mounts],
  };
  const thread = { hold: () => ({ [Symbol.dispose]() {} }) };
  const context = { log: { write() {} }, run: { ahead() {} }, takeMountThread: () => thread };
  const methods = new RestoreMethods(context as never, parts as never);
  const config = {
    mounts: ids.map((id) => ({ id, mountpoint: `/${id}`, replace: { source: "/s", type: "bind" } })),
  };
  const params = decodeParams("restore.prepare", { images: "/images", config });
  await methods.prepare(params, { signal: new AbortController().signal } as never);
  return { mounts, check: () => methods.check({} as never) };
}

Deno.test("restore: every stand-in is told with its mode", async () => {
  const { check } = await prepared("a", "b");
  assertEquals(await check(), { mounts: [{ id: "a", mode: "restore" }, { id: "b", mode: "restore" }] });
});

Deno.test("restore: a stand-in that is lost meanwhile fails the restore by its name", async () => {
  const { mounts, check } = await prepared("a", "b");
  mounts.pop();
  const { kind, data } = await assertRejects(check, ControlError, "b is gone");
  assertEquals([kind, data.mount], ["mount_lost", "b"]);
});
