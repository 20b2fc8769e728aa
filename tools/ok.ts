/**
 * `deno task ok`: what has to hold before every commit, on any machine: format, lint, types, documentation, and the tests that need
 * neither root nor FUSE. Among these are that layers are kept and that `docs/schema.json` is what `spfs schema` prints.
 *
 * @module
 */

import { exists } from "./cache_directory.ts";
import { conclude, programStep, testStep } from "./steps.ts";
import { testFiles } from "./test_files.ts";
import { type TestReport, total } from "./test_report.ts";

const root = new URL("../", import.meta.url);

/** Checks everything. Prints what it does; does not stop at failures. */
export async function ok(): Promise<TestReport> {
  const cwd = root.pathname;
  const deno = (name: string, ...args: string[]) => programStep(name, Deno.execPath(), args, { cwd });
  const documented = [];
  for (const path of ["ffi", "fs", "swap", "criu", "control", "host", "cli", "mod.ts", "docs", "README.md"]) {
    if (await exists(`${cwd}${path}`)) documented.push(path);
  }
  return total([
    await deno("format", "fmt", "--check"),
    await deno("lint", "lint"),
    await deno("types", "check", "--quiet"),
    await deno("documentation", "doc", "--lint", "mod.ts", "ffi/mod.ts", "criu/mod.ts"),
    await testStep({ name: "examples", args: ["--doc", ...documented], cwd, timeoutMs: 120_000 }),
    await testStep({
      name: "tests without mounts",
      args: ["--parallel", ...(await testFiles(root)).anywhere],
      cwd,
      timeoutMs: 600_000,
    }),
  ]);
}

if (import.meta.main) {
  const report = await ok();
  conclude(report);
  Deno.exit(report.failed.length === 0 ? 0 : 1);
}
