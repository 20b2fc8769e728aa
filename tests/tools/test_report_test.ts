import { assertEquals, assertThrows } from "@std/assert";
import { failure, parseJunit, summary, total } from "../../tools/test_report.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="2" errors="0" time="0.068">
    <testsuite name="./a_test.ts" tests="4" disabled="1" errors="0" failures="2">
        <testcase name="passes &lt;x&gt; &amp; &quot;q&quot;" classname="./a_test.ts" time="0.000" line="1" col="6">
        </testcase>
        <testcase name="fails" classname="./a_test.ts" time="0.001" line="2" col="6">
            <failure message="Uncaught Error: bad &lt;skipped/&gt;
line 2">Error: bad &lt;thing&gt;
line 2
    at file:///a_test.ts:2:34</failure>
        </testcase>
        <testcase name="skipped" classname="./a_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
        <testcase name="steps &gt; two" classname="./a_test.ts" time="0.000" line="4" col="74">
            <failure message="only &#233;&#x41; here"></failure>
        </testcase>
        <testcase name="short" classname="./a_test.ts" time="0.000" line="5" col="6"/>
    </testsuite>
</testsuites>
`;

Deno.test("test report: passed, failed and skipped tests are told apart, with their names and errors", () => {
  assertEquals(parseJunit(report), {
    passed: 2,
    failed: [
      {
        file: "./a_test.ts",
        name: "fails",
        message: "Error: bad <thing>\nline 2\n    at file:///a_test.ts:2:34",
      },
      { file: "./a_test.ts", name: "steps > two", message: "only éA here" },
    ],
    skipped: [{ file: "./a_test.ts", name: "skipped" }],
  });
});

Deno.test("test report: a report that breaks off is none", () => {
  assertThrows(() => parseJunit(""), SyntaxError);
  assertThrows(() => parseJunit(report.slice(0, -20)), SyntaxError);
});

Deno.test("test report: the last line has the sums of all runs", () => {
  assertEquals(summary(total([])), "0 passed, 0 failed");
  const all = total([parseJunit(report), failure("lint", "lint", "x"), parseJunit(report)]);
  assertEquals(summary(all), "4 passed, 5 failed, 2 skipped");
  assertEquals(all.failed.map(({ name }) => name), ["fails", "steps > two", "lint", "fails", "steps > two"]);
});

Deno.test("test report: what deno test writes is read", async () => {
  const folder = await Deno.makeTempDir({ prefix: "spfs-report-" });
  try {
    const file = `${folder}/x_test.ts`;
    await Deno.writeTextFile(
      file,
      `Deno.test("good", () => {}); Deno.test("bad", () => { throw new Error("<why>"); });
       Deno.test({ name: "not now", ignore: true, fn() {} });`,
    );
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-config", "--no-lock", "--no-check", `--junit-path=${folder}/report.xml`, file],
      stdout: "null",
      stderr: "null",
    }).output();
    const { passed, failed, skipped } = parseJunit(await Deno.readTextFile(`${folder}/report.xml`));
    assertEquals([code, passed, failed.map((test) => test.name), skipped.map((test) => test.name)], [
      1,
      1,
      ["bad"],
      ["not now"],
    ]);
    assertEquals(failed[0]!.message.split("\n")[0], "Error: <why>");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
