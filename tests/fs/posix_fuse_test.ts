/** What users of a mount may rely on while it serves: in restore mode, and in proxy mode, where it must also be on the real file system. */
import { assertEquals } from "@std/assert";
import { fuseTest } from "../support/fuse/fuse_test.ts";
import { posixCases } from "./support/posix_cases.ts";

for (const mode of ["restore", "proxy"] as const) {
  for (const attrTimeoutMs of mode === "restore" ? [1000] : [1000, 0]) {
    fuseTest(
      `fs: a mount in ${mode} mode is a file system (caching ${attrTimeoutMs} ms)`,
      async (mount, t) => {
        if (mode === "proxy") await mount.proxy(mount.real);
        let serial = 0;
        for (const [name, run] of Object.entries(posixCases)) {
          await t.step(name, async () => {
            await using agent = mount.agent();
            const directory = mount.path(`case-${serial++}`);
            await agent.call("mkdir", directory, 0o755);
            await run(agent, (path) => `${directory}/${path}`);
          });
        }
        const expected = mode === "proxy" ? serial : 0;
        assertEquals([...Deno.readDirSync(mount.real)].length, expected, "entries on the real file system");
      },
      { attrTimeoutMs },
    );
  }
}
