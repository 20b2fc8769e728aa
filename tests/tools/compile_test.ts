import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { bundle, workersOf } from "../../tools/bundle.ts";
import { exists } from "../../tools/cache_directory.ts";
import { output } from "../../tools/command.ts";
import { compile, productPath } from "../../tools/compile.ts";
import { elfLength } from "../../tools/runtime_base.ts";
import { requires } from "../support/requirements.ts";

/** A program whose worker asks the C library for the process's id, and which loads a part of itself only when told to. */
const sources = {
  "main.ts": `import { start } from "./starts.ts";
    if (Deno.args[0] === "more") console.log((await import("./more.ts")).more);
    else {
      const worker = start();
      worker.onmessage = ({ data }) => { console.log(data === Deno.pid ? "same process" : "another"); worker.terminate(); };
    }`,
  "starts.ts":
    `export const start = () => new Worker(new URL("./asks.ts", import.meta.url), { type: "module" });`,
  "asks.ts": `/// <reference lib="deno.worker" />
    import { getpid } from "./shared.ts";
    self.postMessage(getpid());`,
  "shared.ts": `const libc = Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } });
    export const getpid = () => libc.symbols.getpid();`,
  "more.ts": `export const more = "there is more";`,
};

async function withSources(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-compile-test-" });
  try {
    for (const [name, text] of Object.entries(sources)) await Deno.writeTextFile(join(folder, name), text);
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("bundle: workers are found by how they are named, and run from the bundle", async () => {
  await withSources(async (folder) => {
    const workers = await workersOf(join(folder, "starts.ts"));
    assertEquals(workers, [join(folder, "asks.ts")]);
    const target = join(folder, "bundled");
    const bundled = await bundle({ entry: join(folder, "main.ts"), workers }, target);
    assertEquals(bundled, { main: "main.js", workers: ["asks.js"] });
    const run = (...args: string[]) =>
      output(Deno.execPath(), ["run", "-A", join(target, bundled.main), ...args]);
    assertEquals(await run(), "same process\n");
    assertEquals(await run("more"), "there is more\n");
    assert(!(await Deno.readTextFile(join(target, "main.js"))).includes("there is more"));
  });
});

Deno.test("bundle: a worker that is not bundled, and one that nothing starts, are told", async () => {
  await withSources(async (folder) => {
    const entry = join(folder, "main.ts");
    const missing = await assertRejects(() => bundle({ entry, workers: [] }, join(folder, "a")), Error);
    assertStringIncludes(missing.message, "./asks.ts");
    const workers = [join(folder, "asks.ts"), join(folder, "more.ts")];
    const unused = await assertRejects(() => bundle({ entry, workers }, join(folder, "b")), Error);
    assertStringIncludes(unused.message, "more");
  });
});

Deno.test("bundle: the product's own workers are all found", async () => {
  const workers = await workersOf(new URL("../../host/workers.ts", import.meta.url).pathname);
  assert(workers.length >= 2);
  for (const worker of workers) assert(await exists(worker), worker);
});

Deno.test({
  name:
    "compile: a worker that calls C runs inside the executable, which is made again only for other inputs",
  ...await requires({
    other: async () =>
      await exists(productPath) ? undefined : "nothing was compiled here yet (deno task compile)",
  }),
  fn: () =>
    withSources(async (folder) => {
      const program = { entry: join(folder, "main.ts"), workers: [join(folder, "asks.ts")] };
      const file = join(folder, "out/program");
      assert(await compile(program, file) !== "unchanged");
      for (const [args, expected] of [[[], "same process\n"], [["more"], "there is more\n"]] as const) {
        assertEquals(await output("env", ["-i", file, ...args]), expected);
      }
      assertEquals(await compile(program, file), "unchanged");
      await Deno.writeTextFile(join(folder, "more.ts"), `export const more = "other";`);
      assert(await compile(program, file) !== "unchanged");
      assertEquals(await output("env", ["-i", file, "more"]), "other\n");
    }),
});

Deno.test("elfLength: the running Deno's header accounts for no more than the file has", async () => {
  const bytes = await Deno.readFile(Deno.execPath());
  const length = elfLength(bytes);
  assert(length > 1_000_000 && length <= bytes.length);
});

Deno.test("elfLength: what is appended does not count, and other files are refused", () => {
  const file = new Uint8Array(64 + 56 + 100);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setBigUint64(64 + 8, 120n, true);
  view.setBigUint64(64 + 32, 30n, true);
  assertEquals(elfLength(file), 150);
  assertThrows(() => elfLength(new TextEncoder().encode("#!/bin/sh\n".padEnd(80))), Error, "not a 64-bit");
  assertThrows(() => elfLength(new Uint8Array(4)), Error, "not a 64-bit");
});
