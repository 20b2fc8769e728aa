import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { capture, findProgram, output } from "../../tools/command.ts";
import {
  installCommands,
  managers,
  missingParts,
  namesOf,
  systemParts,
} from "../../tools/system_packages.ts";

const root = new URL("../../", import.meta.url).pathname;

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-setup-test-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a piece of TypeScript with nothing of this process's cache and CRIU. */
async function evaluate(program: string, env: Record<string, string>): Promise<string> {
  const given = { SPFS_CRIU: "", ...env };
  return (await output(Deno.execPath(), ["eval", "--ext=ts", program], { cwd: root, env: given })).trim();
}

Deno.test("setup: each package manager gets the whole command, with no package twice", () => {
  const gcc = { apt: "gcc", dnf: "gcc", pacman: "gcc", apk: "gcc" };
  const fuse = { apt: "fuse3", dnf: "fuse3 fuse3-libs", pacman: "fuse3", apk: "fuse3 gcc" };
  assertEquals(installCommands([gcc, fuse, gcc]), [
    "apt-get update && apt-get install -y gcc fuse3",
    "dnf install -y gcc fuse3 fuse3-libs",
    "pacman -Sy --needed --noconfirm gcc fuse3",
    "apk add gcc fuse3",
  ]);
});

Deno.test("setup: every part has a name in every package manager", () => {
  for (const part of systemParts) {
    for (const manager of managers) {
      assert(namesOf([part.packages], manager).every((name) => /^[a-z0-9.+-]+$/.test(name)));
    }
  }
});

Deno.test("setup: only what is not there is missing", async () => {
  const packages = { apt: "a", dnf: "b", pacman: "c", apk: "d" };
  const there = { name: "there", present: () => true, packages };
  const away = { name: "away", present: () => Promise.resolve(false), packages };
  assertEquals(await missingParts([there, away]), [away]);
});

Deno.test("findProgram: what is in PATH, and only what can be run", async () => {
  assertEquals(findProgram("there-is-no-such-program"), undefined);
  assert(findProgram("sh")?.endsWith("/sh"));
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "plain-file"), "", { mode: 0o644 });
    await Deno.writeTextFile(join(folder, "runs"), "#!/bin/sh\n", { mode: 0o755 });
    const program = `import { findProgram } from "${root}tools/command.ts";
      console.log(findProgram("plain-file"), findProgram("runs"));`;
    const path = `${folder}:${Deno.env.get("PATH")}`;
    assertEquals(await evaluate(program, { PATH: path }), `undefined ${folder}/runs`);
  });
});

Deno.test("capture: what cannot be started, fails or takes too long is told by its code", async () => {
  assertEquals((await capture("/there/is/no/such/program", [])).code, 127);
  const failed = await capture("sh", ["-c", "echo out; echo err >&2; exit 3"]);
  assertEquals(failed, { ok: false, code: 3, stdout: "out\n", stderr: "err\n" });
  const killed = await capture("sleep", ["60"], { timeoutMs: 50 });
  assertEquals([killed.ok, killed.code], [false, 128 + 15]);
});

Deno.test("output: a failure tells the command and what it said", async () => {
  const error = await assertRejects(() => output("sh", ["-c", "echo no luck >&2; exit 3"]), Error);
  assertStringIncludes(error.message, "sh -c");
  assertStringIncludes(error.message, "ended with 3");
  assertStringIncludes(error.message, "no luck");
});

Deno.test("cachedFolder: appears whole, is filled by one of several that want it, and not by one that fails", async () => {
  await withFolder(async (cache) => {
    const program = `import { cachedFolder } from "${root}tools/cache_directory.ts";
      const failure = await cachedFolder("thing", (folder) => {
        Deno.writeTextFileSync(folder + "/half", "");
        throw new Error("half-way");
      }).catch((error) => error.message);
      let fills = 0;
      const fill = async (folder) => {
        fills++;
        await Deno.writeTextFile(folder + "/file", "whole");
      };
      const paths = await Promise.all([1, 2, 3].map(() => cachedFolder("thing", fill)));
      await cachedFolder("thing", () => { throw new Error("filled again"); });
      console.log(JSON.stringify([failure, new Set(paths).size, fills, paths[0], [...Deno.readDirSync(paths[0])].map((entry) => entry.name),
        [...Deno.readDirSync(paths[0] + "/..")].map((entry) => entry.name)]));`;
    const [failure, paths, fills, path, inside, beside] = JSON.parse(
      await evaluate(program, { XDG_CACHE_HOME: cache }),
    );
    assertEquals([failure, paths, path], ["half-way", 1, `${cache}/spfs/thing`]);
    assert(fills >= 1 && fills <= 3);
    assertEquals([inside, beside], [["file"], ["thing"]]);
  });
});

Deno.test("criuPath: SPFS_CRIU is binding, and what is wrong with it is told", async () => {
  await withFolder(async (folder) => {
    const works = join(folder, "works");
    const fails = join(folder, "fails");
    await Deno.writeTextFile(works, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    await Deno.writeTextFile(fails, "#!/bin/sh\necho 'Error (kerndat.c:1): too old' >&2\nexit 1\n", {
      mode: 0o755,
    });
    const program = `import { criuPath, provideCriu } from "${root}tools/criu.ts";
      for (const get of [criuPath, provideCriu]) console.log(await get().catch((error) => error.name + " " + error.message));`;
    assertEquals(await evaluate(program, { SPFS_CRIU: works }), `${works}\n${works}`);
    const told = `CriuMissing ${fails}: Error (kerndat.c:1): too old`;
    assertEquals(await evaluate(program, { SPFS_CRIU: fails }), `${told}\n${told}`);
  });
});
