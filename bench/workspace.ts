/**
 * Where measurements happen: a temporary directory, programs built in it, mounts below it, and their removal whatever happens.
 *
 * @module
 */

/** A temporary directory with what was built and mounted in it. */
export class Workspace implements AsyncDisposable {
  /** Its path. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "spfs-bench-" });

  /** Makes a directory in it. */
  directory(name: string): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** Compiles a C program of `bench/programs`, or of an absolute path. */
  async build(source: string, flags: readonly string[] = []): Promise<string> {
    const input = source.startsWith("/") ? source : new URL(`programs/${source}`, import.meta.url).pathname;
    const output = `${this.path}/${source.split("/").at(-1)!.replace(/\.c$/, "")}`;
    await run("gcc", ["-O2", "-pthread", "-o", output, input, ...flags]);
    return output;
  }

  /** Unmounts what lies below it and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) =>
      line.split(" ")[4] ?? ""
    );
    for (const mount of mounts.filter((path) => path.startsWith(`${this.path}/`)).reverse()) {
      await new Deno.Command("umount", { args: ["-l", mount] }).output();
    }
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Runs a program to its end and returns what it printed. @throws {Error} with its stderr when it fails. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, code, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}: exit ${code}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return new TextDecoder().decode(stdout);
}
