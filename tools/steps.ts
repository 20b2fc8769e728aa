/**
 * Checks one after the other, each announced with what it came to and how long it took; of those that fail, what they wrote.
 *
 * @module
 */

import { capture, type CommandOptions } from "./command.ts";
import { failure, summary, type TestReport } from "./test_report.ts";
import { runTests, type TestRun } from "./test_process.ts";

/** Runs a program of which success is expected, and shows what it says. A failure counts as a failed test of this name. */
export async function programStep(
  name: string,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<TestReport> {
  const started = performance.now();
  const env = { NO_COLOR: "1", RUST_BACKTRACE: "0", ...options.env };
  const { ok, code, stdout, stderr } = await capture(program, args, { timeoutMs: 600_000, ...options, env });
  const output = `${stdout}${stderr}`;
  announce(name, ok ? "ok" : `FAILED (${code})`, started);
  if (!ok || stdout !== "") console.log(indent(lastLines(ok ? stdout : output, 200)));
  if (ok) return { passed: 0, failed: [], skipped: [] };
  return failure(name, name, `ended with ${code}:\n${lastLines(output, 20)}`);
}

/** Runs tests. */
export async function testStep(run: TestRun): Promise<TestReport> {
  const started = performance.now();
  const { report, output } = await runTests(run);
  const good = report.failed.length === 0;
  announce(run.name, good ? summary(report) : `FAILED: ${summary(report)}`, started);
  for (const { file, name } of report.skipped) console.log(`    skipped: ${file}: ${name}`);
  if (!good) console.log(indent(lastLines(output, 400)));
  return report;
}

/** What failed, each with the beginning of its error, and the sums on the last line. */
export function conclude(report: TestReport): void {
  if (report.failed.length > 0) console.log("\nfailed:");
  for (const { file, name, message } of report.failed) {
    console.log(`  ${file === name ? name : `${file}: ${name}`}`);
    console.log(indent(message.split("\n").slice(0, 12).join("\n"), 6));
  }
  console.log(`\n${summary(report)}`);
}

function announce(name: string, outcome: string, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${name.padEnd(44)} ${seconds.padStart(6)} s  ${outcome}`);
}

function lastLines(text: string, count: number): string {
  const lines = text.trimEnd().split("\n");
  const cut = lines.length - count;
  return cut > 0 ? [`(${cut} lines before)`, ...lines.slice(cut)].join("\n") : lines.join("\n");
}

function indent(text: string, columns = 4): string {
  return text.replace(/^/gm, " ".repeat(columns));
}
