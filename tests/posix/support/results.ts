/**
 * What the case map prints, and how two of its outputs differ. Pure.
 *
 * @module
 */

/** Results by step: `CASE#STEP WHAT` and what came of it. */
export type Results = ReadonlyMap<string, string>;

/** A step whose results are not the same; undefined where the step was not reached. */
export interface Difference {
  /** `CASE#STEP WHAT`. */
  readonly step: string;
  /** On the native file system. */
  readonly native: string | undefined;
  /** Through spfs. */
  readonly spfs: string | undefined;
}

/** A difference that is permitted. */
export interface Permitted {
  /** Accepts the steps, each of which must differ. */
  readonly steps: RegExp;
  /** The file systems on which they differ. */
  readonly on: readonly string[];
  /** What the results through spfs are. */
  readonly spfs: RegExp;
  /** Why it is right, or cannot be helped. */
  readonly reason: string;
}

/** Reads an output. @throws {Error} for a line that is no result, or a step that is there twice. */
export function parseResults(output: string): Results {
  const results = new Map<string, string>();
  for (const line of output.split("\n")) {
    if (line === "") continue;
    const match = /^([^#]+#\d+ .*?): (.*)$/s.exec(line);
    if (match === null || results.has(match[1]!)) throw new Error(`not a result: ${line}`);
    results.set(match[1]!, match[2]!);
  }
  return results;
}

/** The steps that differ, in the order of the native results. */
export function differences(native: Results, spfs: Results): Difference[] {
  const steps = new Set([...native.keys(), ...spfs.keys()]);
  return [...steps].map((step) => ({ step, native: native.get(step), spfs: spfs.get(step) }))
    .filter((difference) => difference.native !== difference.spfs);
}

/**
 * What is wrong with differences as lines for people: those that nobody permitted, and permitted ones that are none any more.
 *
 * @param on the file system behind
 */
export function complaints(
  found: readonly Difference[],
  permitted: readonly Permitted[],
  on: string,
): string[] {
  const unused = new Set(permitted.filter((one) => one.on.includes(on)));
  const lines: string[] = [];
  for (const { step, native, spfs } of found) {
    const fits = permitted.filter((one) =>
      one.on.includes(on) && one.steps.test(step) && one.spfs.test(spfs ?? "not reached")
    );
    for (const one of fits) unused.delete(one);
    if (fits.length === 0) {
      lines.push(`${step}: ${native ?? "not reached"} on ${on}, ${spfs ?? "not reached"} through spfs`);
    }
  }
  for (const { steps } of unused) lines.push(`${steps}: permitted to differ on ${on}, and does not`);
  return lines;
}
