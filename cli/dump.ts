/**
 * `spfs dump`: runs CRIU's dump with spfs as its action script, which notes beside the images what they lack, and tells how they are
 * restored while the network is away.
 *
 * @module
 */

import { encodePath } from "../control/values.ts";
import { SysError } from "../ffi/errno.ts";
import { exitCodes } from "../host/exit_codes.ts";
import type { NetworkMount, StubUser } from "../host/tree_mounts.ts";
import { type CriuCommand, parseCriuCommand } from "./criu_command.ts";
import { criuReasons, runCriu } from "./criu_run.ts";
import { absolute } from "./mount.ts";
import type { Terminal } from "./terminal.ts";
import { counted, pathText, printable } from "./text.ts";
import { UsageError } from "./usage.ts";

/** Runs `criu dump`. @returns CRIU's exit code; "failed" when the tree cannot be dumped, and CRIU was not started */
export async function dump(words: readonly string[], terminal: Terminal): Promise<number> {
  const command = parseCriuCommand(words, "dump");
  const { tree, images } = command;
  if (tree === undefined) throw new UsageError("criu dump is not told which tree: -t PID");
  if (!await Deno.stat(images).then(({ isDirectory }) => isDirectory, () => false)) {
    throw new UsageError(`${images} is no directory (criu's -D names the one for the images)`);
  }
  const host = await import("../host/tree_mounts.ts");
  const refused = refusal(() => host.stubUsers(tree));
  if (refused !== undefined) {
    terminal.err(`spfs dump: ${refused}\n`);
    return exitCodes.failed;
  }
  const code = await runCriu(command, { hook: "dump-hook", options: [], env: {} }, terminal);
  if (code !== 0) {
    terminal.err(`spfs dump: criu ended with exit code ${code}\n`);
    for (const line of await criuReasons(command)) terminal.err(`  ${line}\n`);
    return code;
  }
  for (const line of hint(command, host.notedNetworkMounts(images))) terminal.out(`${line}\n`);
  return exitCodes.ok;
}

/** Why the tree cannot be dumped; undefined when nothing is against it. */
function refusal(look: () => StubUser[]): string | undefined {
  let users: StubUser[];
  try {
    users = look();
  } catch (error) {
    if (error instanceof SysError) return error.message;
    throw error;
  }
  const [first, ...others] = users;
  if (first === undefined) return undefined;
  const more = others.length === 0
    ? ""
    : `, and ${counted(others.length, "other process", "other processes")}`;
  return `process ${first.pid}${more} of the tree uses the stand-in at ${
    pathText(encodePath(first.mountpoint))
  }: ` +
    "CRIU would wait for it; dump when the real file system is in its place (spfs status)";
}

/** What network file systems the tree uses, and the command that restores it without them. */
function hint({ images }: CriuCommand, mounts: readonly NetworkMount[]): string[] {
  if (mounts.length === 0) return ["dumped; no file of the tree is on a network file system"];
  const text = (bytes: Uint8Array) => pathText(encodePath(bytes));
  return [
    `dumped; the tree uses ${counted(mounts.length, "network file system")}:`,
    ...mounts.map(({ mountpoint, type, source }) =>
      `  ${text(mountpoint)}: ${text(source)} (${printable(type)})`
    ),
    "to restore it while they are away:",
    `  spfs restore --wait ${mounts.map(({ mountpoint }) => `--mount ${text(mountpoint)}`).join(" ")} ` +
    `-- criu restore -d -D ${printable(absolute(images))}`,
  ];
}
