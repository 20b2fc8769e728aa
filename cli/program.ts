/**
 * The commands, their arguments and options. What a command does is loaded when it is run.
 *
 * @module
 */

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { defaultSwapDeadlineMs, swapModes } from "../control/swap_words.ts";
import { version } from "../control/version.ts";
import { exitCodes } from "../host/exit_codes.ts";
import { logLevels } from "../host/log.ts";
import { hookTimeoutMs, stallMs } from "./quick.ts";
import { defaultErrno, endsOfInput, runServe } from "./serve.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";

const exitCodeHelp = `
Exit codes:
  0  done
  1  failed: the daemon answered with an error, or a swap was refused
  2  the command line is wrong
  3  the daemon cannot be reached
  4  check found something degraded or missing, or a restore that cannot go ahead

The socket is --socket, else $SPFS_SOCKET, else $SPFS_RUNTIME_DIR/control.sock, else /run/spfs/control.sock.
`;

/** Runs the command that the arguments name; returns its exit code and rejects with what it failed with. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = exitCodes.ok;
  const program = new Command("spfs")
    .description("Stands in for a file system that a CRIU restore needs before it can be mounted.")
    .version(version)
    .addHelpText("after", exitCodeHelp)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      // Reported below, in one way with all other usage errors.
      outputError: () => {},
    });
  addDaemonCommands(program, terminal, (result) => code = result);
  addMountCommands(program, terminal);
  addReplaceCommands(program, terminal);
  addSwapCommand(program, terminal, (result) => code = result);
  addCriuCommands(program, terminal, (result) => code = result);
  addInspectionCommands(program, terminal, (result) => code = result);
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return exitCodes.ok;
    // Without a command commander has printed the help.
    if (error.code === "commander.help") return exitCodes.usage;
    throw new UsageError(`${error.message.replace(/^error: /, "")} (spfs --help tells more)`);
  }
  return code;
}

/** A command that talks to a daemon. */
function client(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).option("--socket <path>", "the daemon's socket");
}

function addDaemonCommands(program: Command, terminal: Terminal, setCode: (code: number) => void): void {
  program.command("serve")
    .description("run the daemon: the control protocol on stdin and stdout, and on a socket if one is named")
    .option("--socket <path>", "listen on a unix socket, too (default: $SPFS_SOCKET, else none)")
    .addOption(
      new Option("--on-eof <what>", "what follows when stdin ends").choices(endsOfInput).default("linger"),
    )
    .option(
      "--errno <name>",
      "what waiting requests are answered with when the daemon is ended",
      defaultErrno,
    )
    .option("--log <file>", "append the log to a file instead of stderr")
    .addOption(new Option("--log-level <level>", "what is logged").choices(logLevels).default("info"))
    .action(async (options) => setCode(await runServe(options, terminal)));
  client(
    program,
    "call <method> [json]",
    'call a method with JSON parameters ("-": from stdin), print its result',
  )
    .action(async (method, json, options) => {
      const { call } = await import("./control_commands.ts");
      await call(method, json, options, terminal);
    });
  client(program, "quit", "end the daemon")
    .option("--force", "also while mounts exist: what waits is answered with an error")
    .option("--errno <name>", "what waiting requests are answered with")
    .action(async (options) => {
      const { quit } = await import("./control_commands.ts");
      await quit(options, terminal);
    });
  client(program, "criu-hook", "CRIU's action script: keeps the mounts in step with the restore")
    .option("--timeout <ms>", "how long the daemon has to answer", milliseconds, hookTimeoutMs)
    .action(async (options) => {
      const { criuHook } = await import("./criu_hook.ts");
      setCode(await criuHook(options, terminal));
    });
}

function addMountCommands(program: Command, terminal: Terminal): void {
  client(program, "mount <id> <mountpoint>", "make a stand-in mount")
    .addOption(
      new Option("--mode <mode>", "the mode to begin in (default: restore)").choices(["restore", "stub"]),
    )
    .option("--root-mode <octal>", "the root directory's permission bits (default: 0755)")
    .option("--root-uid <uid>", "its owner (default: 0)", integer)
    .option("--root-gid <gid>", "its group (default: 0)", integer)
    .option("--size <bytes>", "the most that the placeholder may hold (default: half of memory)")
    .option(
      "--attr-timeout <ms>",
      "how long attributes may be kept in proxy mode (default: 1000)",
      milliseconds,
    )
    .addOption(
      new Option("--interrupts <signals>", "which pending signals end a wait with EINTR (default: any)")
        .choices(["any", "fatal"]),
    )
    .option("--no-dev", "device nodes do not work")
    .option("--no-suid", "set-id bits do not work")
    .option("--no-exec", "nothing can be executed")
    .option("--read-only", "nothing can be written")
    .option("--images <dir>", "make the files that CRIU's images in this directory need")
    .option("--images-mountpoint <path>", "of the mount that was there (default: at <mountpoint>)")
    .option("--images-namespace <n>", "in CRIU's mount namespace of this number; 0: its own", integer)
    .option("--images-mount-id <id>", "of the mount that had this id in mountinfo", integer)
    .option("--images-key <key>", "of the mount that CRIU dumped as --external mnt[...]:<key>")
    .option("--json", "print JSON")
    .action(async (id, mountpoint, options) => {
      const { mount } = await import("./mount.ts");
      await mount(id, mountpoint, options, terminal);
    });
  client(program, "create <id>", "make files in a mount's placeholder, from JSON entries")
    .option("--file <file>", 'a JSON array of entries or one entry a line; "-": stdin', "-")
    .option("--no-parents", "do not make missing parent directories")
    .option("--json", "print JSON")
    .action(async (id, options) => {
      const { create } = await import("./create.ts");
      await create(id, options, terminal);
    });
  client(program, "mode <id> [mode]", "change what a mount does: restore, stub or proxy")
    .usage("[options] <id|--all> <mode>")
    .option("--all", "every mount")
    .option("--json", "print JSON")
    .action(async (id, mode, options) => {
      const { mode: setMode } = await import("./control_commands.ts");
      await setMode([id, mode], options, terminal);
    });
  client(program, "abort [id]", "end a mount: answer what waits with an error, and take the mount away")
    .option("--all", "every mount")
    .option("--errno <name>", "the error (default: EIO)")
    .option("--json", "print JSON")
    .action(async (id, options) => {
      const { abort } = await import("./control_commands.ts");
      await abort(id, options, terminal);
    });
}

function addReplaceCommands(program: Command, terminal: Terminal): void {
  client(program, "replace <id>", "mount the real file system and put it in the stand-in's place")
    .requiredOption("--source <source>", "the device, export or, for type bind, directory")
    .requiredOption("--type <type>", 'the file system type, or "bind"')
    .option("--flags <list>", "ro,nosuid,nodev,noexec,noatime,nodiratime,relatime,strictatime", list)
    .option("--options <list>", "the file system's own options, separated by commas")
    .option("--hold", "wait for spfs release")
    .option("--wait", "wait for the end, and tell of every step")
    .addOption(
      new Option("--helper <when>", "use mount(8) helpers such as mount.nfs (default: auto)")
        .choices(["auto", "never", "always"]),
    )
    .option(
      "--network <path>",
      "the network namespace to mount it in: /proc/PID/ns/net, or tree, that of the restored tree (default: spfs's own)",
    )
    .addOption(
      new Option(
        "--missing <what>",
        "about open files that the real file system does not have (default: refuse)",
      )
        .choices(["refuse", "stale"]),
    )
    .addOption(
      new Option(
        "--swap <what>",
        "whether running processes are moved to the real file system (default: auto)",
      )
        .choices(swapModes),
    )
    .option("--retry-initial <ms>", "the first pause between attempts (default: 100)", milliseconds)
    .option("--retry-max <ms>", "the longest pause (default: 10000)", milliseconds)
    .option("--retry-factor <n>", "what each pause is multiplied by (default: 2)", milliseconds)
    .option("--retry-deadline <ms>", "when to give up (default: never)", milliseconds)
    .option("--retry-errnos <list>", "the errors worth another attempt", list)
    .option("--json", "print JSON")
    .action(async (id, options) => {
      const { replace } = await import("./replace.ts");
      await replace(id, options, terminal);
    });
  for (
    const [name, method, description] of [
      ["release", "mount.release", "let a held replacement begin"],
      ["retry", "mount.retry", "attempt a replacement again, now"],
    ] as const
  ) {
    client(program, `${name} [id]`, description)
      .option("--all", "every mount")
      .option("--wait", "wait for the end, and tell of every step")
      .option("--json", "print JSON")
      .action(async (id, options) => {
        const { resume } = await import("./replace.ts");
        await resume(method, id, options, terminal);
      });
  }
}

function addSwapCommand(program: Command, terminal: Terminal, setCode: (code: number) => void): void {
  program.command("swap <source> <target>")
    .description("move running processes from one mount to another: all of it, or nothing (no daemon needed)")
    .addOption(
      new Option("--pids <list>", "these processes (default: all that refer to the source)")
        .argParser(pids).conflicts(["cgroup", "pidNamespace"]),
    )
    .option("--tree", "with --pids: their descendants, too")
    .addOption(
      new Option("--cgroup <directory>", "the processes of a cgroup and of those below it")
        .conflicts(["pids", "pidNamespace"]),
    )
    .addOption(
      new Option("--pid-namespace <pid>", "the processes of the pid namespace of this one")
        .argParser(pid).conflicts(["pids", "cgroup"]),
    )
    .option("--leave", "leave what cannot be moved on the source")
    .option("--dry-run", "only tell what would be moved and what stands in the way")
    .option(
      "--deadline <ms>",
      `how long stopping, and an answer of TARGET, may take (default: ${defaultSwapDeadlineMs})`,
      milliseconds,
    )
    .option("--json", "print JSON")
    .action(async (source, target, options) => {
      const { swap } = await import("./swap.ts");
      setCode(await swap(source, target, options, terminal));
    });
}

function addCriuCommands(program: Command, terminal: Terminal, setCode: (code: number) => void): void {
  program.command("dump [criu...]")
    .usage("-- criu dump -t PID -D DIR ...")
    .description("run CRIU's dump, note beside the images what they lack, and tell how they are restored")
    .action(async (words) => {
      const { dump } = await import("./dump.ts");
      setCode(await dump(words, terminal));
    });
  program.command("restore [criu...]")
    .usage("[options] -- criu restore -D DIR ...")
    .description(
      "run CRIU's restore while file systems of the tree are away, and put them in place when they come",
    )
    .option("--mount <what>", "stand in for PATH[,source=S,type=T,options=O] (as noted at dump)", collected)
    .option("--type <type>", "stand in for every mount of this type that was noted at dump", collected)
    .option("--config <file>", "what to stand in for, and how (default: spfs-restore.json beside the images)")
    .option("--wait", "wait until every real file system is in place")
    .option("--stopped", "let no process run before that, or before an attempt to mount has failed")
    .option("--log <file>", "the daemon's log (default: spfs.log beside the images)")
    .option("--json", "print JSON lines")
    .action(async (words, options) => {
      const { restore } = await import("./restore.ts");
      setCode(await restore(words, options, terminal));
    });
}

function addInspectionCommands(program: Command, terminal: Terminal, setCode: (code: number) => void): void {
  client(program, "status [id]", "tell how the daemon and its mounts are, and who waits for what")
    .option("--requests <n>", "list this many waiting requests for each mount", integer)
    .option("--json", "print JSON")
    .action(async (id, options) => {
      const { status } = await import("./status.ts");
      await status(id, options, terminal);
    });
  program.command("record")
    .description("note beside CRIU's images what they lack: mounts, owners, times, modes of directories")
    .requiredOption("--pid <pid>", "the root of the process tree", pid)
    .requiredOption("--images <dir>", "the directory of the images, before or after they are there")
    .option("--timeout <ms>", "how long a file system may take to tell of a file", milliseconds, stallMs)
    .option("--json", "print JSON")
    .action(async (options) => {
      const { record } = await import("./record.ts");
      setCode(await record(options, terminal));
    });
  program.command("dump-hook")
    .description("CRIU's action script at dump: notes what images lack, as record does")
    .option("--timeout <ms>", "how long a file system may take to tell of a file", milliseconds, stallMs)
    .action(async (options) => {
      const { dumpHook } = await import("./record.ts");
      setCode(await dumpHook(options, terminal));
    });
  program.command("schema")
    .description("print the control protocol as JSON Schema")
    .action(async () => {
      const { schemaText } = await import("../control/schema.ts");
      terminal.out(schemaText());
    });
  program.command("check")
    .description("tell what this machine has of what spfs needs, or of what a restore from images needs")
    .option("--repair", "first take away the mounts of daemons that died")
    .addOption(new Option("--images <dir>", "tell of a restore from these images").conflicts("repair"))
    .option("--root <dir>", "with --images: CRIU's --root (default: /)")
    .option("--external <key=path>", "with --images: CRIU's --external mnt[KEY]:PATH", collected)
    .option("--all", "with --images: name every file that is needed")
    .option(
      "--timeout <ms>",
      "with --images: how long a file system may take for a file",
      milliseconds,
      stallMs,
    )
    .option("--json", "print JSON")
    .action(async (options) => {
      if (options.images !== undefined) {
        const { checkImages } = await import("./check_images.ts");
        return setCode(await checkImages(options, terminal));
      }
      if (options.root !== undefined || options.external !== undefined || options.all !== undefined) {
        throw new UsageError("--root, --external and --all say nothing without --images");
      }
      const { check } = await import("./check.ts");
      setCode(await check(options, terminal));
    });
}

/** Collects the values of an option that may be given more than once. */
function collected(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}

function number(text: string, valid: (value: number) => boolean, kind: string): number {
  const value = Number(text);
  if (text.trim() === "" || !valid(value)) throw new InvalidArgumentError(`Not ${kind}.`);
  return value;
}

function integer(text: string): number {
  return number(text, (value) => Number.isSafeInteger(value) && value >= 0, "a whole number, zero or more");
}

function milliseconds(text: string): number {
  return number(text, (value) => Number.isFinite(value) && value >= 0, "a number, zero or more");
}

function list(text: string): string[] {
  return text.split(",").filter((item) => item !== "");
}

function pid(text: string): number {
  const valid = (value: number) => Number.isSafeInteger(value) && value > 0 && value <= 0x7fff_ffff;
  return number(text, valid, "a process id");
}

function pids(text: string): number[] {
  const named = list(text).map(pid);
  if (named.length === 0) throw new InvalidArgumentError("Not a list of process ids.");
  return named;
}
