/** Swapping mounts for real: as root, in mount namespaces of their own. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { requires } from "../support/requirements.ts";

const { ignore } = await requires({ root: true, programs: ["unshare", "nsenter"] });
const child = new URL("./support/swap_child.ts", import.meta.url).pathname;

// deno-lint-ignore no-explicit-any
type Told = any;

/** Runs a scenario in a new mount namespace whose mounts have this propagation. */
async function run(propagation: "private" | "shared", scenario: string, way = ""): Promise<Told> {
  const directory = await Deno.makeTempDir({ prefix: "spfs-swap-" });
  try {
    await Deno.mkdir(`${directory}/mnt`);
    await Deno.mkdir(`${directory}/run`, { mode: 0o700 });
    const script = [Deno.execPath(), "run", "--no-check", "--allow-all", child, directory, scenario, way];
    const args = ["--mount", "--propagation", propagation, "timeout", "-s", "KILL", "60", ...script];
    // In the namespace "/" is shared with nobody, or with a namespace of its own that nobody else is in.
    const wrapped = propagation === "shared"
      ? ["--mount", "--propagation", "private", "unshare", ...args]
      : args;
    const output = await new Deno.Command("unshare", { args: wrapped, stdout: "piped", stderr: "piped" })
      .output();
    const stderr = new TextDecoder().decode(output.stderr);
    assert(output.success, stderr);
    return JSON.parse(new TextDecoder().decode(output.stdout));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const propagation of ["private", "shared"] as const) {
  for (const way of ["beneath", "detached", "best"]) {
    Deno.test({
      name:
        `mount swap: ${way}, under a ${propagation} mount: the real file system is there and nothing else is left`,
      ignore,
      async fn() {
        const told = await run(propagation, "swap", way);
        assertEquals(told.message, undefined);
        assertEquals([told.who, told.mounts, told.areas], ["real", ["real"], []]);
        if (way === "best") assertEquals(told.returned, "beneath");
      },
    });
  }
}

Deno.test({
  name: "mount swap: aside, under a private mount: the real file system is there and nothing else is left",
  ignore,
  async fn() {
    const told = await run("private", "swap", "aside");
    assertEquals([told.who, told.mounts, told.areas, told.message], ["real", ["real"], [], undefined]);
  },
});

Deno.test({
  name: "mount swap: aside, under a shared mount: refused by the kernel, with nothing changed",
  ignore,
  async fn() {
    const told = await run("shared", "swap", "aside");
    assertEquals([told.name, told.errno, told.who, told.mounts, told.areas], [
      "SwapRefused",
      "EINVAL",
      "stub",
      ["stub"],
      [],
    ]);
  },
});

for (const way of ["beneath", "aside", "detached", "best"]) {
  Deno.test({
    name: `mount swap: ${way}: something on top of the stub is told as EBUSY and stays`,
    ignore,
    async fn() {
      const told = await run("private", "covered", way);
      assertEquals([told.errno, told.rolledBack, told.who, told.mounts], ["EBUSY", true, "other", [
        "other",
        "stub",
      ]]);
      assertStringIncludes(told.message, "tmpfs of other is there");
    },
  });

  Deno.test({
    name: `mount swap: ${way}: something inside the stub is told as EBUSY and stays`,
    ignore,
    async fn() {
      const told = await run("private", "inside", way);
      assertEquals([told.errno, told.rolledBack, told.who, told.mounts], ["EBUSY", true, "stub", [
        "other",
        "stub",
      ]]);
      assertStringIncludes(told.message, "/mnt/inside");
    },
  });

  Deno.test({
    name: `mount swap: ${way}: when the second step fails the stub is put back`,
    ignore,
    async fn() {
      const told = await run("private", "broken", way);
      assertEquals([told.who, told.mounts, told.areas], ["stub", ["stub"], []]);
      assert(told.errno === "EINVAL", told.message);
      if (way !== "beneath") assertEquals(told.rolledBack, true);
    },
  });
}

for (const propagation of ["private", "shared"] as const) {
  Deno.test({
    name: `mount swap: undone from below the stub, under a ${propagation} mount, and repeated`,
    ignore,
    async fn() {
      const told = await run(propagation, "undo");
      assertEquals([told.between.who, told.between.mounts], ["stub", ["real", "stub"]]);
      assertEquals(told.undone, { returned: null, who: "stub", mounts: ["stub"], areas: [] });
      assertEquals(told.again, { returned: null, who: "real", mounts: ["real"], areas: [] });
    },
  });
}

Deno.test({
  name: "mount swap: in 300 swaps an observer sees the stub or the real file system, and nothing else",
  ignore,
  async fn() {
    const told = await run("private", "observed", "beneath");
    assertEquals(told.errors, []);
    assertEquals(told.mounts, ["stub"]);
    assertEquals(Object.keys(told.seen).sort(), ["real", "stub"]);
    assert(told.seen.real > 100 && told.seen.stub > 100, JSON.stringify(told.seen));
  },
});
