/**
 * A command line of CRIU that somebody gave us to run: what of it concerns us. Pure.
 *
 * @module
 */

import { UsageError } from "./usage.ts";

/** What CRIU is to do. */
export type CriuVerb = "restore" | "dump";

/** CRIU's command line, as far as it is read. Paths are as they were given. */
export interface CriuCommand {
  /** The program and its arguments. */
  readonly words: readonly string[];
  /** Where its program is among the words. */
  readonly program: number;
  /** Where its verb is. */
  readonly verbAt: number;
  /** `--images-dir`; "." when it is not given, as CRIU has it. */
  readonly images: string;
  /** `--work-dir`. */
  readonly workDirectory: string | undefined;
  /** `--log-file`: relative to the work directory, else to the images. */
  readonly logFile: string | undefined;
  /** `--tree`: the root of the tree that is dumped. */
  readonly tree: number | undefined;
  /** `--restore-detached`: CRIU ends when the tree runs, instead of with it. */
  readonly detached: boolean;
}

/** CRIU's short options that have a value. */
const shortWithValue = "tDorWLMJ";

/** Those whose value, if any, is attached. */
const shortWithAttached = "vx";

/** The options that are read, by all of their names. */
const names: Readonly<Record<string, string>> = {
  D: "images",
  "images-dir": "images",
  W: "work",
  "work-dir": "work",
  o: "log",
  "log-file": "log",
  t: "tree",
  tree: "tree",
  d: "detached",
  "restore-detached": "detached",
};

/** Of these, the long ones that have a value. */
const longWithValue = ["images-dir", "work-dir", "log-file", "tree"];

/**
 * Reads it. Before `criu` another program may stand that runs it, such as `nsenter --net=/run/netns/a`.
 *
 * @throws {UsageError} when there is none, when it is not CRIU, or when it does something else
 */
export function parseCriuCommand(words: readonly string[], verb: CriuVerb): CriuCommand {
  const example = `spfs ${verb} [options] -- criu ${verb} ${verb === "dump" ? "-t PID " : ""}-D DIR ...`;
  if (words.length === 0) throw new UsageError(`CRIU's command is missing: ${example}`);
  const programAt = words.findIndex((word) => !word.startsWith("-") && /(?:^|\/)criu[^/=]*$/.test(word));
  if (programAt < 0) throw new UsageError(`${words[0]} is not criu: ${example}`);
  const found = new Map<string, string>();
  const positional: number[] = [];
  const take = (name: string, value: string | undefined) => {
    const known = names[name];
    if (known !== undefined && value !== undefined) found.set(known, value);
  };
  for (let at = programAt + 1; at < words.length && words[at] !== "--"; at++) {
    const word = words[at]!;
    if (word.startsWith("--")) {
      const [name, ...value] = word.slice(2).split("=");
      if (value.length > 0) take(name!, value.join("="));
      else take(name!, longWithValue.includes(name!) ? words[++at] : "");
    } else if (word.startsWith("-") && word !== "-") {
      for (let letter = 1; letter < word.length; letter++) {
        const name = word[letter]!;
        if (shortWithAttached.includes(name)) break;
        if (!shortWithValue.includes(name)) take(name, "");
        else {
          const attached = word.slice(letter + 1);
          take(name, attached !== "" ? attached : words[++at]);
          break;
        }
      }
    } else positional.push(at);
  }
  const verbAt = positional[0];
  if (verbAt === undefined || words[verbAt] !== verb) {
    const does = verbAt === undefined ? "nothing" : `"${words[verbAt]}"`;
    throw new UsageError(`criu is told to do ${does}, not "${verb}": ${example}`);
  }
  const tree = found.get("tree");
  return {
    words,
    program: programAt,
    verbAt,
    images: found.get("images") ?? ".",
    workDirectory: found.get("work"),
    logFile: found.get("log"),
    tree: tree !== undefined && /^[1-9]\d*$/.test(tree) ? Number(tree) : undefined,
    detached: found.has("detached"),
  };
}

/** The command with more options, which come right after its verb. */
export function withOptions({ words, verbAt }: CriuCommand, options: readonly string[]): string[] {
  return [...words.slice(0, verbAt + 1), ...options, ...words.slice(verbAt + 1)];
}

/** The last lines of a log of CRIU that tell why it failed: its own errors, and what our hooks said. */
export function reasons(log: string, atMost = 6): string[] {
  const telling = log.split("\n").filter((line) => /Error \(|spfs [a-z-]+-hook:.* failed: /.test(line));
  return telling.slice(-atMost);
}
