/**
 * `deno task test:vm`: the tests on NFS, in an emulated machine, because the kernel of this one need not know NFS, and servers that die
 * have to be somebody's. Makes the machine's system when it is not in the cache, and runs all tests in one start of it. Arguments choose
 * among the tests by parts of their paths; `--times N` runs each that was chosen so many times. The last line has the sums.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { conclude, programStep } from "../../tools/steps.ts";
import { testFiles } from "../../tools/test_files.ts";
import { total } from "../../tools/test_report.ts";
import { runInMachine } from "./machine/run.ts";

const root = new URL("../../", import.meta.url);

const { values, positionals: wanted } = parseArgs({
  args: Deno.args,
  options: { times: { type: "string", default: "1" } },
  allowPositionals: true,
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 1) {
  throw new RangeError(`--times ${values.times}: no number of times`);
}
const compiled = await programStep("compile", Deno.execPath(), ["run", "-A", "tools/compile.ts"], {
  cwd: root.pathname,
});
const { machine } = await testFiles(root);
const tests = machine.filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)));
const report = total([compiled, await runInMachine(tests, times)]);
conclude(report);
Deno.exit(report.failed.length === 0 ? 0 : 1);
