/** What programs see through spfs in proxy mode is what they see on the file system behind it, result by result. */
import { assert } from "@std/assert";
import { run } from "../e2e/support/child.ts";
import { Sandbox } from "../e2e/support/sandbox.ts";
import { victim } from "../e2e/support/victims.ts";
import { StubMount } from "../support/fuse/stub_mount.ts";
import { requires } from "../support/requirements.ts";
import { permitted } from "./differences.ts";
import { fileSystems, leftOut } from "./support/file_systems.ts";
import { complaints, differences, parseResults, type Results } from "./support/results.ts";

const folder = new URL("programs/", import.meta.url);
const subjects = ["attributes", "data", "directories", "handles", "names", "permissions", "space", "xattrs"];

function caseMap(): string {
  return victim("main", folder, subjects.map((name) => new URL(`${name}.c`, folder).pathname));
}

/** The results in a new directory. */
async function results(directory: string, without: readonly string[]): Promise<Results> {
  await run("mkdir", [directory]);
  return parseResults(await run(caseMap(), [directory, ...without], { limitMs: 300_000 }));
}

for (const [name, make] of Object.entries(fileSystems)) {
  Deno.test({
    name: `posix: proxy mode over ${name} is as ${name}`,
    ...await requires({ fuse: true, loop: true, gcc: true, programs: ["mkfs.xfs", "setpriv"] }),
    async fn(t) {
      await using sandbox = new Sandbox("spfs-posix-");
      const backing = await make(sandbox);
      const without = leftOut[name] ?? [];
      const native = await results(`${backing}/native`, without);
      for (const attrTimeoutMs of [0, 1000]) {
        await t.step(`names and attributes kept for ${attrTimeoutMs} ms`, async () => {
          await using mount = await StubMount.start({ attrTimeoutMs });
          await mount.proxy(backing);
          const found = differences(native, await results(mount.path(`through-${attrTimeoutMs}`), without));
          await mount.unmount();
          const wrong = complaints(found, permitted, name);
          assert(wrong.length === 0, wrong.join("\n"));
        });
      }
    },
  });
}
