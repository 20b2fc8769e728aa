import { assert, assertEquals } from "@std/assert";
import { run } from "./support/cli.ts";

const stage = (name: string, more: Record<string, string> = {}) => ({
  env: { CRTOOLS_SCRIPT_ACTION: name, ...more },
});

Deno.test("dump-hook: at every stage at which it has nothing to do it succeeds at once", async () => {
  for (const name of ["network-lock", "network-unlock", "post-restore", "pre-resume"]) {
    assertEquals(await run(["dump-hook"], stage(name)), { code: 0, out: "", err: "" });
  }
  assertEquals((await run(["dump-hook"])).code, 0);
});

Deno.test("dump-hook: without what CRIU says of the dump it fails, and says so in one line", async () => {
  const expected =
    "spfs dump-hook: failed: CRTOOLS_IMAGE_DIR and CRTOOLS_INIT_PID are not set: CRIU sets them\n";
  const directory = { CRTOOLS_IMAGE_DIR: "/nonexistent" };
  // The bare program, as CRIU starts it, is the same.
  for (const args of [["dump-hook"], []]) {
    assertEquals(await run(args, stage("post-dump", directory)), { code: 1, out: "", err: expected });
  }
});

Deno.test("check and record: images that are none or damaged are told in one line", async () => {
  const directory = await Deno.makeTempDir({ prefix: "spfs-cli-" });
  try {
    const none = await run(["check", "--images", directory]);
    const expected = `spfs: bad_images: ${directory}: inventory.img: missing: no images of CRIU\n`;
    assertEquals(none, { code: 1, out: "", err: expected });
    await Deno.writeTextFile(`${directory}/inventory.img`, "none of CRIU's");
    for (const args of [["check"], ["record", "--pid", String(Deno.pid)]]) {
      const { code, err } = await run([...args, "--images", directory]);
      assertEquals(code, 1);
      assert(
        /^spfs: bad_images: .*inventory\.img at offset 0: no inventory image of CRIU: .*\n$/.test(err),
        err,
      );
    }
    assertEquals((await run(["check", "--root", "/"])).code, 2);
    assertEquals((await run(["check", "--images", directory, "--external", "net"])).code, 2);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("record: a process that is not there, and options that are missing, are told", async () => {
  const gone = await run(["record", "--pid", "2147483647", "--images", "/tmp"]);
  assertEquals([gone.code, gone.out], [1, ""]);
  assert(gone.err.includes("/proc/2147483647: ESRCH"), gone.err);
  assertEquals((await run(["record", "--pid", "1"])).code, 2);
  const none = await run(["record", "--pid", String(Deno.pid), "--images", "/nonexistent"]);
  assertEquals([none.code, none.out], [1, ""]);
  assert(none.err.startsWith("spfs: system: ") && none.err.includes("/nonexistent/"), none.err);
  assertEquals((await run(["record", "--images", "/tmp", "--pid", "x"])).code, 2);
});
