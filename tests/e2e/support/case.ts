/**
 * The form of an end-to-end test: one test for each way to run spfs, in a sandbox of its own.
 *
 * @module
 */

import { type Requirements, requires } from "../../support/requirements.ts";
import { Sandbox } from "./sandbox.ts";
import { type Binary, compiled, denoRun, isThere } from "./spfs.ts";

/**
 * Declares a test, once for `deno run` and once for the compiled program. It gets an empty sandbox, which is taken down afterwards
 * whatever happened; leaving something behind fails it.
 *
 * @param needs what it needs besides FUSE and a C compiler
 */
export async function e2e(
  promise: string,
  test: (sandbox: Sandbox, binary: Binary) => Promise<void>,
  needs: Requirements = {},
): Promise<void> {
  for (const binary of [denoRun, compiled]) {
    Deno.test({
      name: `e2e, ${binary.name}: ${promise}`,
      ...await requires({
        fuse: true,
        gcc: true,
        other: () => isThere(binary) ? undefined : `no ${binary.command[0]} (deno task compile)`,
        ...needs,
      }),
      async fn() {
        const sandbox = new Sandbox();
        try {
          await test(sandbox, binary);
          sandbox.checkNoStubMounts();
        } catch (error) {
          // What failed the test counts, and what it left behind is only told.
          await sandbox[Symbol.asyncDispose]().catch((leak) => console.error(leak.message));
          throw error;
        }
        await sandbox[Symbol.asyncDispose]();
      },
    });
  }
}
