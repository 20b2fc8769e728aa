/**
 * A look at processes that are about to be stopped. Nothing is kept of it: what the kernel, the target's file system and the compiler do only
 * when something is looked at for the first time is done by then, and need not be done while the processes stand still.
 *
 * @module
 */
import { AT_FDCWD, F_DUPFD_CLOEXEC, O_CLOEXEC, O_PATH } from "../ffi/sys/constants.ts";
import { closeFd, fcntlSet, openat } from "../ffi/sys/file.ts";
import { cstr } from "../ffi/sys/libc.ts";
import { Collector } from "./collect.ts";
import type { Place } from "./inventory.ts";
import { Opener } from "./opener.ts";
import { tasksOf } from "./task_files.ts";
import { Tracee } from "./tracee.ts";
import type { SourceMount } from "./types.ts";

/** Looks. The processes run on meanwhile, so that what is found may be torn; what fails is told when it matters. */
export function lookAhead(pids: readonly number[], sources: readonly SourceMount[]): void {
  try {
    const collector = new Collector(sources);
    for (const pid of pids) {
      const tasks = new Map(tasksOf(pid).map((tid) => [tid, Tracee.running(tid, pid)]));
      collector.add({ pid, comm: "", tasks });
    }
    const { descriptions, memories } = collector.finish();
    const mapped = memories.reduce((sum, { mappings }) => sum + mappings.length, 0);
    growTable(2 * descriptions.length + mapped + 4 * pids.length);
    using opener = new Opener();
    const reach = (place: Place | undefined) => {
      if (place !== undefined && !place.deleted) opener.reach(place);
    };
    for (const { place } of descriptions) reach(place);
    for (const { mappings } of memories) for (const { place } of mappings) reach(place);
  } catch {
    // See above.
  }
}

/**
 * Has the kernel make this process's descriptor table larger by so many. It does so by doubling, and in a process with threads each time waits
 * for all CPUs, which takes as long as moving ten processes. Nothing happens where RLIMIT_NOFILE is in the way.
 */
function growTable(by: number): void {
  const fd = openat(AT_FDCWD, cstr("/"), O_PATH | O_CLOEXEC);
  if (fd < 0) return;
  const high = fcntlSet(fd, F_DUPFD_CLOEXEC, fd + by);
  if (high >= 0) closeFd(high);
  closeFd(fd);
}
