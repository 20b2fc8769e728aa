/**
 * Tests that mount FUSE for real.
 *
 * @module
 */
import { type StubMount, StubMount as Mount, type StubMountOptions } from "./stub_mount.ts";

const ignore = Deno.uid() !== 0;

/** A test with one mount. */
export function fuseTest(
  name: string,
  run: (mount: StubMount, t: Deno.TestContext) => Promise<void>,
  options: StubMountOptions = {},
): void {
  Deno.test({
    name,
    ignore,
    async fn(t) {
      await using mount = await Mount.start(options);
      await run(mount, t);
    },
  });
}
