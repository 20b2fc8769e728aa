/**
 * What a scenario could leave in the guest: processes, tasks that nothing wakes, mounts, and file systems that nobody sees any more but that
 * somebody still has.
 *
 * @module
 */

import { childrenOf, mountsBelow, processState } from "../../e2e/support/proc.ts";

/** What there is at a moment, a line each. */
export class Guest {
  readonly #there: ReadonlySet<string> = new Set(present());

  /** What is there now and was not then, and whatever task is in state D. Asks no file system. */
  more(): string[] {
    return [...present().filter((line) => !this.#there.has(line)), ...hanging()];
  }
}

function present(): string[] {
  const connections = [...Deno.readDirSync("/sys/fs/fuse/connections")];
  return [
    ...processes().map((pid) => `process ${pid} (${nameOf(pid)})`),
    ...mountsBelow("").map(({ mountpoint, fstype }) => `mount ${mountpoint} (${fstype})`),
    ...connections.map(({ name }) => `connection ${name} of a FUSE file system`),
    ...nfsVolumes().map((line) => `NFS volume ${line}`),
  ];
}

/** All but the kernel's own threads, and those that have ended. */
function processes(): number[] {
  const KTHREADD = 2;
  const own = new Set([KTHREADD, ...childrenOf(KTHREADD)]);
  const all = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => pid > 0);
  return all.filter((pid) => !own.has(pid) && !["Z", "X", undefined].includes(processState(pid)));
}

/** The file systems of which this network namespace's client knows, mounted or not. */
function nfsVolumes(): string[] {
  return Deno.readTextFileSync("/proc/fs/nfsfs/volumes").split("\n").slice(1).filter((line) => line !== "");
}

function hanging(): string[] {
  return processes().flatMap((pid) => {
    try {
      const tasks = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => `${pid}/task/${name}`);
      return tasks.filter((task) => processState(task) === "D").map((task) =>
        `task ${task} (${nameOf(pid)}) in D`
      );
    } catch {
      return []; // It has ended.
    }
  });
}

function nameOf(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  } catch {
    return "ended";
  }
}
