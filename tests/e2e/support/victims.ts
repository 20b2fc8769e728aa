/**
 * The C programs of `victims/`, compiled once for each run of the tests.
 *
 * @module
 */

const sources = new URL("../victims/", import.meta.url).pathname;
const built = new Map<string, string>();
let directory: string | undefined;

/** The path of an executable made of `victims/NAME.c`. @throws {Error} with the compiler's messages. */
export function victim(name: string): string {
  let path = built.get(name);
  if (path === undefined) {
    directory ??= temporaryDirectory();
    path = `${directory}/${name}`;
    compile(`${sources}${name}.c`, path);
    built.set(name, path);
  }
  return path;
}

/** Compiles a C program. @throws {Error} with the compiler's messages. */
export function compile(source: string, output: string, flags: readonly string[] = []): void {
  const args = ["-O2", "-Wall", "-Wextra", "-pthread", "-o", output, source, ...flags];
  const { success, stderr } = new Deno.Command("gcc", { args, stdout: "null", stderr: "piped" }).outputSync();
  if (!success) throw new Error(`${source} does not compile:\n${new TextDecoder().decode(stderr)}`);
}

function temporaryDirectory(): string {
  const made = Deno.makeTempDirSync({ prefix: "spfs-victims-" });
  Deno.chmodSync(made, 0o755); // other users run them as well
  globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
  return made;
}
