/**
 * Running other programs, for the tools of this folder.
 *
 * @module
 */

/** How a program is run. */
export interface CommandOptions {
  /** Its folder; this one's by default. */
  readonly cwd?: string;
  /** Variables on top of the environment's. */
  readonly env?: Record<string, string>;
  /** After how many milliseconds it is killed; a minute by default. */
  readonly timeoutMs?: number;
}

/** What a program left behind. */
export interface CommandResult {
  /** Whether it ended by itself with 0. */
  readonly ok: boolean;
  /** Its exit code; 128 + signal when it was killed; 127 when it could not be started. */
  readonly code: number;
  /** What it wrote to stdout. */
  readonly stdout: string;
  /** What it wrote to stderr; why it could not be started. */
  readonly stderr: string;
}

/** Runs a program with stdin closed and keeps what it writes. Never throws: a program that cannot be started has code 127. */
export async function capture(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { timeoutMs = 60_000, ...rest } = options;
  try {
    const output = await new Deno.Command(program, {
      ...rest,
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(timeoutMs),
    }).output();
    const text = new TextDecoder();
    return {
      ok: output.success,
      code: output.code,
      stdout: text.decode(output.stdout),
      stderr: text.decode(output.stderr),
    };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { ok: false, code: 127, stdout: "", stderr: `${program}: ${error.message}` };
  }
}

/** Runs a program with stdin closed, its output going where this program's goes. The exit code as in {@linkcode capture}. */
export async function show(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<number> {
  const { timeoutMs = 600_000, ...rest } = options;
  try {
    const child = new Deno.Command(program, {
      ...rest,
      args: [...args],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      signal: AbortSignal.timeout(timeoutMs),
    }).spawn();
    return (await child.status).code;
  } catch (error) {
    console.error(`${program}: ${(error as Error).message}`);
    return 127;
  }
}

/** As {@linkcode capture}, and stdout is the result. @throws {Error} with the end of stderr when it fails. */
export async function output(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await capture(program, args, options);
  if (result.ok) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-12).join("\n  ");
  throw new Error(`${program} ${args.join(" ")} ended with ${result.code}:\n  ${said}`);
}

/** Where a program is in PATH, `undefined` when it is not. Also looks into the folders of administrators' programs. */
export function findProgram(name: string): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":").concat("/usr/sbin", "/sbin");
  return folders.filter((folder) => folder.startsWith("/")).map((folder) => `${folder}/${name}`).find(
    (path) => {
      try {
        const { isFile, mode } = Deno.statSync(path);
        return isFile && ((mode ?? 0) & 0o111) !== 0;
      } catch {
        return false;
      }
    },
  );
}
