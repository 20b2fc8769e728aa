/**
 * The two commands that scripts run again and again, `call` and `criu-hook`, without the program of commands: loading that costs
 * more than the call itself. What is not plain here (help, a mistake) is left to the program.
 *
 * @module
 */

import { exitCodes } from "../host/exit_codes.ts";
import { isHookStage } from "./hook_stages.ts";
import type { Terminal } from "./terminal.ts";

/** How long the daemon has to answer `criu-hook` when it does not say, in milliseconds. */
export const hookTimeoutMs = 30_000;

/** A plain command line: positional words, and options that all have values. */
interface Plain {
  words: string[];
  options: Map<string, string>;
}

/** Runs the command if it is one of the two, and plain; resolves to its exit code, or undefined when the program is to run it. */
export async function runQuick(args: readonly string[], terminal: Terminal): Promise<number | undefined> {
  if (args[0] === "call") {
    const plain = readPlain(args.slice(1), ["--socket"]);
    const [method, json, ...rest] = plain?.words ?? [];
    if (plain === undefined || method === undefined || rest.length > 0) return undefined;
    const { call } = await import("./control_commands.ts");
    await call(method, json, { socket: plain.options.get("--socket") }, terminal);
    return exitCodes.ok;
  }
  if (args[0] === "criu-hook") {
    const plain = readPlain(args.slice(1), ["--socket", "--timeout"]);
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
  return undefined;
}

function readPlain(args: readonly string[], known: readonly string[]): Plain | undefined {
  const plain: Plain = { words: [], options: new Map() };
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (!word.startsWith("-") || word === "-") {
      plain.words.push(word);
      continue;
    }
    const [, name, inline] = word.match(/^(--[a-z]+)(?:=([^]*))?$/) ?? [];
    const value = inline ?? args[++at];
    if (name === undefined || value === undefined || !known.includes(name)) return undefined;
    plain.options.set(name, value);
  }
  return plain;
}
