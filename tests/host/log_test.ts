import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createLog, formatEntry } from "../../host/log.ts";

const time = new Date(Date.UTC(2030, 0, 2, 3, 4, 5, 6));

Deno.test("log: an entry is one line with time, level, mount, request and text", () => {
  assertEquals(
    formatEntry(time, "warn", "it\nbroke\x1b[31m", { mount: "web", request: 7n }),
    "2030-01-02T03:04:05.006Z warn  mount=web request=7 it\\nbroke\\x1b[31m",
  );
  assertEquals(formatEntry(time, "error", "x"), "2030-01-02T03:04:05.006Z error x");
});

Deno.test("log: an over-long text is cut and says how long it was", () => {
  const line = formatEntry(time, "info", "a".repeat(100_000));
  assert(line.length < 5000);
  assertStringIncludes(line, "(100000 characters)");
});

Deno.test("log: entries below the level are left out", async () => {
  const out: string[] = [];
  const log = createLog("warn", (bytes) => Promise.resolve(void out.push(new TextDecoder().decode(bytes))));
  log.write("info", "no");
  log.write("error", "yes");
  await log.flush(1000);
  assertEquals(out.length, 1);
  assertStringIncludes(out[0]!, "yes");
});

Deno.test("log: a reader that does not read costs bounded memory and lines are counted", async () => {
  const open = Promise.withResolvers<void>();
  const out: string[] = [];
  const log = createLog("info", async (bytes) => {
    out.push(new TextDecoder().decode(bytes));
    await open.promise;
  });
  for (let at = 0; at < 5000; at++) log.write("info", `line ${at}`);
  await log.flush(1);
  open.resolve();
  await log.flush(1000);
  const lines = out.join("").trimEnd().split("\n");
  assertEquals(lines.length, 1002);
  assertStringIncludes(lines.at(-1)!, "3999 log lines dropped");
});

Deno.test("log: a sink that fails loses lines and nothing else", async () => {
  let calls = 0;
  const log = createLog("info", () => {
    calls++;
    return Promise.reject(new Error("EPIPE"));
  });
  log.write("info", "one");
  await log.flush(1000);
  log.write("info", "two");
  await log.flush(1000);
  assertEquals(calls, 2);
});
