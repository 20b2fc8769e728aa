import { assertEquals, assertStringIncludes } from "@std/assert";
import { missing } from "../support/requirements.ts";

const module = new URL("../support/requirements.ts", import.meta.url).href;

async function ignoredWith(env: Record<string, string>): Promise<{ ignore: boolean; said: string }> {
  const program = `import { requires } from ${JSON.stringify(module)};
    console.log((await requires({ programs: ["there-is-no-such-program"] })).ignore);`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", program],
    env: { SPFS_NO_SKIP: "", CI: "", ...env },
    stdin: "null",
    signal: AbortSignal.timeout(30_000),
  }).output();
  const text = new TextDecoder();
  return { ignore: text.decode(stdout).trim() === "true", said: text.decode(stderr) };
}

Deno.test("requirements: what is there is not missing", async () => {
  assertEquals(await missing({ programs: ["sh"] }), []);
  assertEquals(await missing({}), []);
});

Deno.test("requirements: what is not there is named", async () => {
  assertEquals(await missing({ programs: ["there-is-no-such-program"] }), ["no there-is-no-such-program"]);
  assertEquals(await missing({ other: () => "no moon" }), ["no moon"]);
});

Deno.test("requirements: a test that lacks something is skipped, and the reason is printed", async () => {
  const { ignore, said } = await ignoredWith({});
  assertEquals(ignore, true);
  assertStringIncludes(said, "tests are skipped: no there-is-no-such-program");
});

for (const env of [{ CI: "true" }, { SPFS_NO_SKIP: "1" }]) {
  Deno.test(`requirements: with ${Object.keys(env)[0]} nothing is skipped`, async () => {
    const { ignore, said } = await ignoredWith(env as Record<string, string>);
    assertEquals(ignore, false);
    assertStringIncludes(said, "tests will fail: no there-is-no-such-program");
  });
}
