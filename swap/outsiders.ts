/**
 * Processes that are not moved but share an open file description, or a file that is made anew, with one that is: each of them would go on
 * with a file of its own.
 *
 * @module
 */
import { KCMP_FILE, S_IFMT, S_IFSOCK } from "../ffi/sys/constants.ts";
import { kcmp } from "../ffi/sys/pidfd.ts";
import { inodeAt, inodeOfPlace } from "./inode.ts";
import type { Description, Hindrance, Inventory, Place } from "./inventory.ts";
import { inseparable } from "./plan.ts";
import { allProcesses, isOnDevice, numbersIn, reach } from "./task_files.ts";

/**
 * Descriptions that somebody shares who is not among the stopped.
 *
 * @param isStopped whether a process is, or needs not be looked at
 */
export function sharedWithOutsiders(inventory: Inventory, isStopped: (pid: number) => boolean): Hindrance[] {
  const bySocket = new Map<bigint, Description>();
  const mounts = new Set<number>();
  for (const description of inventory.descriptions) {
    const { socket, place } = description;
    if (socket !== undefined) bySocket.set(BigInt(socket.ino), description);
    if (place !== undefined) mounts.add(place.source.id);
  }
  const hindrances: Hindrance[] = [];
  if (mounts.size + bySocket.size === 0) return hindrances;
  let byFile: Map<string, Description[]> | undefined;
  for (const pid of allProcesses()) {
    if (isStopped(pid)) continue;
    for (const fd of numbersIn(`/proc/${pid}/fd`) ?? []) {
      const link = `/proc/${pid}/fd/${fd}`;
      const found = reach(link);
      if (found === undefined) continue;
      const socket = (found.mode & S_IFMT) === S_IFSOCK ? bySocket.get(found.ino) : undefined;
      if (socket !== undefined) hindrances.push(hindrance(inventory, socket, pid));
      if (!mounts.has(found.mountId)) continue;
      byFile ??= filesOf(inventory);
      const same = byFile.get(`${found.mountId}:${inodeAt(link)}`)?.find(({ holders, place }) => {
        const { table, fd: other } = holders[0]!;
        return isTorn(place!) || kcmp(pid, table.task.tid, KCMP_FILE, fd, other) === 0;
      });
      if (same !== undefined) hindrances.push(hindrance(inventory, same, pid));
    }
  }
  return hindrances;
}

/** Descriptions by mount and inode. */
function filesOf({ descriptions }: Inventory): Map<string, Description[]> {
  const files = new Map<string, Description[]>();
  for (const description of descriptions) {
    const { place } = description;
    if (place === undefined) continue;
    const key = `${place.source.id}:${inodeOfPlace(place)}`;
    const alike = files.get(key);
    if (alike === undefined) files.set(key, [description]);
    else alike.push(description);
  }
  return files;
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
