/**
 * Running CRIU with spfs as its action script.
 *
 * @module
 */

import { ensurePrivateDirectory } from "../host/runtime_directory.ts";
import { ownProgram } from "../host/own_program.ts";
import { within } from "../host/time_limit.ts";
import { type CriuCommand, reasons, withOptions } from "./criu_command.ts";
import { dumpStages, hookStages, namedStage } from "./hook_stages.ts";
import { runtimeDirectoryOf } from "./session.ts";
import type { Terminal } from "./terminal.ts";

/** How much of a log's end is looked at for what went wrong, in bytes. */
const logTailBytes = 256 * 1024;

/** How long what CRIU wrote may take to arrive after its end, in milliseconds. */
const lastOutputMs = 200;

/** How CRIU is run. */
export interface CriuRun {
  /** The command of this program that is its action script. */
  readonly hook: "criu-hook" | "dump-hook";
  /** More of CRIU's options. */
  readonly options: readonly string[];
  /** Variables on top of the environment's. */
  readonly env: Record<string, string>;
  /** Gets what CRIU writes to stdout and stderr; when absent, that goes where ours goes. */
  readonly output?: (text: string) => void;
}

/**
 * Runs CRIU to its end. While it runs a SIGINT, which a terminal sends to CRIU as well, does nothing here, and SIGTERM and SIGHUP are passed
 * on: whatever ends CRIU, its exit code is told.
 *
 * @returns CRIU's exit code; 128 and the signal when one ended it
 * @throws {Error} of the operating system when it cannot be started
 */
export async function runCriu(command: CriuCommand, run: CriuRun, terminal: Terminal): Promise<number> {
  const script = actionScript(run.hook, terminal);
  try {
    const given = withOptions(command, ["--action-script", script.path, ...run.options]);
    const [program, ...args] = given as [string, ...string[]];
    const stdio = run.output === undefined ? "inherit" : "piped";
    const child = new Deno.Command(program, {
      args,
      env: { SPFS_SOCKET: "", SPFS_DELAY: "", ...run.env },
      stdout: stdio,
      stderr: stdio,
    }).spawn();
    const { output } = run;
    const streams = output === undefined ? [] : [child.stdout, child.stderr];
    const forwarded = Promise.all(streams.map((stream) => forward(stream, output!)));
    using _signals = passedOn(child);
    const { code } = await child.status;
    // Not longer: the daemon that CRIU has started may keep its stderr.
    await within(lastOutputMs, forwarded);
    return code;
  } finally {
    script.remove();
  }
}

async function forward(stream: ReadableStream<Uint8Array>, to: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) to(text);
}

/**
 * CRIU takes one file, gives it no arguments, and runs it at every stage. A shell that only looks at the stage is started in a millisecond, so
 * the program is run by one, at those that it does something at. Where files of the runtime directory cannot be run (noexec), the executable
 * itself is the script.
 */
function actionScript(hook: CriuRun["hook"], terminal: Terminal): { path: string; remove(): void } {
  const [program, ...args] = ownProgram(undefined, Deno.mainModule);
  const directory = runtimeDirectoryOf(terminal);
  ensurePrivateDirectory(directory);
  const path = `${directory}/${hook}-${Deno.pid}`;
  const words = [program, ...args, hook].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const stages = hook === "dump-hook" ? dumpStages : hookStages.filter((stage) => stage !== namedStage);
  const acts = `case $CRTOOLS_SCRIPT_ACTION in ${stages.join("|")}) exec ${words.join(" ")};; esac`;
  Deno.writeTextFileSync(path, `#!/bin/sh\n${acts}\n`, { mode: 0o700 });
  const remove = () => Deno.removeSync(path);
  if (args.length > 0 || canRun(path)) return { path, remove };
  remove();
  return { path: program, remove: () => {} };
}

/** Whether a script can be run: at no stage it does nothing. */
function canRun(path: string): boolean {
  const env = { CRTOOLS_SCRIPT_ACTION: "" };
  try {
    return new Deno.Command(path, { env, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

function passedOn(child: Deno.ChildProcess): Disposable {
  const ignore = () => {};
  const pass = (signal: Deno.Signal) => () => {
    try {
      child.kill(signal);
    } catch {
      // It has ended.
    }
  };
  const listeners = [["SIGINT", ignore], ["SIGTERM", pass("SIGTERM")], ["SIGHUP", pass("SIGHUP")]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
    },
  };
}

/** Why CRIU failed, as its log tells it; empty when it has none, and so has said it on stderr. */
export async function criuReasons({ logFile, workDirectory, images }: CriuCommand): Promise<string[]> {
  if (logFile === undefined) return [];
  const path = logFile.startsWith("/") ? logFile : `${workDirectory ?? images}/${logFile}`;
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, logTailBytes));
    await file.seek(size - bytes.length, Deno.SeekMode.Start);
    let filled = 0;
    for (let count: number | null = 1; count !== null && filled < bytes.length;) {
      count = await file.read(bytes.subarray(filled));
      filled += count ?? 0;
    }
    return reasons(new TextDecoder().decode(bytes.subarray(0, filled)));
  } catch (error) {
    return [`${path}: ${(error as Error).message}`];
  }
}
