import { assert, assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

/** What a file loads when it is loaded: its static imports that are not of types only. */
async function staticImports(file: URL): Promise<string[]> {
  const source = await Deno.readTextFile(file);
  const statements = source.matchAll(/^(?:import|export)\s(?!type\s)([^;]*?from\s+)?"([^"]+)";/gm);
  return [...statements].filter(([, names]) => !onlyTypes(names)).map(([, , specifier]) => specifier!);
}

function onlyTypes(names: string | undefined): boolean {
  const list = names?.match(/\{([^}]*)\}/)?.[1];
  return list !== undefined &&
    list.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type "));
}

/** Everything that loading a file loads: files relative to the project, and packages by name. */
async function closure(path: string): Promise<Set<string>> {
  const seen = new Set<string>();
  const visit = async (file: URL) => {
    const name = file.href.slice(root.href.length);
    if (seen.has(name)) return;
    seen.add(name);
    for (const specifier of await staticImports(file)) {
      if (specifier.startsWith(".")) await visit(new URL(specifier, file));
      else seen.add(specifier);
    }
  };
  await visit(new URL(path, root));
  return seen;
}

Deno.test("cli: call and criu-hook load no package at all", async () => {
  for (const path of ["main.ts", "cli/control_commands.ts", "cli/criu_hook.ts"]) {
    assertEquals([...await closure(path)].filter((name) => !name.endsWith(".ts")), []);
  }
});

Deno.test("cli: commands that talk to a daemon load neither schemas nor anything native", async () => {
  const plain = ["host/exit_codes.ts", "host/timer.ts"];
  const commands = ["control_commands", "create", "criu_hook", "mount", "replace", "status"];
  for (const command of commands) {
    for (const name of await closure(`cli/${command}.ts`)) {
      assert(!name.startsWith("zod") && !name.startsWith("ffi/"), `${command} loads ${name}`);
      assert(!name.startsWith("host/") || plain.includes(name), `${command} loads ${name}`);
    }
  }
  assertEquals([...await closure("cli/program.ts")].filter((name) => !name.endsWith(".ts")), ["commander"]);
});

Deno.test("mod.ts: a program that only talks to a daemon loads neither schemas nor anything native", async () => {
  const loaded = [...await closure("mod.ts")];
  assertEquals(loaded.filter((name) => !name.startsWith("control/")), [
    "mod.ts",
    "host/log.ts",
    "host/timer.ts",
  ]);
  assert(!loaded.includes("control/protocol.ts"));
});
