/** Requests that wait cost next to nothing, and all come back with the real file system's answer. */
import { assert, assertEquals } from "@std/assert";
import { e2e } from "./support/case.ts";
import { cpuTimeNs, statusNumber } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

/** What blocked.c prints. */
interface Returned {
  count: number;
  returned: number;
  early: number;
  wrong: number;
  firstNs: number;
  medianNs: number;
  lastNs: number;
  errors: Record<string, number>;
}

/** A directory of files whose names are their contents, as blocked.c expects them. */
function fill(directory: string, count: number): void {
  for (let n = 0; n < count; n++) {
    const name = `f${String(n).padStart(5, "0")}`;
    Deno.writeTextFileSync(`${directory}/${name}`, `${name}\n`);
  }
}

/** Looks at the mountpoint whose requests wait, and reads from another mount of the same daemon; both must answer. */
async function othersAreServed(sandbox: Sandbox, spfs: Spfs, mountpoint: string): Promise<void> {
  const other = sandbox.directory("other");
  await spfs.call("mount.create", { id: "other", mountpoint: other });
  const data = { b64: btoa("served") };
  await spfs.call("file.create", { mount: "other", entries: [{ path: "file", type: "file", data }] });
  const script = 'stat --format %F "$0" && cat "$1/file"';
  const looks = sandbox.start("sh", ["-c", script, mountpoint, other], { limitMs: 10_000 });
  assertEquals((await looks.ended()).stdout, "directory\nserved");
}

/** Lets `count` clients wait in an operation, measures, and lets them go to the real directory. */
async function wait(sandbox: Sandbox, binary: Binary, operation: "stat" | "open" | "read", count: number) {
  const mountpoint = sandbox.directory("mnt");
  const real = sandbox.directory("real");
  fill(real, count);
  const spfs = await Spfs.start(sandbox, binary);
  await spfs.call("mount.create", { id: "net", mountpoint });
  if (operation === "read") {
    // What is read later has to be opened before: the placeholders are as large as the files, and full of zeros.
    const entries = Array.from({ length: count }, (_, n) => ({
      path: `f${String(n).padStart(5, "0")}`,
      type: "file" as const,
      size: "7",
    }));
    await spfs.call("file.create", { mount: "net", entries });
  }
  const clients = sandbox.start(victim("blocked"), [operation, String(count), mountpoint]);
  assertEquals(await clients.line(), "ready");
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  // The first one costs what all of them need.
  const first = sandbox.start("stat", [`${mountpoint}/first`]);
  await spfs.parked("net", 1);
  const before = { threads: statusNumber(spfs.pid, "Threads"), rss: statusNumber(spfs.pid, "VmRSS") };
  assertEquals(await clients.ask("go"), "went");
  await spfs.parked("net", count + 1);
  const threads = statusNumber(spfs.pid, "Threads") - before.threads;
  const rssPerRequest = (statusNumber(spfs.pid, "VmRSS") - before.rss) * 1024 / count;
  await othersAreServed(sandbox, spfs, mountpoint);
  const cpu = cpuTimeNs(spfs.pid);
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 2000)); // not to wait for something: this is the time that is measured
  const cpuShare = (cpuTimeNs(spfs.pid) - cpu) / 1e6 / (performance.now() - from);
  assertEquals(await clients.ask("mark"), "marked");
  await spfs.call("mount.replace", { mount: "net", source: real, type: "bind" });
  const returned: Returned = JSON.parse(await clients.line());
  assertEquals((await first.ended()).code, 1); // there is no such file
  await spfs.event("replace.done", ({ ok }) => ok);
  assertEquals((await spfs.quit()).code, 0);
  return { threads, rssPerRequest, cpuShare, returned };
}

/** How many files the daemon may have open. */
const limit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))![1]);
/**
 * How many clients wait. On a slow machine all that wait in `open` have their files open at once when they come back, which takes two
 * descriptors of each. For `read` a half, because going over to the real files takes one more for a moment.
 */
const counts = { stat: 10_000, open: Math.min(10_000, limit / 2 - 500), read: 5_000 } as const;

for (const operation of ["stat", "open", "read"] as const) {
  const clients = counts[operation];
  await e2e(
    `${clients} clients that wait in ${operation} cost no thread and come back`,
    async (sandbox, binary) => {
      const { threads, rssPerRequest, cpuShare, returned } = await wait(sandbox, binary, operation, clients);
      const { count, errors, wrong, early, lastNs } = returned;
      console.log(
        `${Math.round(rssPerRequest)} bytes each, ${(cpuShare * 100).toFixed(2)} % of a core, ` +
          `back after ${Math.round(returned.firstNs / 1e6)} / ${Math.round(returned.medianNs / 1e6)} / ${
            Math.round(lastNs / 1e6)
          } ms, ${threads} threads more`,
      );
      assertEquals({ count, returned: returned.returned, errors, wrong, early }, {
        count: clients,
        returned: clients,
        errors: {},
        wrong: 0,
        early: 0,
      });
      // Deno's pool grows by one when its calls that block (reading stdin, writing stdout, polling the device) meet for the first time.
      assert(threads <= 1, `${threads} threads more`);
      assert(rssPerRequest <= 2048, `${rssPerRequest} bytes for each request`);
      assert(cpuShare < 0.01, `${cpuShare * 100} % of a core while they wait`);
    },
  );
}
