/**
 * How this program starts itself once more. What may hang in the kernel, or must not be killed with the rest, is done by a process of its own: a
 * process cannot end before all of its threads have.
 *
 * @module
 */

import { NURSERY } from "./runtime_flags.ts";

/**
 * The command line of a part of this program that is a process of its own: a program with its arguments.
 *
 * @param name the command that the executable knows it by; undefined for the whole program, whose arguments are to follow
 * @param entry the module that is it, as a URL, for the sources
 */
export function ownProgram(name: string | undefined, entry: string): readonly [string, ...string[]] {
  if (Deno.build.standalone) return name === undefined ? [Deno.execPath()] : [Deno.execPath(), name];
  return [Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all", NURSERY, entry];
}
