import { assertEquals, assertStringIncludes } from "@std/assert";
import { processesOf } from "../../tools/leftovers.ts";
import { runTests, type TestRunResult } from "../../tools/test_process.ts";

/** Runs the text of a test file, which finds another text in `support.ts`. */
async function run(text: string, support = "", timeoutMs = 30_000): Promise<TestRunResult> {
  const folder = await Deno.makeTempDir({ prefix: "spfs-run-" });
  try {
    await Deno.writeTextFile(`${folder}/some_test.ts`, text);
    await Deno.writeTextFile(`${folder}/support.ts`, support);
    const args = ["--no-config", "--no-lock", `${folder}/some_test.ts`];
    return await runTests({ name: "some tests", args, timeoutMs });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const failedNames = ({ report }: TestRunResult) => report.failed.map(({ name }) => name);

Deno.test("test process: what passed and failed is counted, the output kept", async () => {
  const result = await run(`
    Deno.test("good", () => console.log("said"));
    Deno.test("bad", () => { throw new Error("why"); });
    Deno.test({ name: "not now", ignore: true, fn() {} });`);
  assertEquals(result.report.passed, 1);
  assertEquals(failedNames(result), ["bad"]);
  assertEquals(result.report.skipped.map(({ name }) => name), ["not now"]);
  assertStringIncludes(result.output, "said");
});

Deno.test("test process: a test that is made by a function of another file counts as the run's", async () => {
  const { report } = await run(
    `import { make } from "./support.ts"; make();`,
    `export const make = () => Deno.test("made", () => { throw new Error(); });`,
  );
  assertEquals(report.failed.map(({ file, name }) => [file, name]), [["some tests", "made"]]);
});

Deno.test("test process: a file that does not load, and one that ends the process, are failures", async () => {
  assertEquals(failedNames(await run(`throw new Error("at load");`)), ["loads"]);
  assertEquals(failedNames(await run(`Deno.test("x", () => Deno.kill(Deno.pid, "SIGKILL"));`)), [
    "gets to its end",
  ]);
});

Deno.test("test process: tests have a temporary directory of their own, which is gone afterwards", async () => {
  const { report, output } = await run(
    `Deno.test("x", () => console.log("=" + Deno.makeTempDirSync() + "="));`,
  );
  assertEquals([report.passed, report.failed.length], [1, 0]);
  const path = /=(\/tmp\/spfs-t-[^/]+)\/t\/[^/]+=/.exec(output)![1]!;
  assertEquals(await Deno.stat(path).catch(() => "gone"), "gone");
});

Deno.test("test process: one that hangs is killed with all it started, in its process group or not", async () => {
  const result = await run(
    `
    const pid = (command, args) => new Deno.Command(command, { args, stdout: "null" }).spawn().pid;
    Deno.test("hangs", async () => {
      console.log("ready " + pid("sleep", ["1000"]) + " " + pid("setsid", ["sleep", "1000"]) + " " + Deno.env.get("SPFS_TEST_RUN") + " ");
      await new Promise((resolve) => setTimeout(resolve, 1e9));
    });`,
    "",
    4000,
  );
  assertEquals(failedNames(result), ["ends in time"]);
  assertStringIncludes(result.report.failed[0]!.message, "killed after 4 s; there were\nprocess ");
  const [, inGroup, outside, id] = /ready (\d+) (\d+) (\S+) /.exec(result.output)!;
  assertEquals(await processesOf(id!), []);
  for (const pid of [inGroup, outside]) assertEquals(await stateOf(Number(pid)), undefined);
});

Deno.test("test process: a process that is left behind is a failure, and killed", async () => {
  const result = await run(`
    Deno.test({ name: "starts", sanitizeResources: false, fn() {
      const child = new Deno.Command("setsid", { args: ["sleep", "1000"], stdout: "null" }).spawn();
      child.unref();
      console.log("pid " + child.pid + " ");
    } });`);
  assertEquals([result.report.passed, failedNames(result)], [1, ["leaves nothing behind"]]);
  assertStringIncludes(result.report.failed[0]!.message, "(sleep, state S");
  assertEquals(await stateOf(Number(/pid (\d+) /.exec(result.output)![1])), undefined);
});

/** The state of a process; undefined when it is gone or a zombie. */
async function stateOf(pid: number): Promise<string | undefined> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const state = /^State:\s+(\S)/m.exec(status)?.[1];
  return state === "Z" || state === "X" ? undefined : state;
}
