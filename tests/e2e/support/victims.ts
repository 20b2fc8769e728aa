/**
 * The C programs of a `victims/` folder, compiled once for each run of the tests.
 *
 * @module
 */

const ours = new URL("../victims/", import.meta.url);
const built = new Map<string, string>();
let directory: string | undefined;

/**
 * The path of an executable made of `NAME.c` in a folder, e2e's own by default.
 *
 * @param flags for the compiler, besides those that all get; always the same ones for a program
 * @throws {Error} with the compiler's messages.
 */
export function victim(name: string, folder: URL = ours, flags: readonly string[] = []): string {
  const source = new URL(`${name}.c`, folder).pathname;
  let path = built.get(source);
  if (path === undefined) {
    directory ??= temporaryDirectory();
    Deno.mkdirSync(`${directory}/${built.size}`); // programs of two folders may have the same name
    path = `${directory}/${built.size}/${name}`;
    compile(source, path, flags);
    built.set(source, path);
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
