/**
 * Tests that mount FUSE for real.
 *
 * @module
 */
import { requires } from "../requirements.ts";
import { type StubMount, StubMount as Mount, type StubMountOptions } from "./stub_mount.ts";

const skip = await requires({ fuse: true, gcc: true, programs: ["bash", "timeout", "mount", "umount"] });

/** A test with one mount. */
export function fuseTest(
  name: string,
  run: (mount: StubMount, t: Deno.TestContext) => Promise<void>,
  options: StubMountOptions = {},
): void {
  Deno.test({
    name,
    ...skip,
    async fn(t) {
      const mount = await Mount.start(options);
      try {
        await run(mount, t);
      } catch (error) {
        // The first failure is what is told; what it led to is printed.
        await mount[Symbol.asyncDispose]().catch((second) => console.error(second));
        throw error;
      }
      await mount[Symbol.asyncDispose]();
    },
  });
}
