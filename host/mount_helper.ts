/**
 * Mounting by a mount helper: `mount.TYPE(8)` where there is one (mount.nfs, mount.cifs, mount.fuse), else mount(8). A helper mounts at
 * a path, so it gets one in a private area, and what it mounted is then taken from there.
 *
 * Runs on the main thread: the helper is a child process, its ends are messages.
 *
 * @module
 */

import { ControlError } from "../control/errors.ts";
import { helperErrno } from "./helper_errors.ts";
import type { RunJob } from "./namespace_jobs.ts";
import type { AreaPlace } from "./namespace_messages.ts";
import { unlessAborted } from "./time_limit.ts";
import { after } from "./timer.ts";

/** Where mount helpers live, in mount(8)'s order. */
const directories = ["/sbin", "/usr/sbin", "/usr/local/sbin"];

/** The most of a helper's stderr that is kept, in bytes. */
const maxStderr = 16_384;

/** How long a helper that was told to end may take before it is killed, in milliseconds. */
const killAfterMs = 2000;

/** A command that mounts a source on a target. */
export interface MountHelper {
  /** The program. */
  readonly program: string;
  /** Its arguments. */
  arguments(source: string, target: string, options: string): string[];
}

/** The helper for a type, by the names that mount(8) tries: mount.fuse.sshfs, then mount.fuse. Undefined when there is none. */
export async function findHelper(type: string): Promise<MountHelper | undefined> {
  const [main, subtype] = type.split(".", 2) as [string, string | undefined];
  for (const name of subtype === undefined ? [type] : [type, main]) {
    for (const directory of directories) {
      const program = `${directory}/mount.${name}`;
      const isFile = await Deno.stat(program).then((stat) => stat.isFile, () => false);
      if (!isFile) continue;
      // A helper of exactly this type knows it, and sshfs, which is one, does not take it.
      const typed = name === type ? [] : ["-t", type];
      return {
        program,
        arguments: (source, target, options) => [
          source,
          target,
          ...(options === "" ? [] : ["-o", options]),
          ...typed,
        ],
      };
    }
  }
  return undefined;
}

/** mount(8) itself, for any type. */
export function mountProgram(type: string): MountHelper {
  return {
    program: "mount",
    arguments(source, target, options) {
      const given = options === "" ? [] : ["-o", options];
      // "--" ends the options: a source may begin with a dash.
      return ["-t", type, ...given, "--", source, target];
    },
  };
}

/** What a helper is to mount. */
export interface HelperMount {
  /** Which helper. */
  readonly helper: MountHelper;
  /** The source in the type's own terms. */
  readonly source: string;
  /** The options as one text. */
  readonly options: string;
  /** The network namespace that it runs in, as a path; the daemon's own when undefined. */
  readonly network: string | undefined;
  /** Where its private area is made. */
  readonly place: AreaPlace;
}

/**
 * Mounts by a helper, attached nowhere. When the signal is aborted it rejects at once; the helper is ended and what it mounted is
 * taken away behind the scenes.
 *
 * @returns a descriptor of the mount
 * @throws {ControlError} kind `system` with the errno that its stderr tells, and its stderr as detail
 */
export async function mountByHelper(request: HelperMount, run: RunJob, signal: AbortSignal): Promise<number> {
  const { source, options, place } = request;
  const helper = request.network === undefined ? request.helper : within(request.network, request.helper);
  const removeArea = ({ path }: { path: string }) => run("closeArea", { path }).catch(() => {});
  const area = await run("openArea", place, { signal, late: removeArea });
  let left: Promise<unknown> = Promise.resolve();
  try {
    const child = spawn(helper, helper.arguments(source, area.target, options));
    left = child.ended;
    const ended = await unlessAborted(child.ended, signal, child.stop);
    if (ended.code !== 0) throw helperFailed(helper, ended.code, ended.stderr);
  } catch (error) {
    // Also the signal's reason: the area goes when nobody mounts in it any more.
    void left.catch(() => {}).then(() => removeArea(area));
    throw error;
  }
  return await run("adopt", area, { signal, late: (fd) => void run("close", { fd }).catch(() => {}) });
}

/** The same helper, run by nsenter(1) in another network namespace. */
function within(network: string, helper: MountHelper): MountHelper {
  return {
    program: "nsenter",
    arguments: (...given) => [`--net=${network}`, "--", helper.program, ...helper.arguments(...given)],
  };
}

function helperFailed(helper: MountHelper, code: number, stderr: string): ControlError {
  const errno = helperErrno(code, stderr);
  const first = stderr.trim().split("\n", 1)[0];
  const message = `${helper.program}: ${first === "" ? `exit code ${code}` : first}`;
  return new ControlError("system", message, { errno, ...(stderr !== "" && { detail: stderr.trim() }) });
}

interface Ended {
  readonly code: number;
  readonly stderr: string;
}

/** Starts a helper in a session of its own, so that it and its children can be ended together. */
function spawn(helper: MountHelper, args: string[]): { ended: Promise<Ended>; stop: () => void } {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(helper.program, {
      args,
      cwd: "/",
      env: { LC_ALL: "C" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
  } catch (error) {
    const message = `cannot run ${helper.program}: ${(error as Error).message}`;
    const errno = error instanceof Deno.errors.NotFound ? "ENODEV" : "EACCES";
    throw new ControlError("system", message, { errno, syscall: "execve" });
  }
  let exited = false;
  const signal = (name: Deno.Signal) => {
    if (exited) return;
    try {
      Deno.kill(-child.pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  const stop = () => {
    signal("SIGTERM");
    const timer = after(killAfterMs, () => signal("SIGKILL"));
    void child.status.finally(() => timer.cancel());
  };
  const stderr = readSome(child.stderr);
  const ended = child.status.then(async ({ code }) => {
    exited = true;
    return { code, stderr: await stderr.finish() };
  });
  return { ended, stop };
}

/** Reads a stream into memory, up to a limit; `finish` tells what came, without waiting for an end that may never come. */
function readSome(stream: ReadableStream<Uint8Array>): { finish(): Promise<string> } {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const done = (async () => {
    for (let got = await reader.read(); !got.done; got = await reader.read()) {
      if (text.length < maxStderr) text += decoder.decode(got.value, { stream: true });
    }
  })().catch(() => {});
  return {
    async finish() {
      // A helper that leaves a daemon behind (sshfs) may leave it our end of the pipe, too.
      const grace = Promise.withResolvers<void>();
      const timer = after(200, grace.resolve);
      await Promise.race([done, grace.promise]);
      timer.cancel();
      await reader.cancel().catch(() => {});
      return text;
    },
  };
}
