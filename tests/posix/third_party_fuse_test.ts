/** Other people's tests of file systems pass in proxy mode, also while the mode changes, and leave nothing open. */
import { assertEquals } from "@std/assert";
import { Sandbox } from "../e2e/support/sandbox.ts";
import { StubMount } from "../support/fuse/stub_mount.ts";
import { requires } from "../support/requirements.ts";
import { fileSystems } from "./support/file_systems.ts";
import { suites } from "./support/suites.ts";

/** Each suite ends by itself in less than a minute. */
const LIMIT_MS = 120_000;
/** How long each mode lasts while a suite runs, in milliseconds. */
const MODE_MS = 500;

for (const [name, command] of Object.entries(suites)) {
  for (const switching of [false, true]) {
    Deno.test({
      name: `posix: ${name} passes in proxy mode${switching ? ", which is left again and again" : ""}`,
      ...await requires({ fuse: true, loop: true, programs: ["mkfs.xfs", name] }),
      async fn() {
        await using sandbox = new Sandbox("spfs-posix-");
        const backing = await fileSystems.xfs!(sandbox);
        // Who waits in stub mode is not to be woken by the timers of the suites.
        await using mount = await StubMount.start({ interrupts: "fatal" });
        await mount.proxy(backing);
        const before = await mount.inspect();
        await mount.shell("mkdir $M/suite");
        const [program, ...args] = command(mount.path("suite"));
        const child = sandbox.start(program!, args, { limitMs: LIMIT_MS });
        if (switching) await changeModes(mount, child.status);
        const { code, stdout, stderr } = await child.ended();
        assertEquals(code, 0, `${stdout}${stderr}`);
        await mount.shell("rm -r $M/suite");
        await mount.until(
          ({ handles, nodes }) => handles === before.handles && nodes === before.nodes,
          "everything to be closed and forgotten",
        );
        await mount.unmount();
      },
    });
  }
}

/** To stub mode and back for as long as a program runs. */
async function changeModes(mount: StubMount, ended: Promise<unknown>): Promise<void> {
  let over = false;
  const end = ended.finally(() => over = true);
  const wait = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, MODE_MS);
    return Promise.race([promise, end]).finally(() => clearTimeout(timer));
  };
  while (!over) {
    await mount.stub();
    await wait();
    await mount.proxy();
    await wait();
  }
}
