/** Pages of private mappings: what the process wrote stays, what came from the placeholder becomes the real file's. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { e2e } from "./support/case.ts";
import { Images } from "./support/criu.ts";
import { patternBytes } from "./support/pattern.ts";
import { isAlive, until } from "./support/proc.ts";
import type { Sandbox } from "./support/sandbox.ts";
import { type Binary, Spfs } from "./support/spfs.ts";
import { victim } from "./support/victims.ts";

const SIZE = 3 * 4096;

/** What the victim has to find: the page that it wrote as it wrote it, the other two as they are in the real file. */
const right = ["ready", "page 0 real", "page 1 dirty", "page 2 real", "end", ""];

/** The victim's options, and what they make of the mapping. */
const variants = {
  "untouched pages": [],
  "pages that were read": ["touch"],
  "mlock'ed pages": ["lock"],
} as const;

/** A stand-in with a placeholder of three pages, the real directory, and where the victim reports. */
async function setUp(sandbox: Sandbox, binary: Binary) {
  const mountpoint = sandbox.directory("mnt");
  const real = sandbox.directory("real");
  const result = sandbox.at("result");
  Deno.writeFileSync(result, new Uint8Array());
  Deno.writeFileSync(`${real}/file`, patternBytes(2, SIZE));
  const spfs = await Spfs.start(sandbox, binary);
  const create = async () => {
    await spfs.call("mount.create", { id: "net", mountpoint });
    const entries = [{ path: "file", type: "file" as const, size: String(SIZE) }];
    await spfs.call("file.create", { mount: "net", entries });
  };
  const replace = () => spfs.call("mount.replace", { mount: "net", source: real, type: "bind", wait: true });
  const lines = () => Deno.readTextFileSync(result).split("\n");
  return { mountpoint, real, result, spfs, create, replace, lines };
}

async function mappedInRestoreMode(
  sandbox: Sandbox,
  binary: Binary,
  options: readonly string[],
  release: "stub first" | "after the real file system came",
): Promise<void> {
  const { mountpoint, result, spfs, create, replace, lines } = await setUp(sandbox, binary);
  await create();
  const mapped = sandbox.start(victim("mapped"), [`${mountpoint}/file`, result, ...options]);
  await until("the mapping", () => lines().includes("ready"));
  await spfs.call("mount.setMode", { mount: "net", mode: "stub" });
  if (release === "stub first") {
    mapped.kill("SIGUSR1");
    await spfs.parked("net", 1);
    assertEquals(lines(), ["ready", ""], "a page was read before the real file came");
    await replace();
  } else {
    await replace();
    mapped.kill("SIGUSR1");
  }
  await until("the end of the victim's report", () => lines().includes("end"));
  assertEquals(lines(), right);
  await mapped.ended();
}

async function restoredByCriu(sandbox: Sandbox, binary: Binary, options: readonly string[]): Promise<void> {
  const { mountpoint, real, result, spfs, create, replace, lines } = await setUp(sandbox, binary);
  Deno.copyFileSync(`${real}/file`, `${mountpoint}/file`);
  const mapped = sandbox.start(victim("mapped"), [`${mountpoint}/file`, result, ...options]);
  await until("the mapping", () => lines().includes("ready"));
  const images = await Images.dump(sandbox, mapped.pid);
  Deno.removeSync(`${mountpoint}/file`);
  await create();
  const pid = await images.restore(binary, spfs.socket).catch(
    async (error) => {
      await spfs.call("mount.abort", { mount: "net" });
      throw error;
    },
  );
  assertEquals((await spfs.call("status", {})).mounts[0]?.mode, "stub");
  Deno.kill(pid, "SIGUSR1");
  await replace();
  await until("the end of the victim's report", () => lines().includes("end"));
  assertEquals(lines(), right);
  await until("the victim's end", () => !isAlive(pid));
}

for (const [name, options] of Object.entries(variants)) {
  for (const release of ["stub first", "after the real file system came"] as const) {
    await e2e(
      `${name} of a private mapping become real, read ${release}`,
      (sandbox, binary) => mappedInRestoreMode(sandbox, binary, options, release),
    );
  }
}

// Not with mlock'ed pages: which of them the process has written is in CRIU's images, of which this mount is not made (resources_test.ts).
for (const name of ["untouched pages", "pages that were read"] as const) {
  await e2e(
    `${name} of a private mapping become real after a restore by CRIU`,
    (sandbox, binary) => restoredByCriu(sandbox, binary, variants[name]),
    { criu: true },
  );
}

await e2e(
  "a restore onto a stand-in not made of images that would leave zeros in mlock'ed private pages is refused, by name",
  async (sandbox, binary) => {
    const failed = await restoredByCriu(sandbox, binary, ["lock"]).then(
      () => undefined,
      (error: Error) => error,
    );
    assertStringIncludes(failed?.message ?? "it was restored", "has a locked private mapping of");
  },
  { criu: true },
);
