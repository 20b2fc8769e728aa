/**
 * Which processes a swap is about. Nothing is stopped here, so what is found may be out of date at once; who is stopped is looked at again.
 *
 * @module
 */
import { Errno, SysError } from "../ffi/errno.ts";
import { S_IFMT, S_IFSOCK } from "../ffi/sys/constants.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { mapFilesName, parseMaps } from "./procfs/maps.ts";
import { allProcesses, numbersIn, reach, readLink, readStat, readWhole, tasksOf } from "./task_files.ts";
import type { Selection, SourceMount } from "./types.ts";
import { listUnixSocketsOf, socketsOn } from "./unix_sockets_diag.ts";

/** Finds processes, one look after the other: who was looked at and does not belong is not looked at again. */
export class Candidates {
  readonly #selection: Selection;
  readonly #mountIds: ReadonlySet<number>;
  readonly #sources: readonly SourceMount[];
  readonly #excluded: ReadonlySet<number>;
  readonly #seen = new Set<number>();
  /** Sockets that are bound on sources, and those that are connected to them; listed when the first socket is met. */
  #bound: Set<bigint> | undefined;

  /**
   * @param excluded processes that are never stopped: this one, and who else works for it
   */
  constructor(selection: Selection, sources: readonly SourceMount[], excluded: Iterable<number>) {
    this.#selection = selection;
    this.#sources = sources;
    this.#mountIds = new Set(sources.map(({ id }) => id));
    this.#excluded = new Set(excluded);
  }

  /**
   * Those that have not been found before.
   *
   * @throws {SysError} ESRCH for a selected process that is not there, ENOENT for a cgroup
   */
  next(): number[] {
    const fresh = this.#selected().filter((pid) => !this.#seen.has(pid) && !this.#excluded.has(pid));
    for (const pid of fresh) this.#seen.add(pid);
    return fresh;
  }

  #selected(): number[] {
    switch (this.#selection.kind) {
      case "referring":
        return this.#referring();
      case "pids":
        return withDescendants(this.#selection.pids, this.#selection.tree);
      case "cgroup":
        return cgroupProcesses(this.#selection.path);
      case "pid-namespace":
        return namespaceProcesses(this.#selection.pid);
    }
  }

  /** Who refers to a source. Who does not is noted: to come by a reference later it has to be given one by somebody who is stopped. */
  #referring(): number[] {
    const found: number[] = [];
    for (const pid of allProcesses()) {
      if (this.#seen.has(pid) || this.#excluded.has(pid)) continue;
      if (this.refers(pid)) found.push(pid);
      else this.#seen.add(pid);
    }
    return found;
  }

  /** Forgets who was looked at and did not belong. */
  reset(found: Iterable<number>): void {
    this.#seen.clear();
    for (const pid of found) this.#seen.add(pid);
  }

  /** Whether a socket is bound on the file system of a source, or connected to one that is: both are replaced together. */
  #isBound(ino: bigint): boolean {
    if (this.#bound === undefined) {
      const listed = listUnixSocketsOf(allProcesses());
      const bound = this.#sources.flatMap(({ major, minor }) => socketsOn(listed, major, minor));
      const names = new Set(bound.map(({ ino }) => ino));
      // Who is connected to one of datagrams is known by that only to itself.
      const connected = listed.filter(({ peer }) => peer !== undefined && names.has(peer));
      const inos = [
        ...bound.flatMap(({ ino, peer }) => [ino, peer ?? 0]),
        ...connected.map(({ ino }) => ino),
      ];
      this.#bound = new Set(inos.filter(Boolean).map(BigInt));
    }
    return this.#bound.has(ino);
  }

  /** Whether a process, or one of its threads, has anything on a source. Asks no file system. */
  refers(pid: number): boolean {
    const onSource = (path: string) => {
      const found = reach(path);
      if (found === undefined) return false;
      return this.#mountIds.has(found.mountId) ||
        ((found.mode & S_IFMT) === S_IFSOCK && this.#isBound(found.ino));
    };
    const tids = tasksOf(pid);
    for (const tid of tids) {
      const task = `/proc/${pid}/task/${tid}`;
      if (onSource(`${task}/cwd`) || onSource(`${task}/root`)) return true;
      const fds = numbersIn(`${task}/fd`) ?? [];
      if (fds.some((fd) => onSource(`${task}/fd/${fd}`))) return true;
    }
    const wanted = (major: number, minor: number) =>
      this.#sources.some((source) => source.major === major && source.minor === minor);
    for (const tid of tids) {
      const maps = readWhole(`/proc/${tid}/maps`);
      if (maps === undefined || maps.length === 0) continue; // a thread that has ended has no memory
      const areas = parseMaps(maps, wanted);
      if (onSource(`/proc/${tid}/exe`)) return true;
      return areas.some((area) => onSource(`/proc/${tid}/map_files/${mapFilesName(area)}`));
    }
    return false;
  }
}

/**
 * Processes, with those that descend from them if `tree`.
 *
 * @throws {SysError} ESRCH for one that is not there
 */
export function withDescendants(pids: readonly number[], tree: boolean): number[] {
  for (const pid of pids) {
    if (readLink(`/proc/${pid}/ns/pid`) === undefined) {
      throw new SysError("open", Errno.ESRCH, { path: `/proc/${pid}` });
    }
  }
  if (!tree) return [...pids];
  const children = new Map<number, number[]>();
  for (const pid of allProcesses()) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    const { ppid } = stat;
    children.set(ppid, [...(children.get(ppid) ?? []), pid]);
  }
  const found = new Set(pids);
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  return [...found];
}

/** The processes of a cgroup and of those below it. @throws {SysError} ENOENT, ENOTDIR */
function cgroupProcesses(path: string): number[] {
  const bytes = readProcFile(`${path}/cgroup.procs`);
  if (typeof bytes === "number") throw new SysError("open", -bytes, { path: `${path}/cgroup.procs` });
  const pids = new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "").map(Number);
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    if (isDirectory) pids.push(...cgroupProcesses(`${path}/${name}`));
  }
  return pids;
}

/** The processes of a pid namespace and of those below it: their status shows a pid in it. */
function namespaceProcesses(pid: number): number[] {
  const wanted = readLink(`/proc/${pid}/ns/pid`);
  if (wanted === undefined) throw new SysError("open", Errno.ESRCH, { path: `/proc/${pid}` });
  const decoder = new TextDecoder();
  const name = decoder.decode(wanted);
  const members = allProcesses().filter((one) => {
    const link = readLink(`/proc/${one}/ns/pid`);
    return link !== undefined && decoder.decode(link) === name;
  });
  return withDescendants(members, true);
}
