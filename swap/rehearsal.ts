/**
 * A swap of nothing, on a child of our own: binding the C library's functions and compiling this code takes a thread tens of milliseconds
 * when it does something for the first time, and that should not be while somebody's processes are stopped.
 *
 * @module
 */
import { NR } from "../ffi/sys/arch.ts";
import { AT_FDCWD, F_GETSIG, O_CLOEXEC, O_RDONLY } from "../ffi/sys/constants.ts";
import { Fd } from "../ffi/sys/fd.ts";
import { __WALL, wait4 } from "../ffi/sys/ptrace.ts";
import { fcntlGet, openat } from "../ffi/sys/file.ts";
import { check, cstr } from "../ffi/sys/libc.ts";
import { Actor } from "./actor.ts";
import { Candidates } from "./candidates.ts";
import { Collector } from "./collect.ts";
import type { Memory, Place } from "./inventory.ts";
import { MappingsMove } from "./mappings.ts";
import { Opener } from "./opener.ts";
import { mapFilesName, parseMaps, parseSmaps } from "./procfs/maps.ts";
import { readProcFile } from "../ffi/sys/process.ts";
import { complete } from "./side_by_side.ts";
import { StoppedSet } from "./stop.ts";
import { reach, readLink, readStatus } from "./task_files.ts";
import type { Tracee } from "./tracee.ts";
import type { SourceMount } from "./types.ts";

/** How often everything is done: after a few rounds it is as fast as it gets. */
const ROUNDS = 4;

/** Does it. What fails here fails again, and is told, when it matters. Blocks for some ten milliseconds. */
export function rehearse(): void {
  let child: Deno.ChildProcess;
  try {
    // Lives until its input ends, which it does with us at the latest.
    child = new Deno.Command("cat", { stdin: "piped", stdout: "null", stderr: "null", cwd: "/" }).spawn();
  } catch {
    return;
  }
  try {
    for (let round = 0; round < ROUNDS; round++) rehearseOn(child.pid);
  } catch {
    // See above.
  } finally {
    child.status.catch(() => {}); // who is reaped here is nobody's to be waited for
    child.kill("SIGKILL");
    void child.stdin.close().catch(() => {});
    // At once: this thread may end, or go on without ever looking at events.
    wait4(child.pid, __WALL);
  }
}

function rehearseOn(pid: number): void {
  using target = Fd.own(check(openat(AT_FDCWD, cstr("/"), O_RDONLY | O_CLOEXEC), "open", "/"));
  // Nothing is on a mount of this id, so that nothing is moved.
  const source: SourceMount = {
    id: -1,
    major: 0,
    minor: 0,
    mountpoint: cstr("/").subarray(0, 1),
    targetFd: target.raw,
  };
  using stopped = new StoppedSet();
  new Candidates({ kind: "referring" }, [source], []).refers(pid);
  stopped.stop([pid], () => [], performance.now() + 100);
  const collector = new Collector([source]);
  for (const process of stopped.processes) {
    collector.add(process);
    for (const task of process.tasks.values()) rehearseTask(task, source);
  }
  collector.finish();
}

function rehearseTask(task: Tracee, source: SourceMount): void {
  const status = readStatus(task.tid);
  if (status === undefined) return;
  using actor = Actor.of(task);
  using opener = new Opener();
  const exe = `/proc/${task.tid}/exe`;
  const found = reach(exe);
  const shown = readLink(exe);
  if (found === undefined || shown === undefined) return;
  const place: Place = {
    source,
    path: shown.subarray(1),
    deleted: false,
    mode: found.mode,
    links: found.links,
    inode: undefined,
    link: exe,
  };
  const file = opener.file(place, O_RDONLY, status);
  if (file < 0) return;
  fcntlGet(file, F_GETSIG);
  opener.description({ place, flags: O_RDONLY, position: 1n, watches: [], holders: [] }, place, status);
  actor.enter();
  complete(actor.bring([file]));
  complete(task.batch([[NR.getpid], [NR.gettid]]));
  const move = new MappingsMove(actor, memoryOf(task, place, found.ino), [file], undefined);
  complete(move.prepare());
  move.cancel();
  complete(actor.leave());
}

/** One of the task's private mappings, to be made a second time and taken away again. */
function memoryOf(task: Tracee, place: Place, inode: bigint): Memory {
  const memory: Memory = { task, pid: task.tgid, mappings: [], exe: undefined, addresses: undefined };
  const maps = readProcFile(`/proc/${task.tid}/maps`);
  const smaps = readProcFile(`/proc/${task.tid}/smaps`);
  if (typeof maps === "number" || typeof smaps === "number") return memory;
  const details = new Map(parseSmaps(smaps).map((entry) => [entry.start, entry]));
  const area = parseMaps(maps).find(({ ino, shared, offset }) => ino === inode && !shared && offset === 0);
  const detail = area === undefined ? undefined : details.get(area.start);
  if (area === undefined || detail === undefined) return memory;
  readLink(`/proc/${task.tid}/map_files/${mapFilesName(area)}`);
  memory.mappings.push({ area, place, details: detail, writable: false });
  return memory;
}
