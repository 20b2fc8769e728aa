/**
 * Processes that are not moved but share an open file description, or a file that is made anew, with one that is: each of them would go on
 * with a file of its own.
 *
 * @module
 */
import { KCMP_FILE, S_IFMT, S_IFSOCK } from "../ffi/sys/constants.ts";
import { kcmp } from "../ffi/sys/pidfd.ts";
import { inodeAt } from "./inode.ts";
import type { Description, Hindrance, Inventory, Place } from "./inventory.ts";
import { inseparable } from "./plan.ts";
import { allProcesses, isOnDevice, numbersIn, reach } from "./task_files.ts";

/**
 * Descriptions that somebody shares who is not among the stopped.
 *
 * @param isStopped whether a process is, or needs not be looked at
 */
export function sharedWithOutsiders(inventory: Inventory, isStopped: (pid: number) => boolean): Hindrance[] {
  const byFile = new Map<string, Description[]>();
  const bySocket = new Map<bigint, Description>();
  for (const description of inventory.descriptions) {
    if (description.socket !== undefined) bySocket.set(BigInt(description.socket.ino), description);
    if (description.place === undefined) continue;
    const key = `${description.place.source.id}:${description.place.inode}`;
    const alike = byFile.get(key);
    if (alike === undefined) byFile.set(key, [description]);
    else alike.push(description);
  }
  const hindrances: Hindrance[] = [];
  if (byFile.size + bySocket.size === 0) return hindrances;
  const mounts = new Set(inventory.descriptions.map(({ place }) => place?.source.id));
  for (const pid of allProcesses()) {
    if (isStopped(pid)) continue;
    for (const fd of numbersIn(`/proc/${pid}/fd`) ?? []) {
      const link = `/proc/${pid}/fd/${fd}`;
      const found = reach(link);
      const socket = found !== undefined && (found.mode & S_IFMT) === S_IFSOCK
        ? bySocket.get(found.ino)
        : undefined;
      if (socket !== undefined) hindrances.push(hindrance(inventory, socket, pid));
      const alike = found === undefined || !mounts.has(found.mountId)
        ? undefined
        : byFile.get(`${found.mountId}:${inodeAt(link)}`);
      const same = alike?.find(({ holders, place }) => {
        const { table, fd: other } = holders[0]!;
        return isTorn(place!) || kcmp(pid, table.task.tid, KCMP_FILE, fd, other) === 0;
      });
      if (same !== undefined) hindrances.push(hindrance(inventory, same, pid));
    }
  }
  return hindrances;
}

/** Whether the old and the new file would be two, with nothing in common. */
function isTorn(place: Place): boolean {
  return inseparable(place) !== undefined && !isOnDevice(place.source.targetFd, place.source);
}

function hindrance(inventory: Inventory, { holders, place }: Description, outsider: number): Hindrance {
  const { table: { pid }, fd } = holders[0]!;
  const comm = inventory.processes.get(pid)?.comm ?? "";
  const reason = `is shared with process ${outsider}, which is not moved`;
  const what = place === undefined ? { kind: "socket" as const } : { kind: "fd" as const, path: place.path };
  return { obstacle: { pid, comm, fd, reason, ...what }, alone: false };
}
