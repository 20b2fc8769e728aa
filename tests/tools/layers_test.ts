import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Import,
  importsOf,
  layers,
  type ModuleGraph,
  projectImports,
  violations,
} from "../../tools/layers.ts";

const one = (from: string, to: string): readonly Import[] => [{ from, to }];

Deno.test("layers: a lower layer that imports a higher one is named", () => {
  for (
    const [from, to] of [
      ["ffi/sys/file.ts", "fs/nodes.ts"],
      ["ffi/errno.ts", "control/errors.ts"],
      ["fs/gate.ts", "host/log.ts"],
      ["host/serve.ts", "cli/main.ts"],
      ["control/server.ts", "main.ts"],
    ] as const
  ) {
    const [line, ...more] = violations(one(from, to));
    assert(line?.startsWith(`${from} imports ${to}: `), line);
    assertEquals(more, []);
  }
});

Deno.test("layers: siblings that import each other are named, and control imports nothing", () => {
  const product = Object.keys(layers);
  for (const sibling of ["fs", "swap", "criu"]) {
    for (const other of ["fs", "swap", "criu", "control"].filter((name) => name !== sibling)) {
      assertEquals(violations(one(`${sibling}/a.ts`, `${other}/b.ts`)).length, 1);
    }
  }
  for (const other of product.filter((name) => name !== "control")) {
    assertEquals(violations(one("control/a.ts", other.endsWith(".ts") ? other : `${other}/b.ts`)).length, 1);
  }
});

Deno.test("layers: the product imports neither tests nor tools, which import everything", () => {
  for (const folder of ["tests", "bench", "tools"]) {
    assertEquals(violations(one("host/a.ts", `${folder}/b.ts`)).length, 1);
    assertEquals(violations(one(`${folder}/b.ts`, "ffi/errno.ts")), []);
  }
});

Deno.test("layers: a folder without a layer is named", () => {
  assertEquals(violations(one("extra/a.ts", "ffi/errno.ts")).length, 1);
  assertEquals(violations(one("host/a.ts", "extra/a.ts")).length, 1);
});

Deno.test("layers: imports of types, dynamic ones and their targets are read from deno's graph", () => {
  const root = "file:///p/";
  const graph: ModuleGraph = {
    modules: [
      {
        specifier: "file:///elsewhere/entry.ts",
        dependencies: [{ specifier: "x", code: { specifier: "file:///p/fs/a.ts" } }],
      },
      {
        specifier: "file:///p/fs/a.ts",
        dependencies: [
          { specifier: "../ffi/b.ts", code: { specifier: "file:///p/ffi/b.ts" } },
          { specifier: "../host/c.ts", type: { specifier: "file:///p/host/c.ts" } },
          { specifier: "npm:zod", code: { specifier: "npm:zod@4" } },
        ],
      },
    ],
  };
  assertEquals(importsOf(graph, root), [
    { from: "fs/a.ts", to: "ffi/b.ts" },
    { from: "fs/a.ts", to: "host/c.ts" },
  ]);
  const missing = { modules: [{ specifier: "file:///p/fs/gone.ts", error: "Module not found" }] };
  assertThrows(() => importsOf(missing, root), Error, "fs/gone.ts: Module not found");
});

Deno.test("layers: this project keeps them", async () => {
  const imports = await projectImports();
  assert(imports.some(({ from, to }) => from === "main.ts" && to === "cli/main.ts"));
  assert(imports.some(({ from }) => from === "host/mount_worker.ts"), "workers are read, too");
  assertEquals(violations(imports), []);
});
