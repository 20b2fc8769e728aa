/**
 * What test runs came to: read from the JUnit reports that `deno test` writes, added up, and put into a line.
 *
 * @module
 */

/** A test that did not succeed. */
export interface NamedTest {
  /** The file, or the run, that it belongs to. */
  readonly file: string;
  /** Its name; of a step with the names of the tests around it. */
  readonly name: string;
}

/** A test that failed. */
export interface FailedTest extends NamedTest {
  /** The error, several lines. */
  readonly message: string;
}

/** The tests of a run. */
export interface TestReport {
  /** How many passed, steps included. */
  readonly passed: number;
  /** Those that failed. */
  readonly failed: readonly FailedTest[];
  /** Those that were skipped. */
  readonly skipped: readonly NamedTest[];
}

/** Reads the JUnit report of `deno test --junit-path`. @throws {SyntaxError} when the text is none. */
export function parseJunit(xml: string): TestReport {
  if (!/<testsuites\b[^>]*>/.test(xml) || !xml.trimEnd().endsWith("</testsuites>")) {
    throw new SyntaxError("not a JUnit report");
  }
  const failed: FailedTest[] = [];
  const skipped: NamedTest[] = [];
  let passed = 0;
  for (const [, head, body = ""] of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const test = { file: attribute(head!, "classname"), name: attribute(head!, "name") };
    const failure = /<(?:failure|error)\b([^>]*?)(?:\/>|>([\s\S]*?)<\/(?:failure|error)>)/.exec(body);
    if (failure !== null) {
      failed.push({
        ...test,
        message: unescape(failure[2] ?? "").trim() || attribute(failure[1]!, "message"),
      });
    } else if (/<skipped\b/.test(body)) skipped.push(test);
    else passed++;
  }
  return { passed, failed, skipped };
}

function attribute(head: string, name: string): string {
  return unescape(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(head)?.[1] ?? "");
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return entities[name] ?? whole;
  });
}

/** The report of something that is no test by itself and went wrong: a step, a file that did not load, something left behind. */
export function failure(file: string, name: string, message: string): TestReport {
  return { passed: 0, failed: [{ file, name, message }], skipped: [] };
}

/** Several reports as one. */
export function total(reports: readonly TestReport[]): TestReport {
  return {
    passed: reports.reduce((sum, { passed }) => sum + passed, 0),
    failed: reports.flatMap(({ failed }) => failed),
    skipped: reports.flatMap(({ skipped }) => skipped),
  };
}

/** `N passed, N failed`, and `, N skipped` when there are any. */
export function summary({ passed, failed, skipped }: TestReport): string {
  const more = skipped.length === 0 ? "" : `, ${skipped.length} skipped`;
  return `${passed} passed, ${failed.length} failed${more}`;
}
