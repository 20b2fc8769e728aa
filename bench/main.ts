/**
 * The benchmarks: `deno task bench [SECTION...] [--quick]`. JSON on stdout, a line for each figure on stderr.
 *
 * Sections: ready, call, memory, waiting, killed, operations, project, swap, restore; all of them when none is named. The compiled program is measured beside
 * `deno run` where dist/spfs exists; waiting, killed, operations, project, swap and restore are measured with one of them, the compiled one if it is there.
 *
 * @module
 */
import { Sandbox } from "../tests/e2e/support/sandbox.ts";
import { type Binary, compiled, denoRun, isThere } from "../tests/e2e/support/spfs.ts";
import { operations } from "./operations.ts";
import { project } from "./project.ts";
import { callRoundTrip, memory, ready } from "./startup.ts";
import { restore } from "./restore.ts";
import { replaceSwap, runSwap } from "./swap.ts";
import { killed, waiting } from "./waiting.ts";

const quick = Deno.args.includes("--quick");
const rounds = quick ? 3 : 10;
const binaries = [compiled, denoRun].filter(isThere);
const product = binaries[0]!;

/** Measures in a sandbox of its own. */
async function inSandbox<T>(measurement: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  await using sandbox = new Sandbox("spfs-bench-");
  return await measurement(sandbox);
}

/** Measures, and says what was measured. */
async function measure<T>(what: string, measurement: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const result = await inSandbox(measurement);
  console.error(`  ${what}: ${JSON.stringify(result)}`);
  return result;
}

/** Measures both ways to run spfs. */
async function both<T>(
  what: string,
  measurement: (sandbox: Sandbox, binary: Binary) => Promise<T>,
): Promise<Record<string, T>> {
  const results: Record<string, T> = {};
  for (const binary of binaries) {
    results[binary.name] = await measure(
      `${binary.name}, ${what}`,
      (sandbox) => measurement(sandbox, binary),
    );
  }
  return results;
}

const sections: Record<string, () => Promise<unknown>> = {
  ready: () => both("ms from spawn to mount", (sandbox, binary) => ready(sandbox, binary, rounds)),
  call: () => both("ms for a call", (sandbox, binary) => callRoundTrip(sandbox, binary, rounds)),
  memory: async () => {
    const results: Record<string, unknown> = {};
    for (const mounts of quick ? [10] : [10, 50, 200]) {
      results[mounts] = await both(`${mounts} mounts`, (sandbox, binary) => memory(sandbox, binary, mounts));
    }
    return results;
  },
  waiting: async () => {
    const results = [];
    for (const count of quick ? [1000] : [100, 1000, 10_000]) {
      for (const operation of ["stat", "open"] as const) {
        results.push(
          await measure(
            `${count} clients in ${operation}`,
            (sandbox) => waiting(sandbox, product, operation, count),
          ),
        );
      }
    }
    return { program: product.name, results };
  },
  killed: async () => ({
    program: product.name,
    ms: await measure("ms from SIGKILL to the end", (sandbox) => killed(sandbox, product, 20)),
  }),
  operations: async () => {
    const results = [];
    for (const [cacheSeconds, checks] of [[0, true], [1, true], [1, false]] as const) {
      console.error(
        `  the kernel keeps names and attributes for ${cacheSeconds} s; passthrough_ll ${
          checks ? "has it check permissions, too" : "as it is by its defaults"
        }`,
      );
      const extent = quick ? { rounds: 5, milliseconds: 200 } : { rounds: 9, milliseconds: 400 };
      results.push(
        await inSandbox((sandbox) => operations(sandbox, product, { cacheSeconds, checks, ...extent })),
      );
    }
    return { program: product.name, results };
  },
  project: async () => ({
    program: product.name,
    results: await inSandbox((sandbox) => project(sandbox, product, quick ? 3 : 7)),
  }),
  swap: async () => {
    const results: Record<string, unknown[]> = { "mount.replace": [], "swap.run": [] };
    for (const count of quick ? [1, 20] : [1, 100, 300]) {
      const times = quick ? 3 : count === 1 ? 20 : 7;
      for (const [method, swap] of [["mount.replace", replaceSwap], ["swap.run", runSwap]] as const) {
        results[method]!.push(
          await measure(
            `${method}, ${count} processes`,
            (sandbox) => swap(sandbox, product, count, times),
          ),
        );
      }
    }
    return { program: product.name, results };
  },
  restore: async () => ({
    program: product.name,
    ...await measure("a restore", (sandbox) => restore(sandbox, product, quick ? 2 : 7)),
  }),
};

const wanted = Deno.args.filter((argument) => argument !== "--quick");
const unknown = wanted.filter((name) => !(name in sections));
if (unknown.length > 0) {
  console.error(`no section ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`);
  Deno.exit(2);
}
if (!isThere(compiled)) {
  console.error("dist/spfs is missing (deno task compile): only `deno run` is measured");
}
const report: Record<string, unknown> = {};
for (const name of wanted.length > 0 ? wanted : Object.keys(sections)) {
  console.error(name);
  report[name] = await sections[name]!();
}
console.log(JSON.stringify(report, null, 2));
