/**
 * How files are, asked in a way that cannot hang: a process of its own looks, and when a file system does not answer it is left alone, what
 * lies on that file system counts as unknown, and another process looks at the rest.
 *
 * @module
 */

import * as z from "zod/mini";
import { ControlError } from "../control/errors.ts";
import { decodeBytes, encodePath } from "../control/values.ts";
import { bytesOf, NamespaceView, type PathKey, type SideFile, type SideMount } from "../criu/mod.ts";
import { parseMountinfo } from "../ffi/sys/mountinfo.ts";
import type { LookAnswer, LookBegin, LookOrder } from "./look_messages.ts";
import { ownProgram } from "./own_program.ts";
import { fileStat } from "./side_format.ts";
import { after } from "./timer.ts";

/** What to look at. */
export interface Look {
  /** A process, into whose mount namespace is looked; the own one when undefined. */
  readonly pid: number | undefined;
  /** The files. */
  readonly paths: Iterable<PathKey>;
  /** How long a file system may take for one file, in milliseconds. */
  readonly stallMs: number;
  /** Mounts that must not be asked, with the reason that stands for an error; undefined for those that may. */
  readonly spare?: ((mount: SideMount) => string | undefined) | undefined;
}

/** What was seen. */
export interface Seen {
  /** The mounts of the namespace. */
  readonly mounts: readonly SideMount[];
  /** The files, those that could not be looked at included. */
  readonly files: readonly SideFile[];
}

/** How long the process that looks may take to begin, in milliseconds. */
const beginMs = 20_000;

/** What is said of a file whose file system did not answer. */
export const noAnswer = "ETIMEDOUT";

/**
 * Looks at files.
 *
 * @throws {ControlError} kind `system` when nobody can look: there is no such process, or its namespace may not be entered
 */
export async function lookAt({ pid, paths, stallMs, spare = () => undefined }: Look): Promise<Seen> {
  const files = new Map<PathKey, SideFile>();
  const silent = new Set<number>();
  let rest = [...paths].sort();
  let mounts: readonly SideMount[] | undefined;
  while (mounts === undefined || rest.length > 0) {
    await using looker = new Looker(pid);
    const begin = await looker.line<LookBegin>(beginMs);
    if (begin === undefined) {
      throw new ControlError("system", `files cannot be looked at: ${await looker.reason()}`);
    }
    mounts ??= parseMountinfo(decodeBytes(begin.mountinfo));
    const view = new NamespaceView({ own: pid === undefined, mounts, files: [] });
    const asked: PathKey[] = [];
    const note = (path: PathKey, more: Pick<SideFile, "stat" | "error">) =>
      files.set(path, { path: bytesOf(path), mountId: view.mountOf(path)?.id ?? 0, ...more });
    for (const path of rest) {
      const mount = view.mountOf(path);
      const error = mount && (silent.has(mount.id) ? noAnswer : spare(mount));
      if (error === undefined) asked.push(path);
      else note(path, { error });
    }
    rest = [];
    await looker.order(asked.map((path) => encodePath(bytesOf(path))));
    for (const [at, path] of asked.entries()) {
      const answer = await looker.line<LookAnswer>(stallMs);
      if (answer === undefined) {
        const mount = view.mountOf(path);
        if (mount !== undefined) silent.add(mount.id);
        note(path, { error: noAnswer });
        rest = asked.slice(at + 1);
        break;
      }
      note(path, "stat" in answer ? { stat: z.decode(fileStat, answer.stat as never) } : answer);
    }
  }
  const sorted = [...files].sort(([one], [other]) => one < other ? -1 : 1);
  return { mounts, files: sorted.map(([, file]) => file) };
}

/** A process that looks. Disposed of while it hangs, it is killed and not waited for. */
class Looker implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  #text = "";

  constructor(pid: number | undefined) {
    const [program, ...args] = ownProgram("look", import.meta.resolve("./look_entry.ts"));
    this.#child = new Deno.Command(program, {
      args: [...args, ...(pid === undefined ? [] : [String(pid)])],
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(this.#child.stderr).text().catch(() => "");
  }

  /** Says what is to be looked at. */
  async order(order: LookOrder): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(JSON.stringify(order)));
      await writer.close();
    } catch {
      // It has ended; no answers will come.
    }
  }

  /** The next line; undefined when there is none in time, or none any more. */
  async line<T>(withinMs: number): Promise<T | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = after(withinMs, () => late.resolve(undefined));
    try {
      for (;;) {
        const end = this.#text.indexOf("\n");
        if (end >= 0) {
          const line = this.#text.slice(0, end);
          this.#text = this.#text.slice(end + 1);
          return JSON.parse(line);
        }
        const more = await Promise.race([this.#lines.read(), late.promise]);
        if (more?.value === undefined) return undefined;
        this.#text += more.value;
      }
    } finally {
      timer.cancel();
    }
  }

  /** Why it said nothing. */
  async reason(): Promise<string> {
    const said = await Promise.race([this.#errors, new Promise<string>((done) => setTimeout(done, 500, ""))]);
    return said.trim() || "the process that looks does not answer";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    this.#child.unref();
    await Promise.allSettled([this.#lines.cancel(), this.#child.stdin.close()]);
  }
}
