/**
 * The commands that are run again and again or must start fast, `call`, `criu-hook`, `dump-hook` and `serve`, without the program of commands:
 * loading that costs as much as everything else a short command does. What is not plain here (help, a mistake) is left to the
 * program.
 *
 * @module
 */

import { exitCodes } from "../host/exit_codes.ts";
import { isDumpStage, isHookStage } from "./hook_stages.ts";
import { defaultErrno, isEndOfInput, isLogLevel, runServe } from "./serve.ts";
import type { Terminal } from "./terminal.ts";

/** How long the daemon has to answer `criu-hook` when it does not say, in milliseconds. */
export const hookTimeoutMs = 30_000;

/** How long a file system may take to tell `dump-hook` and `record` of one file when they do not say, in milliseconds. */
export const stallMs = 2000;

/** A plain command line: positional words, and options that all have values. */
interface Plain {
  words: string[];
  options: Map<string, string>;
}

/** Runs the command if it is one of these, and plain; resolves to its exit code, or undefined when the program is to run it. */
export async function runQuick(args: readonly string[], terminal: Terminal): Promise<number | undefined> {
  const [command, ...rest] = args;
  switch (command) {
    case "call":
      return await quickCall(readPlain(rest, ["--socket"]), terminal);
    case "criu-hook":
      return await quickHook(readPlain(rest, ["--socket", "--timeout"]), terminal);
    case "dump-hook":
      return await quickDumpHook(readPlain(rest, ["--timeout"]), terminal);
    case "serve":
      return await quickServe(
        readPlain(rest, ["--socket", "--on-eof", "--errno", "--log", "--log-level"]),
        terminal,
      );
    // CRIU's --action-script takes the path of a program and gives it no arguments: spfs itself will do.
    case undefined:
      return terminal.env("CRTOOLS_SCRIPT_ACTION") === undefined
        ? undefined
        : isDumpStage(terminal.env("CRTOOLS_SCRIPT_ACTION"))
        ? await quickDumpHook(readPlain([], []), terminal)
        : await quickHook(readPlain([], []), terminal);
    default:
      return undefined;
  }
}

async function quickCall(plain: Plain | undefined, terminal: Terminal): Promise<number | undefined> {
  const [method, json, ...rest] = plain?.words ?? [];
  if (plain === undefined || method === undefined || rest.length > 0) return undefined;
  const { call } = await import("./control_commands.ts");
  await call(method, json, { socket: plain.options.get("--socket") }, terminal);
  return exitCodes.ok;
}

async function quickHook(plain: Plain | undefined, terminal: Terminal): Promise<number | undefined> {
  const timeout = plain?.options.get("--timeout");
  if (plain === undefined || plain.words.length > 0 || (timeout !== undefined && !/^\d+$/.test(timeout))) {
    return undefined;
  }
  // CRIU runs its action script at every stage; most of them must cost nothing.
  if (!isHookStage(terminal.env("CRTOOLS_SCRIPT_ACTION"))) return exitCodes.ok;
  const { criuHook } = await import("./criu_hook.ts");
  const options = { socket: plain.options.get("--socket"), timeout: Number(timeout ?? hookTimeoutMs) };
  return await criuHook(options, terminal);
}

async function quickDumpHook(plain: Plain | undefined, terminal: Terminal): Promise<number | undefined> {
  const timeout = plain?.options.get("--timeout");
  if (plain === undefined || plain.words.length > 0 || (timeout !== undefined && !/^\d+$/.test(timeout))) {
    return undefined;
  }
  if (!isDumpStage(terminal.env("CRTOOLS_SCRIPT_ACTION"))) return exitCodes.ok;
  const { dumpHook } = await import("./record.ts");
  return await dumpHook({ timeout: Number(timeout ?? stallMs) }, terminal);
}

async function quickServe(plain: Plain | undefined, terminal: Terminal): Promise<number | undefined> {
  if (plain === undefined || plain.words.length > 0) return undefined;
  const onEof = plain.options.get("--on-eof") ?? "linger";
  const errno = plain.options.get("--errno") ?? defaultErrno;
  const logLevel = plain.options.get("--log-level") ?? "info";
  if (!isEndOfInput(onEof) || !isLogLevel(logLevel)) return undefined;
  const { options } = plain;
  const [socket, log] = [options.get("--socket"), options.get("--log")];
  return await runServe({ socket, log, onEof, errno, logLevel }, terminal);
}

function readPlain(args: readonly string[], known: readonly string[]): Plain | undefined {
  const plain: Plain = { words: [], options: new Map() };
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (!word.startsWith("-") || word === "-") {
      plain.words.push(word);
      continue;
    }
    const [, name, inline] = word.match(/^(--[a-z-]+)(?:=([^]*))?$/) ?? [];
    const value = inline ?? args[++at];
    if (name === undefined || value === undefined || !known.includes(name)) return undefined;
    plain.options.set(name, value);
  }
  return plain;
}
