/** What CRIU is told of stand-ins before it sends the restored processes on. */
import { assertEquals, assertRejects } from "@std/assert";
import { ControlError } from "../../control/errors.ts";
import type { RequestContext } from "../../control/handler.ts";
import { decodeParams } from "../../control/validation.ts";
import type { ManagedMount } from "../../host/managed_mount.ts";
import { RestoreMethods } from "../../host/restore_methods.ts";

/** A restore of these mounts; they can be taken away from the list. */
async function prepared(...ids: string[]) {
  const { mounts, methods, prepare, making } = restoring();
  mounts.push(...ids.map((id) => ({ id, mode: "restore" }) as unknown as ManagedMount));
  await prepare(ids);
  return { mounts, prepare, making, check: () => methods.check({} as never) };
}

/** The same, of which nothing is prepared yet; `making` says what comes before a mount is made. */
function restoring() {
  const mounts: ManagedMount[] = [];
  let make = (_: RequestContext): Promise<void> => Promise.resolve();
  const parts = {
    // As if they had been there before: with their nodes.
    create: async ({ id, mountpoint }: { id: string; mountpoint: Uint8Array }, request: RequestContext) => {
      await make(request);
      return { id, mountpoint, mode: "restore", createdNow: false };
    },
    replace: () => Promise.resolve({}),
    selected: () => [...mounts],
  };
  const thread = { hold: () => ({ [Symbol.dispose]() {} }) };
  const context = { log: { write() {} }, run: { ahead() {} }, takeMountThread: () => thread };
  const methods = new RestoreMethods(context as never, parts as never);
  const prepare = (ids: readonly string[], more: { process?: number; alone?: boolean } = {}) => {
    const config = {
      mounts: ids.map((id) => ({ id, mountpoint: `/${id}`, replace: { source: "/s", type: "bind" } })),
    };
    const params = decodeParams("restore.prepare", { images: "/images", config, ...more });
    return methods.prepare(params, { signal: new AbortController().signal } as never);
  };
  return {
    mounts,
    methods,
    prepare,
    making: (how: typeof make) => void (make = how),
  };
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

Deno.test("restore: what is prepared outlives another order that is refused", async () => {
  const { mounts, prepare, making, check } = await prepared("a", "b");
  making(() => Promise.reject(new ControlError("conflict", "no")));
  await assertRejects(() => prepare(["c"]), ControlError, "no");
  mounts.pop();
  await assertRejects(check, ControlError, "b is gone");
});

Deno.test("restore: who is to be alone is refused while another restore is being prepared, and after it", async () => {
  const { mounts, prepare, making } = restoring();
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  making(() => {
    begun.resolve();
    return go.promise;
  });
  const first = prepare(["a"], { alone: true });
  await begun.promise;
  const isRefused = async () => {
    const { kind } = await assertRejects(() => prepare(["b"], { alone: true }), ControlError, "has mounts");
    assertEquals(kind, "conflict");
  };
  await isRefused();
  go.reject(new ControlError("internal", "no"));
  await assertRejects(() => first, ControlError, "no");
  making(() => Promise.resolve(void mounts.push({ id: "a", mode: "restore" } as unknown as ManagedMount)));
  await prepare(["a"], { alone: true });
  await isRefused();
});

Deno.test("restore: stand-ins that are still being made are given up when CRIU ends", async () => {
  const { prepare, making } = restoring();
  const criu = new Deno.Command("sleep", { args: ["60"] }).spawn();
  making(({ signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      criu.kill("SIGKILL");
    })
  );
  await assertRejects(() => prepare(["a"], { process: criu.pid }), ControlError, "has ended before");
  await criu.status;
});
