/**
 * A control group of a test's own.
 *
 * @module
 */

import { parseMountinfo } from "../../../ffi/sys/mountinfo.ts";
import { isAlive, until } from "../../e2e/support/proc.ts";

/** The hierarchies that can hold one: the unified one, and version 1's freezer. */
export type Hierarchy = "v2" | "v1";

const text = new TextDecoder();

/** Where a hierarchy is mounted; `undefined` when it is not. */
export function cgroupMount(hierarchy: Hierarchy): string | undefined {
  const entry = parseMountinfo(Deno.readFileSync("/proc/self/mountinfo")).find(({ fstype, superOptions }) =>
    hierarchy === "v2"
      ? fstype === "cgroup2"
      : fstype === "cgroup" && superOptions.split(",").includes("freezer")
  );
  return entry === undefined ? undefined : text.decode(entry.mountpoint);
}

/** A group, which is taken away with whoever is in it. */
export class Cgroup implements AsyncDisposable {
  /** Its directory. */
  readonly path: string;

  /** Makes one. @throws {Error} when the hierarchy is not mounted or cannot be written */
  constructor(hierarchy: Hierarchy) {
    const mount = cgroupMount(hierarchy);
    if (mount === undefined) throw new Error(`no cgroup ${hierarchy}`);
    this.path = `${mount}/spfs-test-${crypto.randomUUID()}`;
    Deno.mkdirSync(this.path);
  }

  /** A group below it, which is taken away with it. */
  child(name: string): string {
    Deno.mkdirSync(`${this.path}/${name}`);
    return `${this.path}/${name}`;
  }

  /** Moves a process with all its threads into a directory of a group. */
  static enter(path: string, pid: number): void {
    Deno.writeTextFileSync(`${path}/cgroup.procs`, `${pid}`);
  }

  /** Whether it is asked to be frozen, as its file says. */
  get frozen(): string {
    for (const name of ["cgroup.freeze", "freezer.state"]) {
      try {
        return Deno.readTextFileSync(`${this.path}/${name}`).trim();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    throw new Error(`${this.path} cannot be frozen`);
  }

  /** Kills who is still in it, as when a test has failed, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const below = [...Deno.readDirSync(this.path)].filter(({ isDirectory }) => isDirectory);
    for (const path of [...below.map(({ name }) => `${this.path}/${name}`), this.path]) {
      await until(`the end of everybody in ${path}`, () => {
        const pids = Deno.readTextFileSync(`${path}/cgroup.procs`).split("\n").filter((line) => line !== "");
        for (const pid of pids) if (isAlive(Number(pid))) Deno.kill(Number(pid), "SIGKILL");
        return pids.length === 0;
      });
      Deno.removeSync(path);
    }
  }
}
