import { assertEquals } from "@std/assert";
import { Errno } from "../../ffi/errno.ts";
import { readProcFile } from "../../ffi/sys/process.ts";
import { requires } from "../support/requirements.ts";
import { temporaryDirectory, writeText } from "./support/temporary.ts";

/** Undefined for a thread that has ended: the runtime ends those that it has no use for. */
function ids(thread: string): string[] | undefined {
  const read = readProcFile(`/proc/self/task/${thread}/status`);
  if (typeof read === "number") return undefined;
  const status = new TextDecoder().decode(read);
  return ["Uid", "Gid", "Groups"].map((name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, "m").exec(status)![1]!);
}

Deno.test({
  name: "identity: user, groups and umask change for one thread and no other, and can be changed back",
  ...await requires({ root: true }),
  async fn() {
    using directory = temporaryDirectory();
    const path = writeText(directory, "secret", "x");
    Deno.chmodSync(path, 0o600);
    Deno.chmodSync(directory.path, 0o755);
    const before = ids(String(Deno.pid));
    const mask = Deno.umask();
    const worker = new Worker(new URL("./support/thread_identity_worker.ts", import.meta.url), {
      type: "module",
    });
    const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage(path);
    const told = await answer;
    const threads = [...Deno.readDirSync("/proc/self/task")].map(({ name }) => ids(name)?.join());
    const seen = new Set(threads.filter((told) => told !== undefined));
    worker.terminate();
    assertEquals(told, {
      changed: [0, 0, 0, 0],
      ids: ["0\t0\t0\t12345", "0\t0\t0\t12345", "7 8"],
      opened: -Errno.EACCES,
      back: [0, 0, 0],
      openedAsRoot: 0,
    });
    assertEquals(ids(String(Deno.pid)), before);
    assertEquals(Deno.umask(), mask);
    assertEquals(seen.size <= 2, true, [...seen].join(" | ")); // ours, and the worker's with no groups
  },
});
