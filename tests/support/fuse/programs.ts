/**
 * The C programs of the tests, compiled once for each run.
 *
 * @module
 */
const sources = new URL("../../fs/programs/", import.meta.url).pathname;
let directory: string | undefined;
const compiled = new Map<string, string>();

/**
 * The path of an executable made of `NAME.c` and its parts `NAME_*.c`.
 *
 * @throws {Error} with the compiler's messages.
 */
export function program(name: string): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  if (directory === undefined) {
    const made = directory = Deno.makeTempDirSync({ prefix: "spfs-programs-" });
    Deno.chmodSync(made, 0o755); // other users run them as well
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
  }
  const files = [...Deno.readDirSync(sources)].map((entry) => entry.name)
    .filter((file) => file === `${name}.c` || (file.startsWith(`${name}_`) && file.endsWith(".c")));
  const output = `${directory}/${name}`;
  const args = ["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", output, ...files];
  const { success, stderr } = new Deno.Command("gcc", { args, cwd: sources }).outputSync();
  if (!success) throw new Error(`${name} does not compile:\n${new TextDecoder().decode(stderr)}`);
  compiled.set(name, output);
  return output;
}
