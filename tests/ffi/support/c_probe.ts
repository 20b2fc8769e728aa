/**
 * Asks the installed C headers: makes a program that prints what expressions are worth, compiles and runs it.
 *
 * @module
 */

/** One thing to ask. */
export interface Question {
  /** The key of the answer. */
  readonly name: string;
  /** C expressions of integer type, each of which becomes one number of the answer. */
  readonly values: readonly string[];
  /** A preprocessor condition without which it is not asked. */
  readonly when?: string;
}

/** What goes before the questions. */
export interface ProbeOptions {
  /** Headers, as between the angle brackets. */
  readonly includes: readonly string[];
  /** Macros to define first, such as "_GNU_SOURCE". */
  readonly defines?: readonly string[];
  /** Further declarations and static assertions, after the headers. */
  readonly declarations?: string;
  /** Further arguments of the compiler. */
  readonly flags?: readonly string[];
}

/** Which of these headers the C compiler does not find, as a phrase; `undefined` when it finds all of them. */
export function lacksHeaders(includes: readonly string[], flags: readonly string[] = []): string | undefined {
  try {
    const missing = includes.filter((name) =>
      compile(["-fsyntax-only", ...flags], `#if !__has_include(<${name}>)\n#error none\n#endif\n`) !== ""
    );
    return missing.length === 0 ? undefined : `no headers ${missing.join(", ")}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no gcc";
    throw error;
  }
}

/**
 * The answers by name; those left out by their condition are missing.
 *
 * @throws {Error} with the compiler's messages when the program does not compile.
 */
export function ask(options: ProbeOptions, questions: readonly Question[]): Map<string, bigint[]> {
  const lines = questions.map(({ name, values, when }) => {
    const prints = values.map((value) => `  printf(" %lld", (long long)(${value}));`);
    const asked = [`  printf("%s", "${name}");`, ...prints, `  printf("\\n");`].join("\n");
    return when === undefined ? asked : `#if ${when}\n${asked}\n#endif`;
  });
  const source = [
    ...(options.defines ?? []).map((macro) => `#define ${macro}`),
    ...[...options.includes, "stddef.h", "stdio.h"].map((name) => `#include <${name}>`),
    options.declarations ?? "",
    "int main(void) {",
    ...lines,
    "  return 0;\n}\n",
  ].join("\n");
  const program = Deno.makeTempFileSync({ prefix: "spfs-probe-" });
  try {
    const messages = compile(["-o", program, ...options.flags ?? []], source);
    if (messages !== "") throw new Error(`the probe does not compile:\n${messages}`);
    const { stdout } = new Deno.Command(program).outputSync();
    const answers = new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => line.split(" "));
    return new Map(answers.map(([name, ...numbers]) => [name!, numbers.map(BigInt)]));
  } finally {
    Deno.removeSync(program);
  }
}

function compile(flags: readonly string[], source: string): string {
  const file = Deno.makeTempFileSync({ prefix: "spfs-probe-", suffix: ".c" });
  try {
    Deno.writeTextFileSync(file, source);
    const { success, stderr } = new Deno.Command("gcc", { args: ["-Wall", "-Werror", ...flags, file] })
      .outputSync();
    return success ? "" : new TextDecoder().decode(stderr);
  } finally {
    Deno.removeSync(file);
  }
}
