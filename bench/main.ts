/**
 * The benchmarks: `deno task bench [SECTION...] [--quick]`. JSON on stdout, progress on stderr.
 *
 * Sections: ready, call, memory, waiting, operations; all of them by default. Where dist/spfs exists it is measured beside `deno run`.
 *
 * @module
 */
import type { Program } from "./daemon.ts";
import { OPERATIONS, operations } from "./operations.ts";
import { callRoundTrip, memory, ready } from "./startup.ts";
import { killed, waiting } from "./waiting.ts";

const main = new URL("../main.ts", import.meta.url).pathname;
const compiled = new URL("../dist/spfs", import.meta.url).pathname;
const fromSources: Program = { name: "deno run", command: Deno.execPath(), args: ["run", "-A", main] };

function programs(): Program[] {
  try {
    Deno.statSync(compiled);
  } catch {
    console.error("dist/spfs is missing (deno task compile): measuring deno run only");
    return [fromSources];
  }
  return [{ name: "compiled", command: compiled, args: [] }, fromSources];
}

async function each<T>(measure: (program: Program) => Promise<T>): Promise<Record<string, T>> {
  const results: Record<string, T> = {};
  for (const program of programs()) {
    results[program.name] = await measure(program);
    console.error(`  ${program.name}: ${JSON.stringify(results[program.name])}`);
  }
  return results;
}

const quick = Deno.args.includes("--quick");
const rounds = quick ? 3 : 10;
const product = () => programs()[0]!;

const sections: Record<string, () => Promise<unknown>> = {
  ready: () => each((program) => ready(program, rounds)),
  call: () => each((program) => callRoundTrip(program, rounds)),
  memory: () =>
    each(async (
      program,
    ) => [await memory(program, quick ? 10 : 50), ...(quick ? [] : [await memory(program, 200)])]),
  waiting: async () => {
    const results = [];
    for (const count of quick ? [1000] : [100, 1000, 10_000]) {
      results.push(await waiting(product(), count));
      console.error(`  ${JSON.stringify(results.at(-1))}`);
    }
    return { program: product().name, results, killMs: await killed(product(), 20) };
  },
  operations: async () => {
    const results = [];
    for (const cacheSeconds of [0, 1]) {
      const result = await operations(product(), cacheSeconds, quick ? 2 : 5, quick ? 0.2 : 0.5);
      results.push(result);
      for (const name of OPERATIONS) {
        const { native, passthrough_ll, spfs, costToPassthroughLl } = result.figures[name]!;
        console.error(
          `  cache ${cacheSeconds} s, ${name}: native ${native.median}, passthrough_ll ${passthrough_ll.median}, spfs ${spfs.median}` +
            `; cost ${costToPassthroughLl} x passthrough_ll`,
        );
      }
    }
    return { program: product().name, results };
  },
};

const wanted = Deno.args.filter((arg) => arg !== "--quick");
const unknown = wanted.filter((name) => !(name in sections));
if (unknown.length > 0) {
  console.error(`no section ${unknown.join(", ")}; there are ${Object.keys(sections).join(", ")}`);
  Deno.exit(2);
}
const report: Record<string, unknown> = {};
for (const name of wanted.length > 0 ? wanted : Object.keys(sections)) {
  console.error(name);
  report[name] = await sections[name]!();
}
console.log(JSON.stringify(report, null, 2));
